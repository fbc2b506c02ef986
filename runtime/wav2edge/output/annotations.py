"""Writers of subtitles and annotations: SubRip, WebVTT, Praat's TextGrid, and CSV for ELAN."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from wav2edge.output.result import Result, Segment, Word
from wav2edge.output.writers import CsvWriter, Outcome, Writer, labelled_stretches, segments_of

SHORTEST_CUE_S = 0.001
"""Subtitles count milliseconds; a cue lasts one at least."""


class ElanWriter(CsvWriter):
    """A row per word that ELAN imports as CSV: tier, begin and end in milliseconds, annotation.

    In ELAN: File, Import, CSV / Tab-delimited Text File (manual of ELAN 6, section 2.4.7).
    """

    suffix = ".elan.csv"
    header = ("tier", "begin_ms", "end_ms", "annotation", "path")  # type: ignore[assignment]

    def segment(self, name: str, segment: Segment) -> None:
        """A row for the segment, and for each of its words or labels of frames; none for a rejected one."""
        if segment.rejected:
            return
        tier = "segments" if segment.frame_labels is None else "labels"
        for each in labelled_stretches(segment):
            self._annotate(tier, each, each.text or each.label or "", name)
        for word in segment.words or ():
            self._annotate("words", word, word.text, name)

    def add(self, outcome: Outcome) -> None:
        """The rows of an input that was answered whole."""
        self.add_whole(outcome)

    def _annotate(self, tier: str, part: Segment | Word, text: str, name: str) -> None:
        self._row(tier, str(round(1e3 * part.start_s)), str(round(1e3 * part.end_s)), text, name)


class SubRipWriter(Writer):
    """SubRip subtitles: a cue per segment, or per clip, or per label of frames."""

    suffix, holds_many = ".srt", False
    comma = ","

    def segment(self, name: str, segment: Segment) -> None:
        """A cue, unless nothing was said."""
        for each in labelled_stretches(segment):
            self._cue(each)

    def _cue(self, segment: Segment) -> None:
        if text := segment.text or (segment.label if segment.text is None else None):
            self.written += 1
            start, end = (
                self._time(second)
                for second in (segment.start_s, max(segment.end_s, round(segment.start_s, 3) + SHORTEST_CUE_S))
            )
            self.stream.write(f"{self._number()}{start} --> {end}\n{self._escaped(text)}\n\n")
            self.flush()

    def add(self, outcome: Outcome) -> None:
        """The cue of a clip that was answered whole."""
        self.add_whole(outcome)

    def _number(self) -> str:
        return f"{self.written}\n"

    def _escaped(self, text: str) -> str:
        return text

    def _time(self, seconds: float) -> str:
        milliseconds = round(1e3 * seconds)
        minutes, rest = divmod(milliseconds, 60_000)
        hours, minutes = divmod(minutes, 60)
        return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{self.comma}{rest % 1000:03d}"


class WebVttWriter(SubRipWriter):
    """WebVTT subtitles (W3C): a cue per segment, or per clip."""

    suffix, comma = ".vtt", "."

    def __init__(self, stream: TextIO, *, many: bool) -> None:
        super().__init__(stream, many=many)
        self.stream.write("WEBVTT\n\n")

    def _number(self) -> str:
        return ""

    def _escaped(self, text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class TextGridWriter(Writer):
    """A TextGrid of Praat (long text format) with tiers of segments, labels, words, and of each label of frames.

    Several labels of frames may hold at once, which the intervals of one tier cannot.
    """

    suffix, holds_many = ".TextGrid", False

    def add(self, outcome: Outcome) -> None:
        """The whole file."""
        if not isinstance(outcome.result, Result):
            return
        result, segments = outcome.result, segments_of(outcome.result)
        tiers: dict[str, list[tuple[float, float, str]]] = {}
        if result.text is not None:
            tiers["segments"] = [(each.start_s, each.end_s, each.text or "") for each in segments]
            tiers["words"] = [_interval(word) for each in segments for word in each.words or ()]
        if result.scores is not None:
            tiers["labels"] = [(each.start_s, each.end_s, each.label or "") for each in segments]
        for stretch in result.frame_labels or ():
            tiers.setdefault(stretch.label, []).append((stretch.start_s, stretch.end_s, stretch.label))
        self.stream.write(
            'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
            f"xmin = 0\nxmax = {result.duration_s:.6f}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:\n"
        )
        for number, (name, intervals) in enumerate(tiers.items(), start=1):
            self._tier(number, name, _without_gaps(intervals, result.duration_s), result.duration_s)

    def _tier(self, number: int, name: str, intervals: list[tuple[float, float, str]], end_s: float) -> None:
        self.stream.write(
            f'    item [{number}]:\n        class = "IntervalTier"\n        name = "{name}"\n'
            f"        xmin = 0\n        xmax = {end_s:.6f}\n        intervals: size = {len(intervals)}\n"
        )
        for place, (start_s, stop_s, text) in enumerate(intervals, start=1):
            quoted = text.replace('"', '""')
            self.stream.write(
                f"        intervals [{place}]:\n            xmin = {start_s:.6f}\n            xmax = {stop_s:.6f}\n"
                f'            text = "{quoted}"\n'
            )


def _interval(word: Word) -> tuple[float, float, str]:
    return word.start_s, word.end_s, word.text


def _without_gaps(intervals: Iterable[tuple[float, float, str]], end_s: float) -> list[tuple[float, float, str]]:
    """Intervals from 0 to the end, one after the other: Praat wants empty ones between, and none that overlap."""
    found: list[tuple[float, float, str]] = []
    reached_s = 0.0
    for start_s, stop_s, text in intervals:
        start_s, stop_s = max(start_s, reached_s), min(stop_s, end_s)
        if stop_s - start_s < 1e-6:
            continue
        if start_s - reached_s >= 1e-6:
            found.append((reached_s, start_s, ""))
        found.append((start_s, stop_s, text))
        reached_s = stop_s
    return found if end_s - reached_s < 1e-6 and found else [*found, (reached_s, end_s, "")]
