"""What a person may give as input: files, folders, patterns, and ``-``."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from wav2edge.errors import AudioError

AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in ("aif", "aifc", "aiff", "au", "caf", "flac", "mp3", "oga", "ogg", "opus", "rf64", "snd", "w64", "wav")
)
"""What counts as audio inside a folder; a file named outright may be called anything."""


def expand_inputs(names: Iterable[str]) -> Iterator[str | AudioError]:
    """Clips in the order they were named, folders walked in alphabetical order; a name that gives none is an error."""
    for name in names:
        path = Path(name)
        if path.is_dir():
            yield from _or_error(_clips_in(path), f"{name}: a folder without audio; its files end in .wav, .flac, ...")
        elif name != "-" and not path.exists() and glob.has_magic(name):
            yield from _or_error(sorted(glob.glob(name, recursive=True)), f"{name}: matches no file; check the pattern")
        else:
            yield name


def _clips_in(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()]


def _or_error(found: list[str], message: str) -> list[str] | list[AudioError]:
    return found or [AudioError(message)]
