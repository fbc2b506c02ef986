"""What a person may give as input: files, folders, patterns, and ``-``."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wav2edge.errors import AudioError

AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in ("aif", "aifc", "aiff", "au", "caf", "flac", "mp3", "oga", "ogg", "opus", "rf64", "snd", "w64", "wav")
)
"""What counts as audio inside a folder; a file named outright may be called anything."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A clip by its name, or a name that gives no clip and why."""

    name: str
    error: AudioError | None = None


def expand_inputs(names: Iterable[str]) -> Iterator[Input]:
    """Clips in the order they were named, folders walked in alphabetical order; a name that gives none is an error."""
    for name in names:
        # os.path, not pathlib: it answers False for what may not be looked at, and that clip alone then fails.
        if os.path.isdir(name):
            yield from _or_error(
                name, _clips_in(Path(name)), "no audio in this folder; it would end in .wav, .flac, ..."
            )
        elif name != "-" and not os.path.exists(name) and glob.has_magic(name):
            yield from _or_error(name, _files_like(name), "matches no file; check the pattern")
        else:
            yield Input(name=name)


def _clips_in(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()]


def _files_like(pattern: str) -> list[str]:
    return [name for name in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(name)]


def _or_error(name: str, found: list[str], message: str) -> list[Input]:
    return [Input(name=each) for each in found] or [Input(name=name, error=AudioError(f"{name}: {message}"))]
