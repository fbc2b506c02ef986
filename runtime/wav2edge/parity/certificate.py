"""The parity certificate: does a variant answer like the original, by how much not, and is that within its budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from wav2edge.dataset import Utterance
from wav2edge.errors import AudioError
from wav2edge.geometry import ConvGeometry
from wav2edge.heads import Heads
from wav2edge.parity.budget import Budget
from wav2edge.parity.comparison import (
    ClipComparison,
    Model,
    OutputDifference,
    PairedRate,
    compare_clip,
    compare_on_grid,
    paired_rate,
)
from wav2edge.parity.signals import GridCase


@dataclass(frozen=True, kw_only=True)
class ClipEvidence:
    """What real clips showed. ``left_out`` could not be read."""

    clips: int
    left_out: int
    frame_agreement: float | None
    relative_error: float
    changed_transcripts: int
    changed_classes: int
    wer: PairedRate | None
    accuracy: PairedRate | None


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
        """The figures a budget judges."""
        figures = {
            "absolute_error": max(case.absolute for case in self.grid.values()),
            "relative_error": max(case.relative for case in self.grid.values()),
        }
        if self.clips is not None and self.clips.clips:
            changed = max(self.clips.changed_transcripts, self.clips.changed_classes)
            figures["changed_answers"] = changed / self.clips.clips
            if self.clips.wer is not None:
                figures["wer_increase"] = self.clips.wer.difference
            if self.clips.accuracy is not None:
                figures["accuracy_drop"] = -self.clips.accuracy.difference
        return figures

    def _steps(self) -> dict[str, float]:
        """What one word or one clip is of the rates that a budget judges."""
        rates = {} if self.clips is None else {"wer_increase": self.clips.wer, "accuracy_drop": self.clips.accuracy}
        return {name: 1 / rate.total for name, rate in rates.items() if rate is not None}

    @property
    def summary(self) -> str:
        """One line for a person."""
        figures = self.measured()
        parts = [f"logits within {figures['absolute_error']:.2g} ({figures['relative_error']:.2%} of the largest)"]
        if self.clips is not None:
            parts.append(
                f"{self.clips.changed_transcripts} transcripts and {self.clips.changed_classes} classes"
                f" changed in {self.clips.clips} clips"
            )
            rates = {"WER": self.clips.wer, "accuracy": self.clips.accuracy}
            parts += [f"{name} {rate}" for name, rate in rates.items() if rate]
        if self.violations:
            parts.append("over budget: " + "; ".join(self.violations))
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Evidence and verdict as JSON-ready values."""
        written = asdict(self)
        written |= {"passed": self.passed, "summary": self.summary, "measured": self.measured()}
        for name in ("wer", "accuracy"):
            if self.clips is not None and written["clips"][name] is not None:
                written["clips"][name]["difference"] = getattr(self.clips, name).difference
        return written


def certify(
    precision: str,
    budget: Budget,
    *,
    original: Model,
    variant: Model,
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

    ``advance`` is called after the grid and after each clip.
    """
    differences = compare_on_grid(original, variant, heads, grid)
    advance()
    comparisons: list[ClipComparison] = []
    for row in utterances:
        with suppress(AudioError):  # counted below; what cannot be read says nothing about parity
            comparisons.append(compare_clip(original, variant, heads, geometry, row))
        advance()
    clips = _evidence(comparisons, len(utterances)) if utterances else None
    return Certificate(
        precision=precision,
        budget=budget,
        in_float=tuple(in_float),
        in_int8=tuple(in_int8),
        note=note,
        grid=differences,
        clips=clips,
    )


def _evidence(comparisons: Sequence[ClipComparison], asked: int) -> ClipEvidence:
    agreements = [
        each.difference.frame_agreement for each in comparisons if each.difference.frame_agreement is not None
    ]
    transcribed = [
        (each.edits, each.words) for each in comparisons if each.edits is not None and each.words is not None
    ]
    labelled = [each.hits for each in comparisons if each.hits is not None]
    return ClipEvidence(
        clips=len(comparisons),
        left_out=asked - len(comparisons),
        frame_agreement=float(np.mean(agreements)) if agreements else None,
        relative_error=max((each.difference.relative for each in comparisons), default=0.0),
        changed_transcripts=sum(each.transcript_changed for each in comparisons),
        changed_classes=sum(each.class_changed for each in comparisons),
        wer=_rate([edits for edits, _ in transcribed], [words for _, words in transcribed]),
        accuracy=_rate(labelled, [1] * len(labelled)),
    )


def _rate(counts: Sequence[tuple[float, float]], weights: Sequence[int]) -> PairedRate | None:
    return paired_rate(np.asarray(counts, float), np.asarray(weights, float)) if weights else None
