"""Inputs as a person names them: files, folders, patterns, and ``-``."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wav2edge.audio.sound_file import CONVERT_FIRST
from wav2edge.errors import AudioError

AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in ("aif", "aifc", "aiff", "au", "caf", "flac", "mp3", "oga", "ogg", "opus", "rf64", "snd", "w64", "wav")
)
"""Suffixes of clips inside a folder; a file named outright may be called anything."""
UNREADABLE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3gp", "aac", "ac3", "amr", "ape", "avi", "flv", "m4a", "m4b", "m4v", "mka", "mkv", "mov", "mp4", "mpeg"),
        *("mpg", "mts", "webm", "wma", "wmv"),
    )
)
"""Suffixes of audio and video that libsndfile does not read. Inside a folder they fail; other files are ignored."""

ARCHIVE_SUFFIXES = (".parquet", ".tar", ".tar.gz", ".tgz")
"""What the names of archives end with, which are read shard by shard only."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """The name of a clip, or a name that gives no clip and the reason."""

    name: str
    error: AudioError | None = None


def gives_many(names: Iterable[str]) -> bool:
    """Whether these names may give several clips, however many they give today: several names, a folder, a pattern."""
    first, *others = names
    return bool(others) or os.path.isdir(first) or _is_pattern(first)


def expand_inputs(names: Iterable[str]) -> Iterator[Input]:
    """Clips in the order they were named, folders walked in alphabetical order.

    A name that gives no clip is an error in its place. Inside folders, hidden files and folders are skipped, as are
    files that are neither audio nor video; audio and video that cannot be read, broken links, and folders that may not
    be entered are errors.
    """
    for name in names:
        # os.path, not pathlib: it answers False for what may not be looked at, and that clip alone then fails.
        if os.path.isdir(name):
            yield from _in_folder(name) or [
                _failed(name, "no audio in this folder; its files would end in .wav, .flac, ...")
            ]
        elif _is_pattern(name):
            yield from _like_pattern(name) or [_failed(name, "matches no file; check the pattern")]
        else:
            yield Input(name=name)


def is_named_pipe(name: str) -> bool:
    """Whether a name is that of a pipe that may be read."""
    return os.access(name, os.R_OK) and stat.S_ISFIFO(os.stat(name).st_mode)


def _is_pattern(name: str) -> bool:
    return name != "-" and glob.has_magic(name) and not os.path.exists(name)


def _failed(name: str, reason: str) -> Input:
    return Input(name=name, error=AudioError(f"{name}: {reason}"))


def _like_pattern(pattern: str) -> list[Input]:
    found = sorted(glob.glob(pattern, recursive=True))
    return [Input(name=name) for name in found if os.path.isfile(name) or _is_broken_link(name)]


def _in_folder(folder: str) -> list[Input]:
    failures: list[OSError] = []
    inputs = [
        each
        for parent, folders, files in os.walk(folder, onerror=failures.append)
        for each in map(_input_of, _visible(parent, folders, files))
        if each is not None
    ]
    inputs += [_failed(error.filename, f"{error.strerror}; check the permissions") for error in failures]
    return sorted(inputs, key=lambda each: Path(each.name))


def _visible(parent: str, folders: list[str], files: list[str]) -> list[Path]:
    """Files, and links that may be broken, of one folder; hidden folders are taken out of those that are walked next.

    macOS adds a hidden ``._clip.wav`` to each ``clip.wav`` on other file systems, which is not audio.
    """
    folders[:] = [name for name in folders if not name.startswith(".")]
    return [Path(parent, name) for name in files if not name.startswith(".")]


def _input_of(path: Path) -> Input | None:
    suffix = path.suffix.lower()
    if suffix in UNREADABLE_SUFFIXES:
        return _failed(str(path), f"{suffix} files cannot be read; {CONVERT_FIRST}")
    # A link without a suffix may have pointed to a folder of clips.
    is_clip = suffix in AUDIO_SUFFIXES and path.is_file()
    return Input(name=str(path)) if is_clip or (suffix in {"", *AUDIO_SUFFIXES} and _is_broken_link(path)) else None


def _is_broken_link(path: str | Path) -> bool:
    return os.path.islink(path) and not os.path.exists(path)
