"""The formats of results by name, and the files that results go to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from typing import Protocol, TextIO

from wav2edge.errors import UsageError
from wav2edge.output.annotations import ElanWriter, SubRipWriter, TextGridWriter, WebVttWriter
from wav2edge.output.result import Segment
from wav2edge.output.writers import CsvWriter, JsonLinesWriter, JsonWriter, Outcome, TextWriter, Writer

FORMATS: dict[str, type[Writer]] = {
    "text": TextWriter,
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
    "srt": SubRipWriter,
    "vtt": WebVttWriter,
    "textgrid": TextGridWriter,
    "elan": ElanWriter,
}
"""How results are written, by the name of the format on the command line."""


class Output(Protocol):
    """Where results go: a writer, or a folder with files of several."""

    def segment(self, name: str, segment: Segment) -> None:
        """Take a segment of a recording as soon as it is known."""
        ...

    def add(self, outcome: Outcome) -> None:
        """Take the outcome of an input; its segments, if it has any, were given before."""
        ...

    def close(self) -> None:
        """Take the end of the results."""
        ...


def parse_formats(text: str) -> tuple[str, ...]:
    """Names of formats, separated by commas.

    Raises:
        UsageError: there is no such format.
    """
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--format {name!r}: no such format; known are {', '.join(FORMATS)}")
        if names.count(name) > 1:
            raise UsageError(f"--format {text}: {name} is there twice; leave one out")
    return names


class OutputFolder:
    """A file for each input and format, named after the input, and written as the results come.

    Args:
        folder: made where it is not there.
        formats: names of formats.
        root: the folder that was searched for inputs, if one was: the files lie below ``folder`` as those did below it.
    """

    def __init__(self, folder: Path, formats: Sequence[str], *, root: Path | None = None) -> None:
        self._folder, self._formats, self._root = folder, formats, root
        self._open: dict[str, tuple[list[TextIO], list[Writer]]] = {}
        self._taken: dict[Path, str] = {}

    def segment(self, name: str, segment: Segment) -> None:
        """See ``Output``."""
        for writer in self._writers(name):
            writer.segment(name, segment)

    def add(self, outcome: Outcome) -> None:
        """See ``Output``; an input that failed gets no files."""
        if not outcome.failed:
            for writer in self._writers(outcome.name):
                writer.add(outcome)
                writer.close()
        for stream in self._open.pop(outcome.name, ([], []))[0]:
            stream.close()

    def close(self) -> None:
        """Close the files of an input whose outcome never came."""
        for streams, _ in self._open.values():
            for stream in streams:
                stream.close()

    def path(self, name: str, suffix: str) -> Path:
        """The file of an input in a format: its name with another suffix, or with both or a number if that is taken."""
        given = Path(name)
        inside = given.relative_to(self._root) if self._root and given.is_relative_to(self._root) else Path(given.name)
        if name == "-":
            inside = Path("stdin")
        stems = (inside.with_suffix(suffix), inside.with_name(inside.name + suffix))
        numbered = (inside.with_name(f"{inside.name}.{number}{suffix}") for number in count(2))
        paths = (self._folder / each for each in chain(stems, numbered))
        return next(path for path in paths if self._taken.setdefault(path, name) == name)

    def _writers(self, name: str) -> list[Writer]:
        if name not in self._open:
            streams = [self._stream(self.path(name, FORMATS[each].suffix)) for each in self._formats]
            writers = [FORMATS[each](stream, many=False) for each, stream in zip(self._formats, streams, strict=True)]
            self._open[name] = streams, writers
        return self._open[name][1]

    def _stream(self, path: Path) -> TextIO:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A file name may hold bytes that are not text.
        return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
