"""Original against variant: what differs on the grid and on real clips."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wav2edge.audio import load_clip
from wav2edge.dataset import Utterance
from wav2edge.decoding import answer
from wav2edge.geometry import ConvGeometry
from wav2edge.heads import Heads
from wav2edge.parity.signals import GridCase
from wav2edge.result import Result
from wav2edge.wer import edit_distance

Outputs = Mapping[str, npt.NDArray[np.floating]]
Model = Callable[[npt.NDArray[np.float32]], Outputs]
"""Samples ``[samples] float32`` in, each head's output without its batch axis out."""

RESAMPLES = 2_000


class Remembered:
    """A model that computes the answer to each input once: every variant is held against the same original."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._answers: dict[bytes, Outputs] = {}

    def __call__(self, samples: npt.NDArray[np.float32]) -> Outputs:
        """Samples ``[samples] float32`` in, each head's output without its batch axis out."""
        key = hashlib.sha256(samples.tobytes()).digest()
        if key not in self._answers:
            self._answers[key] = self._model(samples)
        return self._answers[key]


@dataclass(frozen=True, kw_only=True)
class OutputDifference:
    """How far one variant's outputs are from the original's for one input."""

    absolute: float
    relative: float
    frame_agreement: float | None


def compare_outputs(original: Outputs, variant: Outputs, heads: Heads) -> OutputDifference:
    """Largest difference over all outputs; relative to the largest logit of the original's same output."""
    absolute, relative = 0.0, 0.0
    for name in heads.outputs:
        # A number that is none compares as no difference at all: it must not come as far as the comparison.
        if original[name].shape != variant[name].shape or not np.isfinite(variant[name]).all():
            return OutputDifference(absolute=float("inf"), relative=float("inf"), frame_agreement=0.0)
        difference = float(np.abs(original[name] - variant[name]).max())
        absolute = max(absolute, difference)
        relative = max(relative, difference / max(1e-12, float(np.abs(original[name]).max())))
    return OutputDifference(absolute=absolute, relative=relative, frame_agreement=_agreement(original, variant, heads))


def _agreement(original: Outputs, variant: Outputs, heads: Heads) -> float | None:
    if heads.ctc is None:
        return None
    name = heads.ctc.output
    return float(np.mean(original[name].argmax(-1) == variant[name].argmax(-1)))


def compare_on_grid(
    original: Model, variant: Model, heads: Heads, grid: Iterable[GridCase]
) -> dict[str, OutputDifference]:
    """The difference on each case, by the case's name."""
    return {case.name: compare_outputs(original(case.samples), variant(case.samples), heads) for case in grid}


@dataclass(frozen=True, kw_only=True)
class ClipComparison:
    """One real clip answered by both; edits and hits are None where the data has no transcription or label."""

    difference: OutputDifference
    transcript_changed: bool
    class_changed: bool
    words: int | None
    edits: tuple[int, int] | None
    hits: tuple[bool, bool] | None


def compare_clip(
    original: Model, variant: Model, heads: Heads, geometry: ConvGeometry, row: Utterance
) -> ClipComparison:
    """Answer one clip with both.

    Raises:
        AudioError: the clip cannot be answered.
    """
    clip = load_clip(row.path)
    outputs = original(clip.samples), variant(clip.samples)
    first, second = (answer(each, heads, geometry, duration_s=clip.duration_s) for each in outputs)
    words = edits = hits = None
    if row.transcription is not None and heads.ctc is not None:
        reference = row.transcription.split()
        words, edits = len(reference), (_edits(reference, first), _edits(reference, second))
    if row.label is not None and heads.classification is not None:
        hits = first.label == row.label, second.label == row.label
    return ClipComparison(
        difference=compare_outputs(*outputs, heads),
        transcript_changed=first.text != second.text,
        class_changed=first.label != second.label,
        words=words,
        edits=edits,
        hits=hits,
    )


def _edits(reference: Sequence[str], result: Result) -> int:
    return edit_distance(reference, (result.text or "").split())


@dataclass(frozen=True, kw_only=True)
class PairedRate:
    """A rate of the original and of the variant over the same clips; ``total`` words or clips.

    ``interval`` is the central 95 % of the difference, variant minus original, when the clips are drawn anew with
    replacement (Efron, "Bootstrap Methods", Annals of Statistics 7(1), 1979; the percentile interval).
    """

    original: float
    variant: float
    interval: tuple[float, float]
    total: float

    @property
    def difference(self) -> float:
        """Variant minus original."""
        return self.variant - self.original

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.original:.4f} -> {self.variant:.4f} (by {low:+.4f} to {high:+.4f} at 95 %)"


def paired_rate(counts: npt.NDArray[np.floating], weights: npt.NDArray[np.floating], *, seed: int = 0) -> PairedRate:
    """The rate of both and the interval of their difference.

    Args:
        counts: ``[clips, 2]`` events of the original and of the variant.
        weights: ``[clips]`` what the events are counted over: words, or 1 a clip.
        seed: of the resampling.
    """
    total = max(1.0, float(weights.sum()))
    chosen = np.random.default_rng(seed).integers(0, len(weights), (RESAMPLES, len(weights)))
    differences = (counts[:, 1] - counts[:, 0])[chosen].sum(axis=1) / np.maximum(1.0, weights[chosen].sum(axis=1))
    low, high = np.percentile(differences, [2.5, 97.5])
    return PairedRate(
        original=float(counts[:, 0].sum() / total),
        variant=float(counts[:, 1].sum() / total),
        interval=(float(low), float(high)),
        total=total,
    )
