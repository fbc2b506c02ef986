"""Results written as they come: what every writer has in common, and those of text, JSON and CSV."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TextIO

from wav2edge.errors import Wav2EdgeError
from wav2edge.output.documents import json_for
from wav2edge.output.result import Result, Segment

WITHOUT_TIMES = 3
"""Columns of text where it does not say when."""
ESCAPES = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An input and its result, or the error it failed with."""

    name: str
    result: Result | Wav2EdgeError

    @property
    def failed(self) -> bool:
        """Whether there is no result."""
        return isinstance(self.result, Wav2EdgeError)

    @property
    def messages(self) -> list[str]:
        """Lines for standard error: the error, or the result's warnings."""
        if isinstance(self.result, Wav2EdgeError):
            return [str(self.result)]
        return [f"warning: {self.name}: {warning}" for warning in self.result.warnings]

    def to_dict(self) -> dict[str, Any]:
        """The path with the result, or with the error."""
        found = {"error": str(self.result)} if isinstance(self.result, Wav2EdgeError) else self.result.to_dict()
        return {"path": self.name, **found}


class Writer(ABC):
    """Writes the results of one or many inputs to one stream.

    Args:
        stream: where to.
        many: whether several inputs go there; text then has a column of paths, and JSON is a list.
    """

    suffix: ClassVar[str]
    """Of a file in this format."""
    holds_many: ClassVar[bool] = True
    """Whether one file can hold the results of several inputs."""

    def __init__(self, stream: TextIO, *, many: bool) -> None:
        self.stream, self.many = stream, many
        self.written = 0

    def segment(self, name: str, segment: Segment) -> None:  # noqa: B027 most formats need the whole result
        """Write a segment of a recording as soon as it is known; the recording's outcome comes later."""

    @abstractmethod
    def add(self, outcome: Outcome) -> None:
        """Write an outcome. The segments of its recording have been written already."""

    def add_whole(self, outcome: Outcome) -> None:
        """Write a clip that was answered whole as the only segment of its recording; nothing for other outcomes."""
        if isinstance(outcome.result, Result) and outcome.result.segments is None:
            self.segment(outcome.name, whole(outcome.result))

    def close(self) -> None:  # noqa: B027 most formats have no end
        """Write what follows the last outcome. The stream stays open."""

    def flush(self) -> None:
        """Hand on what is written, so that a reader sees it and a killed run keeps it."""
        self.stream.flush()


class TextWriter(Writer):
    """Tab-separated columns: the path if there are many, the times of a segment, the transcript, the label.

    Numbers of an embedding have spaces between them.
    """

    suffix = ".txt"

    def segment(self, name: str, segment: Segment) -> None:
        """A line with the segment's times, or with those of each label of its frames."""
        for each in labelled_stretches(segment):
            self._line(name, _clock(each.start_s), _clock(each.end_s), *_columns(each))

    def add(self, outcome: Outcome) -> None:
        """A line, unless segments have lines, or frames labels."""
        if isinstance(outcome.result, Result) and outcome.result.frame_labels is not None:
            self.add_whole(outcome)
        elif isinstance(outcome.result, Result) and outcome.result.segments is None:
            self._line(outcome.name, *_columns(outcome.result))

    def _line(self, name: str, *columns: str | None) -> None:
        shown = (name if self.many else None, *columns)
        self.stream.write("\t".join(each.translate(ESCAPES) for each in shown if each is not None) + "\n")
        if self.many or len(columns) > WITHOUT_TIMES:
            self.flush()


class JsonLinesWriter(Writer):
    """One JSON object per input and line."""

    suffix = ".jsonl"

    def add(self, outcome: Outcome) -> None:
        """One line."""
        self.stream.write(json_for(self.stream, outcome.to_dict(), indent=None) + "\n")
        if self.many:
            self.flush()


class JsonWriter(Writer):
    """One JSON object, or a list of them; after an interrupt, too, what was written is JSON."""

    suffix = ".json"

    def add(self, outcome: Outcome) -> None:
        """One object."""
        if not self.many:
            self.stream.write(json_for(self.stream, outcome.to_dict()) + "\n")
            return
        entry = json_for(self.stream, outcome.to_dict()).replace("\n", "\n  ")
        self.stream.write(f"{',' if self.written else '['}\n  {entry}")
        self.written += 1
        self.flush()

    def close(self) -> None:
        """The end of the list."""
        if self.many:
            self.stream.write("\n]\n" if self.written else "[]\n")


class CsvWriter(Writer):
    """A row per segment (RFC 4180), or per input that was answered whole, or that failed.

    Labels of frames have a row for each stretch of them. There is no column for an embedding.
    """

    suffix = ".csv"
    header = ("path", "start_s", "end_s", "text", "label", "confidence", "rejected", "error")

    def __init__(self, stream: TextIO, *, many: bool) -> None:
        super().__init__(stream, many=many)
        self._csv = csv.writer(stream, lineterminator="\r\n")
        self._csv.writerow(self.header)

    def segment(self, name: str, segment: Segment) -> None:
        """A row, or several."""
        for each in labelled_stretches(segment):
            times = (f"{each.start_s:.3f}", f"{each.end_s:.3f}")
            rejected = "true" if each.rejected else None
            self._row(name, *times, each.text, each.label, f"{each.confidence:.6f}", rejected, None)

    def add(self, outcome: Outcome) -> None:
        """A row, unless segments have rows."""
        if isinstance(outcome.result, Wav2EdgeError):
            self._row(outcome.name, *[None] * 6, str(outcome.result))
        self.add_whole(outcome)

    def _row(self, *cells: str | None) -> None:
        self._csv.writerow(cells)
        self.flush()


def whole(result: Result) -> Segment:
    """A clip that was answered whole, as one segment."""
    return result.as_segment(0.0, result.duration_s)


def segments_of(result: Result) -> tuple[Segment, ...]:
    """The segments of a recording, or a clip as its only one."""
    return (whole(result),) if result.segments is None else result.segments


def labelled_stretches(segment: Segment) -> Iterator[Segment]:
    """A segment; where the model labels frames, a segment for each stretch of a label instead."""
    if segment.frame_labels is None or segment.rejected:
        yield segment
        return
    for each in segment.frame_labels:
        scores = {each.label: each.confidence}
        yield Segment(start_s=each.start_s, end_s=each.end_s, scores=scores, confidence=each.confidence)


def _columns(found: Result | Segment) -> tuple[str | None, str | None, str | None]:
    """Transcript, label and embedding; None where the model has none, and empty where they are rejected."""
    label = None if found.scores is None else found.label or ""
    numbers = None if found.embedding is None else " ".join(f"{number:.6g}" for number in found.embedding)
    return found.text, label, numbers


def _clock(seconds: float) -> str:
    """``h:mm:ss.mmm``, which sorts and is read at a glance; hours only where there are any."""
    minutes, milliseconds = divmod(round(1e3 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    clock = f"{minutes:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"
    return f"{hours}:{clock}" if hours else clock
