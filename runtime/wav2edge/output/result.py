"""Results of recognition and of alignment: plain values with derived properties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, log
from operator import mul
from statistics import fmean
from typing import Any, Self

PAUSE_S, LONGEST_SEGMENT_S = 0.5, 7.0
"""Where the words of an alignment are parted into segments; seven seconds are the most that subtitles stand."""
STAR = "*"
"""The word of a text that stands for anything that was said."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of the transcript, its times, and how surely it is right: the product of its tokens' probabilities."""

    text: str
    start_s: float
    end_s: float
    confidence: float

    def later(self, seconds: float) -> Word:
        """The same word so many seconds later."""
        return replace(self, start_s=self.start_s + seconds, end_s=self.end_s + seconds)

    def to_dict(self) -> dict[str, Any]:
        """The word as JSON-ready values."""
        return {"text": self.text, **_rounded(self)}


@dataclass(frozen=True, kw_only=True)
class FrameLabel:
    """A label and a stretch of neighbouring frames that have it, with the mean probability of the label in them."""

    label: str
    start_s: float
    end_s: float
    confidence: float

    def later(self, seconds: float) -> FrameLabel:
        """The same so many seconds later."""
        return replace(self, start_s=self.start_s + seconds, end_s=self.end_s + seconds)

    def to_dict(self) -> dict[str, Any]:
        """The stretch as JSON-ready values."""
        return {"label": self.label, **_rounded(self)}


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a clip and a segment have in common. Fields of heads that the model lacks are None.

    ``words`` are None, too, where the certificate does not bear out their times. ``frame_labels`` are in order of their
    starts, and may overlap. What is ``rejected`` was not sure enough: its text is empty, it has no words, no label and
    no labels of frames; scores and confidence stay.
    """

    text: str | None = None
    words: tuple[Word, ...] | None = None
    scores: Mapping[str, float] | None = None
    frame_labels: tuple[FrameLabel, ...] | None = None
    embedding: tuple[float, ...] | None = None
    confidence: float = 1.0
    rejected: bool = False

    @property
    def label(self) -> str | None:
        """The most probable label; None where the answer is rejected."""
        return max(self.scores, key=self.scores.__getitem__) if self.scores and not self.rejected else None

    def as_rejected(self) -> Self:
        """The same without its answer."""
        text, words = (None if self.text is None else ""), (None if self.words is None else ())
        frame_labels = None if self.frame_labels is None else ()
        return replace(self, text=text, words=words, frame_labels=frame_labels, rejected=True)

    def _document(self) -> dict[str, Any]:
        """The fields as JSON-ready values; those of absent heads are left out."""
        document: dict[str, Any] = {"confidence": round(self.confidence, 6)}
        if self.rejected:
            document["rejected"] = True
        if self.text is not None:
            document["text"] = self.text
        if self.words is not None:
            document["words"] = [word.to_dict() for word in self.words]
        if self.scores is not None:
            document["label"] = self.label
            document["scores"] = {label: round(score, 6) for label, score in self.scores.items()}
        if self.frame_labels is not None:
            document["frame_labels"] = [each.to_dict() for each in self.frame_labels]
        if self.embedding is not None:
            document["embedding"] = [float(f"{number:.7g}") for number in self.embedding]
        return document


@dataclass(frozen=True, kw_only=True)
class Segment(_Found):
    """A stretch of a recording with speech in it. Its times, and those of its words, are from the recording's start."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s

    def to_dict(self) -> dict[str, Any]:
        """The segment as JSON-ready values; heads that the model lacks are left out."""
        return {"start_s": round(self.start_s, 4), "end_s": round(self.end_s, 4), **self._document()}


