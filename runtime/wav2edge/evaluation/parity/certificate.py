"""The parity certificate: does a variant answer like the original, by how much not, and is that within its budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.errors import AudioError
from wav2edge.evaluation.dataset import Utterance
from wav2edge.evaluation.intervals import Interval, PairedRate, paired_rate, share_interval
from wav2edge.evaluation.parity.budget import Budget
from wav2edge.evaluation.parity.differences import (
    ClipComparison,
    Model,
    OutputDifference,
    compare_clip,
    compare_on_grid,
)
from wav2edge.evaluation.parity.signals import GridCase
from wav2edge.output.documents import json_ready

PADDED = ", padded in a batch"
"""Added to the name of a signal that a batched variant answers beside a neighbour."""


@dataclass(frozen=True, kw_only=True)
class ClipEvidence:
    """What real clips showed. ``left_out`` could not be read.

    ``frame_agreement`` and ``relative_error`` are None where only the original's answers are known.
    """

    clips: int
    left_out: int
    frame_agreement: float | None
    relative_error: float | None
    changed_transcripts: int
    changed_classes: int
    wer: PairedRate | None
    accuracy: PairedRate | None

    @classmethod
    def of(cls, comparisons: Sequence[ClipComparison], *, asked: int) -> ClipEvidence:
        """Sum up the clips that could be answered, of those that were to be."""
        differences = [each.difference for each in comparisons if each.difference is not None]
        agreements = [each.frame_agreement for each in differences if each.frame_agreement is not None]
        transcribed = [
            (each.edits, each.words) for each in comparisons if each.edits is not None and each.words is not None
        ]
        labelled = [each.hits for each in comparisons if each.hits is not None]
        return cls(
            clips=len(comparisons),
            left_out=asked - len(comparisons),
            frame_agreement=float(np.mean(agreements)) if agreements else None,
            relative_error=max((each.relative for each in differences), default=None),
            changed_transcripts=sum(each.transcript_changed for each in comparisons),
            changed_classes=sum(each.class_changed for each in comparisons),
            wer=_rate([edits for edits, _ in transcribed], [words for _, words in transcribed]),
            accuracy=_rate(labelled, [1] * len(labelled)),
        )

    @property
    def most_changed(self) -> int:
        """Changed transcripts or changed classes, whichever are more."""
        return max(self.changed_transcripts, self.changed_classes)

    @property
    def rates(self) -> dict[str, PairedRate]:
        """The rates that could be counted, by what a person calls them."""
        rates = {"WER": self.wer, "accuracy": self.accuracy}
        return {name: rate for name, rate in rates.items() if rate is not None}

    @property
    def summary(self) -> str:
        """One line for a person, with 95 % intervals."""
        changes = {"transcripts": self.changed_transcripts, "classes": self.changed_classes}
        parts = [
            f"{count} of {self.clips} {name} changed ({_percent(share_interval(count, self.clips))} at 95 %)"
            for name, count in changes.items()
        ]
        return ", ".join([*parts, *(f"{name} {rate}" for name, rate in self.rates.items())])


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The evidence for one variant, and the verdict.

    ``in_float`` and ``in_int8`` are the parts that were left there; ``note`` says how a variant was chosen.
    """

    precision: str
    budget: Budget
    in_float: tuple[str, ...] = ()
    in_int8: tuple[str, ...] = ()
    note: str | None = None
    grid: Mapping[str, OutputDifference]
    clips: ClipEvidence | None = None
    violations: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "violations", tuple(self.budget.violations(self.measured(), self._steps())))

    @property
    def passed(self) -> bool:
        """Nothing is over budget."""
        return not self.violations

    def measured(self) -> dict[str, float]:
        """The figures a budget judges, as far as they were measured."""
        figures: dict[str, float] = {}
        if self.grid:
            figures["absolute_error"] = max(case.absolute for case in self.grid.values())
            figures["relative_error"] = max(case.relative for case in self.grid.values())
        if self.clips is not None and self.clips.clips:
            figures["changed_answers"] = self.clips.most_changed / self.clips.clips
            if self.clips.wer is not None:
                figures["wer_increase"] = self.clips.wer.difference
            if self.clips.accuracy is not None:
                figures["accuracy_drop"] = self.clips.accuracy.original - self.clips.accuracy.variant
        return figures

    def allowed(self) -> dict[str, float]:
        """What the judged ones of these figures may be at most, over as many words and clips as there were."""
        return self.budget.allowed(self._steps())

    def _steps(self) -> dict[str, float]:
        """What one word or one clip is of the rates that a budget judges."""
        rates = {} if self.clips is None else {"wer_increase": self.clips.wer, "accuracy_drop": self.clips.accuracy}
        return {name: 1 / rate.total for name, rate in rates.items() if rate is not None}

    def intervals(self) -> dict[str, Interval]:
        """The 95 % intervals of the figures that were counted over clips."""
        found: dict[str, Interval] = {}
        if self.clips is not None and self.clips.clips:
            found["changed_answers"] = share_interval(self.clips.most_changed, self.clips.clips)
            if self.clips.wer is not None:
                found["wer_increase"] = self.clips.wer.interval
            if self.clips.accuracy is not None:
                low, high = self.clips.accuracy.interval
                found["accuracy_drop"] = (0.0 - high, 0.0 - low)  # no negative zero
        return found

    @property
    def summary(self) -> str:
        """One line for a person, with 95 % intervals."""
        figures, parts = self.measured(), []
        if self.grid:
            parts.append(
                f"logits within {figures['absolute_error']:.2g} ({figures['relative_error']:.2%} of the largest)"
            )
        if self.clips is not None:
            parts.append(self.clips.summary)
        if self.violations:
            parts.append("over budget: " + "; ".join(self.violations))
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Evidence and verdict as JSON-ready values."""
        written = asdict(self)
        written |= {
            "passed": self.passed,
            "summary": self.summary,
            "measured": self.measured(),
            "intervals": self.intervals(),
        }
        for name in ("wer", "accuracy"):
            if self.clips is not None and written["clips"][name] is not None:
                written["clips"][name]["difference"] = getattr(self.clips, name).difference
        ready: dict[str, Any] = json_ready(written)
        return ready


def certify(
    precision: str,
    budget: Budget,
    *,
    original: Model,
    variant: Model,
    padded: Model | None = None,
    heads: Heads,
    geometry: ConvGeometry,
    grid: Sequence[GridCase],
    utterances: Sequence[Utterance] = (),
    in_float: Sequence[str] = (),
    in_int8: Sequence[str] = (),
    note: str | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Certificate:
    """Hold a variant against the original on the grid and, where there are any, on real clips.

    ``padded`` is a batched variant once more, with a neighbour beside each clip: it must answer the grid as well.
    ``advance`` is called after the grid and after each clip.
    """
    differences = compare_on_grid(original, variant, heads, grid)
    if padded is not None:
        beside = [replace(case, name=case.name + PADDED) for case in grid]
        differences |= compare_on_grid(original, padded, heads, beside)
    advance()
    comparisons: list[ClipComparison] = []
    for row in utterances:
        with suppress(AudioError):  # counted below; what cannot be read says nothing about parity
            comparisons.append(compare_clip(original, variant, heads, geometry, row))
        advance()
    clips = ClipEvidence.of(comparisons, asked=len(utterances)) if utterances else None
    return Certificate(
        precision=precision,
        budget=budget,
        in_float=tuple(in_float),
        in_int8=tuple(in_int8),
        note=note,
        grid=differences,
        clips=clips,
    )


def _rate(counts: Sequence[tuple[float, float]], weights: Sequence[int]) -> PairedRate | None:
    return paired_rate(np.asarray(counts, float), np.asarray(weights, float)) if weights else None


def _percent(interval: Interval) -> str:
    return " to ".join(f"{end:.1%}" for end in interval)
