"""Where profiles are kept: a file for each bundle, by its digest, in the user's folder for what can be made again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wav2edge.errors import UsageError
from wav2edge.inference.sessions.profiles.run_profile import AIMS, Machine, RunProfile
from wav2edge.output.documents import strict_json, take

if TYPE_CHECKING:
    from wav2edge.bundle.folder import Bundle

AUTO = "auto"
"""The profile that was made last."""
FORMAT = "wav2edge-profiles"
FORMAT_VERSION = 1
VARIABLE = "WAV2EDGE_CACHE"
"""The environment variable that names another folder."""
PLATFORMS = {"darwin": ("", "Library/Caches"), "win32": ("LOCALAPPDATA", "AppData/Local")}
OTHERS = ("XDG_CACHE_HOME", ".cache")
"""The variable that names the folder for caches, and its place in the home folder where it is not set.

https://specifications.freedesktop.org/basedir-spec/latest: a relative path in the variable is to be ignored.
"""


def cache_folder() -> Path:
    """The folder of this project for what can be made again; it need not be there yet.

    Raises:
        OSError: the user has no home folder.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    variable, below_home = PLATFORMS.get(sys.platform, OTHERS)
    given = Path(os.environ.get(variable, ""))
    try:
        return (given if given.is_absolute() else Path.home() / below_home) / "wav2edge"
    except RuntimeError:
        raise OSError(None, f"no home folder; set {VARIABLE}") from None


@dataclass(frozen=True, kw_only=True)
class KeptProfiles:
    """The profiles of one bundle, of all machines that share this folder; the last one made is the last.

    ``fault`` is why the file cannot be used; None where it can, or where there is none.
    """

    path: Path
    profiles: tuple[RunProfile, ...] = ()
    fault: str | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> KeptProfiles:
        """Read those of a bundle. What is damaged, newer or out of reach is a ``fault``, and no error."""
        digest = bundle.manifest_sha256()
        path = Path(f"{digest}.json")
        try:
            path = _place(path)
            document = json.loads(path.read_bytes())
            return cls(path=path, profiles=_read(document, digest, bundle))
        except FileNotFoundError:
            return cls(path=path)
        except OSError as error:
            return cls(path=path, fault=f"{path} cannot be read ({error.strerror})")
        except (ValueError, TypeError, RecursionError) as error:
            reason = " ".join(str(error).split())
            return cls(path=path, fault=f"{path} is damaged or of another version ({reason})")

    def here(self, aim: str = AUTO) -> RunProfile | None:
        """The profile for an aim, or the last one made, on this machine as it is now."""
        now = Machine.here() if self.profiles else None
        found = [each for each in self.profiles if each.machine == now and aim in (AUTO, each.aim)]
        return found[-1] if found else None

    def reason(self, aim: str = AUTO) -> str:
        """Why there is none here."""
        if self.fault is not None:
            return self.fault
        others = [each for each in self.profiles if aim in (AUTO, each.aim)]
        change = others[-1].machine.change(Machine.here()) if others else None
        if change is not None:
            return f"{change} since it was tuned"
        return f"no profile{'' if aim == AUTO else f' for {aim}'} on this machine"

    def keep(self, profile: RunProfile, bundle: Bundle) -> None:
        """Write a profile to the file, in place of an earlier one for the same aim on the same machine.

        A file with a fault is replaced as a whole.

        Raises:
            OSError: the file cannot be written.
        """
        same = (profile.aim, profile.machine)
        kept = [each for each in self.profiles if (each.aim, each.machine) != same]
        document = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "bundle": bundle.manifest.name,
            "manifest_sha256": self.path.stem,
            "profiles": [each.to_dict() for each in (*kept, profile)],
        }
        path = _place(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(f".{os.getpid()}")
        try:
            written.write_text(strict_json(document) + "\n", encoding="utf-8")
            written.replace(path)  # a reader sees the old file or the new one, and nothing between
        finally:
            with suppress(OSError):
                written.unlink(missing_ok=True)

    def forget(self) -> bool:
        """Remove the file; whether there was one.

        Raises:
            OSError: it cannot be removed.
        """
        try:
            _place(self.path).unlink()
        except FileNotFoundError:
            return False
        return True


def _place(path: Path) -> Path:
    """Where a file of this name belongs now, whatever folder it was looked for in."""
    return cache_folder() / "profiles" / path.name


def _read(document: Any, digest: str, bundle: Bundle) -> tuple[RunProfile, ...]:
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise ValueError(f"not {FORMAT}")
    if document.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"'format_version' is {document.get('format_version')!r}, not {FORMAT_VERSION}")
    if document.get("manifest_sha256") != digest:
        raise ValueError("it is another bundle's")
    strict_json(document).encode()  # refuses NaN and halves of characters: a file must be such as can be written again
    documents = take(document, "profiles", list)
    if not all(isinstance(each, dict) for each in documents):
        raise ValueError("'profiles' must hold objects only")
    profiles = tuple(map(RunProfile.from_dict, documents))
    for each in profiles:
        if each.settings.variant not in bundle.manifest.variants:
            raise ValueError(f"the bundle has no variant {each.settings.variant!r}")
    return profiles


def find_profile(bundle: Bundle, asked: str, *, device: str = "cpu") -> tuple[RunProfile | None, str | None]:
    """The profile to load a bundle with, or why there is none and the defaults are taken.

    Args:
        bundle: an opened bundle.
        asked: ``auto`` for the one made last, or one of ``AIMS``, which must be there.
        device: where the bundle is to run.

    Raises:
        UsageError: there is no such aim, or no profile for the one that was named.
    """
    if asked != AUTO and asked not in AIMS:
        raise UsageError(f"no profile {asked!r}; choose {', '.join((AUTO, *AIMS))}")
    source = bundle.folder if bundle.repository is None else bundle.repository.name
    if device == "cpu":
        kept = KeptProfiles.of(bundle)
        if (found := kept.here(asked)) is not None:
            return found, None
        reason = kept.reason(asked)
        remedy = f"run: wav2edge tune {source}{'' if asked == AUTO else f' --for {asked}'}"
    else:
        reason, remedy = f"profiles are for the device cpu, not for {device}", "leave the profile out"
    if asked != AUTO:
        raise UsageError(f"{source}: {reason}; {remedy}")
    return None, f"{source}: {reason}, so the defaults are taken; {remedy}"