@dataclass(frozen=True, kw_only=True)
class Result(_Found):
    """The result of one clip or recording. Fields of heads that the model lacks are None.

    ``confidence`` is the share of the transcript's words that are right, as far as their confidences tell: the mean of
    them (1.0 for an empty transcript). Without a CTC head it is the probability of the label, or the mean of those of
    the labels of frames, weighted by duration; an embedding has none (1.0).

    ``segments`` are those of a recording that was answered in segments, and None for a clip that was answered whole.
    The text, words and labels of frames of a recording are those of its segments one after the other; its scores and
    its embedding are their mean, weighted by duration, and its confidence is their mean, weighted by the number of
    words, or by the seconds of a segment without words. Rejected segments count for nothing, unless all are rejected:
    then the recording is.
    """

    duration_s: float
    segments: tuple[Segment, ...] | None = None
    warnings: tuple[str, ...] = field(default=())

    @classmethod
    def of_segments(cls, segments: Iterable[Segment], *, duration_s: float, warnings: tuple[str, ...] = ()) -> Result:
        """The result of a recording, from the results of its segments."""
        found = tuple(segments)
        kept = tuple(segment for segment in found if not segment.rejected)
        counted = kept or found
        texts = [segment.text for segment in found if segment.text is not None]
        timed = [segment.words for segment in found if segment.words is not None]
        labelled = [segment.frame_labels for segment in found if segment.frame_labels is not None]
        weights = [len((segment.text or "").split()) or segment.duration_s for segment in counted]
        total, weighed = sum(weights), sum(map(mul, weights, (segment.confidence for segment in counted)))
        return cls(
            duration_s=duration_s,
            text=" ".join(filter(None, texts)) if texts or not found else None,
            words=tuple(word for words in timed for word in words) if timed else None,
            scores=_mean_scores(counted),
            frame_labels=tuple(each for labels in labelled for each in labels) if labelled else None,
            embedding=_mean([(each.embedding, each.duration_s) for each in counted if each.embedding is not None]),
            confidence=weighed / total if total else 1.0,
            rejected=bool(found) and not kept,
            segments=found,
            warnings=warnings,
        )

    def as_segment(self, start_s: float, end_s: float) -> Segment:
        """The result of a piece of a recording as its segment: words are timed from the recording's start."""
        return Segment(
            start_s=start_s,
            end_s=end_s,
            text=self.text,
            words=None if self.words is None else tuple(word.later(start_s) for word in self.words),
            scores=self.scores,
            frame_labels=self.frame_labels and tuple(each.later(start_s) for each in self.frame_labels),
            embedding=self.embedding,
            confidence=self.confidence,
            rejected=self.rejected,
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-ready values; heads that the model lacks are left out."""
        document: dict[str, Any] = {"duration_s": round(self.duration_s, 4), **self._document()}
        if self.segments is not None:
            document["segments"] = [segment.to_dict() for segment in self.segments]
        document["warnings"] = list(self.warnings)
        return document


def _mean_scores(segments: tuple[Segment, ...]) -> Mapping[str, float] | None:
    scored = [(segment.scores, segment.duration_s) for segment in segments if segment.scores is not None]
    mean = _mean([(scores.values(), weight) for scores, weight in scored])
    return None if mean is None else dict(zip(scored[0][0], mean, strict=True))


def _mean(rows: Sequence[tuple[Iterable[float], float]]) -> tuple[float, ...] | None:
    """The mean of rows of numbers with their weights; None where nothing weighs anything."""
    total = sum(weight for _, weight in rows)
    columns = zip(*(numbers for numbers, _ in rows), strict=True) if total else ()
    weighed = (sum(n * weight for n, (_, weight) in zip(column, rows, strict=True)) for column in columns)
    return tuple(each / total for each in weighed) if total else None


@dataclass(frozen=True, kw_only=True)
class AlignedToken:
    """A token, its times in seconds, and its scores (see ``Engine.align``)."""

    text: str
    start_s: float
    end_s: float
    confidence: float
    gop: float

    def to_dict(self) -> dict[str, Any]:
        """The token as JSON-ready values."""
        return {"text": self.text, **_rounded(self), "gop": round(self.gop, 4)}


@dataclass(frozen=True, kw_only=True)
class AlignedWord(Word):
    """A word as the text has it, its times in seconds, its tokens, and its scores (see ``Engine.align``)."""

    gop: float
    tokens: tuple[AlignedToken, ...]

    def to_dict(self) -> dict[str, Any]:
        """The word as JSON-ready values."""
        return {**super().to_dict(), "gop": round(self.gop, 4), "tokens": [token.to_dict() for token in self.tokens]}


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """The words of a text with their times in a recording, and the scores of the whole (see ``Engine.align``)."""

    duration_s: float
    words: tuple[AlignedWord, ...]
    confidence: float
    gop: float
    warnings: tuple[str, ...] = ()

    @property
    def tokens(self) -> tuple[AlignedToken, ...]:
        """The tokens of all words."""
        return tuple(token for word in self.words for token in word.tokens)

    @property
    def text(self) -> str:
        """The words, with a space between them."""
        return " ".join(word.text for word in self.words)

    def result(self) -> Result:
        """The text as the result of a recording, for subtitles and annotations: a segment ends where a pause is."""
        groups: list[list[AlignedWord]] = []
        for word in self.words:
            if groups and _goes_on(groups[-1], word):
                groups[-1].append(word)
            else:
                groups.append([word])
        segments = [
            Segment(
                start_s=words[0].start_s,
                end_s=words[-1].end_s,
                text=" ".join(word.text for word in words),
                words=tuple(words),
                confidence=confidence_of(spoken_tokens(words)),
            )
            for words in groups
        ]
        joined = Result.of_segments(segments, duration_s=self.duration_s, warnings=self.warnings)
        return replace(joined, confidence=self.confidence)

    def to_dict(self) -> dict[str, Any]:
        """The alignment as JSON-ready values."""
        return {
            "duration_s": round(self.duration_s, 4),
            "text": self.text,
            "confidence": round(self.confidence, 6),
            "gop": round(self.gop, 4),
            "words": [word.to_dict() for word in self.words],
            "warnings": list(self.warnings),
        }


def confidence_of(tokens: Iterable[AlignedToken]) -> float:
    """The geometric mean of their confidences; 1 without tokens."""
    logs = [log(token.confidence or 1e-308) for token in tokens]  # it may be rounded to 0
    return exp(fmean(logs)) if logs else 1.0


def spoken_tokens(words: Iterable[AlignedWord]) -> list[AlignedToken]:
    """The tokens of all words but stars."""
    return [token for word in words if word.text != STAR for token in word.tokens]


def _goes_on(words: Sequence[AlignedWord], word: AlignedWord) -> bool:
    """Whether a word belongs to the segment of those before it."""
    in_time = word.end_s - words[0].start_s <= LONGEST_SEGMENT_S
    return in_time and word.start_s - words[-1].end_s < PAUSE_S


def _rounded(timed: Word | FrameLabel | AlignedToken) -> dict[str, float]:
    return {
        "start_s": round(timed.start_s, 4),
        "end_s": round(timed.end_s, 4),
        "confidence": round(timed.confidence, 6),
    }
