"""Bundles on the Hugging Face Hub: found by name, held at one commit, and fetched file by file as files are needed.

Only here, and only once a name is given, is ``huggingface_hub`` imported; its cache, its token and its environment
variables (``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_TOKEN``) are those of every other program.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from wav2edge.bundle.folder import CHECKPOINT_CONFIG
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.errors import BundleError, MissingDependencyError

LONGEST = 200
"""Most characters of the library's own message that are passed on."""
REFUSALS = {
    "GatedRepoError": "its terms must be accepted; do so on its page and log in: hf auth login",
    "RepositoryNotFoundError": (
        "neither a folder here nor a repository on the Hub that you can read; check the name, or, if it is private,"
        " log in: hf auth login"
    ),
    "RevisionNotFoundError": "has no revision {revision!r} on the Hub; give one of its branches, tags or commits",
    "LocalEntryNotFoundError": "{file} is not in the cache, and {offline}; load it once with a connection",
    "OfflineModeIsEnabled": "{file} is not in the cache, and {offline}; load it once with a connection",
}
"""What an error of ``huggingface_hub``, by the name of its class, means for the user; children before their parents."""


@dataclass(frozen=True, kw_only=True)
class HubRepository:
    """A model repository at one revision: a branch, a tag or a commit; its main branch where None."""

    name: str
    revision: str | None = None

    def fetch(self, file: str) -> Path:
        """Path of a file in the cache, downloaded where it is not there yet.

        Raises:
            BundleError: the repository has no such file, or it cannot be had.
            MissingDependencyError: ``huggingface_hub`` is not installed.
        """
        path = self.find(file)
        if path is None:
            raise BundleError(f"{self.name}: has no {file} on the Hub; its owner must upload the bundle again")
        return path

    def find(self, file: str) -> Path | None:
        """The same; None where the repository has no such file.

        Raises:
            BundleError: there is no such repository or revision, or it cannot be reached and the file is not cached.
            MissingDependencyError: ``huggingface_hub`` is not installed.
        """
        hub = _library(self.name)
        try:
            with quietly():
                return Path(hub.hf_hub_download(self.name, file, revision=self.revision))
        except Exception as error:  # those of its HTTP library come through, and differ between its versions
            kinds = _kinds(error)
            if "EntryNotFoundError" in kinds and "LocalEntryNotFoundError" not in kinds:
                return None
            raise self._refusal(error, file) from None

    def discard(self, path: Path) -> str:
        """Take a damaged file out of the cache; returns what the user does next."""
        with suppress(OSError):  # a cache that is read only
            path.resolve().unlink()
            path.unlink(missing_ok=True)
        return "taken out of the cache, so load it again; if that does not help, its owner must upload the bundle again"

    def _refusal(self, error: Exception, file: str) -> BundleError:
        kinds = _kinds(error)
        meaning = next((text for name, text in REFUSALS.items() if name in kinds), None)
        if meaning is None:
            meaning = f"{file} cannot be fetched from the Hub ({reason_of(error)}); check the network and try again"
            return BundleError(f"{self.name}: {meaning}")
        offline = "HF_HUB_OFFLINE is set" if _is_offline() else "the Hub cannot be reached"
        return BundleError(f"{self.name}: {meaning.format(file=file, revision=self.revision, offline=offline)}")


def open_manifest(name: str, revision: str | None) -> tuple[HubRepository, Path]:
    """The repository, held at the commit that the revision is now, and the path of its manifest.

    Every later file is one of that commit, whatever is uploaded meanwhile.

    Raises:
        BundleError: there is no such repository or revision, it is no bundle, or it cannot be reached.
        MissingDependencyError: ``huggingface_hub`` is not installed.
    """
    path = HubRepository(name=name, revision=revision).find(MANIFEST)
    if path is None:
        raise BundleError(
            f"{name}: not a bundle, it has no {MANIFEST}; make one of it: wav2edge export {name} --output BUNDLE"
        )
    # The cache keeps each commit in a folder of its name: snapshots/COMMIT/FILE.
    return HubRepository(name=name, revision=path.parent.name), path


def holds_bundle(name: str, revision: str | None) -> bool:
    """Whether a repository is a bundle, and not a checkpoint.

    Raises:
        BundleError: there is no such repository or revision, or it cannot be reached and is not cached.
        MissingDependencyError: ``huggingface_hub`` is not installed.
    """
    repository = HubRepository(name=name, revision=revision)
    try:
        return repository.find(MANIFEST) is not None
    except BundleError:
        with suppress(BundleError):  # without a connection: of a bundle, the manifest is cached before anything else
            repository.fetch(CHECKPOINT_CONFIG)
            return False
        raise


def reason_of(error: Exception) -> str:
    """The library's own message in one line, shortened."""
    return textwrap.shorten(str(error) or type(error).__name__, LONGEST).rstrip(". ")


def _library(name: str) -> Any:
    try:
        return import_module("huggingface_hub")
    except ModuleNotFoundError:
        raise MissingDependencyError(
            f"{name}: no such folder, and a name on the Hub needs huggingface_hub, which is not installed;"
            " run: pip install 'wav2edge[hub]'"
        ) from None


def _kinds(error: Exception) -> set[str]:
    """Names of an error's class and its parents."""
    return {kind.__name__ for kind in type(error).__mro__}


def _is_offline() -> bool:
    offline: bool = import_module("huggingface_hub.constants").HF_HUB_OFFLINE
    return offline


@contextmanager
def quietly() -> Iterator[None]:
    """Without the library's warnings, and with its progress bars on a terminal only: it draws them everywhere."""
    bars, logs = import_module("huggingface_hub.utils"), import_module("huggingface_hub.utils.logging")
    hidden = (sys.stderr is None or not sys.stderr.isatty()) and not bars.are_progress_bars_disabled()
    verbosity = logs.get_verbosity()
    logs.set_verbosity_error()
    if hidden:
        bars.disable_progress_bars()
    try:
        yield
    finally:
        logs.set_verbosity(verbosity)
        if hidden:
            bars.enable_progress_bars()
