"""Original against variant: the differences on synthetic signals and on real clips, and how large they may be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.decoding.ctc import interpret
from wav2edge.evaluation.parity.signals import SyntheticSignal
from wav2edge.evaluation.rates import edit_distance
from wav2edge.output.result import Result

if TYPE_CHECKING:
    from wav2edge.evaluation.dataset import Utterance


Outputs = Mapping[str, npt.NDArray[np.floating]]
Model = Callable[[npt.NDArray[np.float32]], Outputs]
"""From samples ``[samples] float32`` to each head's output, without its batch axis."""


BOUNDED = ("absolute_error", "relative_error", "changed_results", "wer_increase", "accuracy_drop")
"""The figures that a budget can bound, in the order of its messages."""
ROUNDING = 1e-12
"""The difference of two rates is not exact: 0.1 - 0.05 is more than 0.05."""


class CachedModel:
    """A model that computes the outputs of each input once: every variant is compared with the same original."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._outputs: dict[bytes, Outputs] = {}

    def __call__(self, samples: npt.NDArray[np.float32]) -> Outputs:
        """Each head's output for ``samples: [samples] float32``, without its batch axis."""
        key = hashlib.sha256(samples.tobytes()).digest()
        if key not in self._outputs:
            self._outputs[key] = self._model(samples)
        return self._outputs[key]


@dataclass(frozen=True, kw_only=True)
class OutputDifference:
    """Difference of one variant's outputs from the original's, for one input.

    ``absolute_error`` is the largest over all logits, ``relative_error`` the same in units of the largest logit of the
    original's output, ``frame_agreement`` the share of frames with the same best token; None without a CTC head.
    """

    absolute_error: float
    relative_error: float
    frame_agreement: float | None


def compare_outputs(original: Outputs, variant: Outputs, heads: Heads) -> OutputDifference:
    """The largest difference over all outputs; infinite where shapes differ or the variant's output is not finite."""
    absolute, relative = 0.0, 0.0
    for name in heads.outputs:
        # NaN compares as no difference at all: it must not reach the comparison.
        if original[name].shape != variant[name].shape or not np.isfinite(variant[name]).all():
            return OutputDifference(absolute_error=float("inf"), relative_error=float("inf"), frame_agreement=0.0)
        difference = float(np.abs(original[name] - variant[name]).max())
        absolute = max(absolute, difference)
        relative = max(relative, difference / max(1e-12, float(np.abs(original[name]).max())))
    return OutputDifference(
        absolute_error=absolute, relative_error=relative, frame_agreement=_agreement(original, variant, heads)
    )


def _agreement(original: Outputs, variant: Outputs, heads: Heads) -> float | None:
    if heads.ctc is None:
        return None
    name = heads.ctc.output
    return float(np.mean(original[name].argmax(-1) == variant[name].argmax(-1)))


def compare_on_signals(
    original: Model, variant: Model, heads: Heads, signals: Iterable[SyntheticSignal]
) -> dict[str, OutputDifference]:
    """The difference on each signal, by the signal's name."""
    return {each.name: compare_outputs(original(each.samples), variant(each.samples), heads) for each in signals}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Transcript and predicted label of one clip; None without the head for it."""

    text: str | None
    label: str | None

    @classmethod
    def of(cls, result: Result) -> Prediction:
        """The prediction in a result."""
        return cls(text=result.text, label=result.label)


@dataclass(frozen=True, kw_only=True)
class ClipComparison:
    """One real clip recognised by both.

    ``edits`` and ``hits`` (original, variant) are None where the data has no transcript or label, ``difference`` where
    the original's prediction is recorded and its outputs are not.
    """

    duration_s: float
    transcript_changed: bool
    class_changed: bool
    words: int | None
    edits: tuple[int, int] | None
    hits: tuple[bool, bool] | None
    difference: OutputDifference | None = None


def compare_clip(
    original: Model,
    variant: Model,
    heads: Heads,
    geometry: ConvGeometry,
    row: Utterance,
    *,
    observe: Callable[[Utterance, Outputs, Outputs], None] = lambda row, original, variant: None,
) -> ClipComparison:
    """Recognise one clip with both; ``observe`` is given what they gave.

    Raises:
        AudioError: the clip cannot be used.
    """
    clip = load_clip(row.path)
    outputs = original(clip.samples), variant(clip.samples)
    observe(row, *outputs)
    first, second = (Prediction.of(interpret(each, heads, geometry, duration_s=clip.duration_s)) for each in outputs)
    difference = compare_outputs(*outputs, heads)
    return compare_predictions(first, second, row, duration_s=clip.duration_s, difference=difference)


def compare_predictions(
    original: Prediction,
    variant: Prediction,
    row: Utterance,
    *,
    duration_s: float,
    difference: OutputDifference | None = None,
) -> ClipComparison:
    """Compare both predictions for a clip with each other and with its row of the data set."""
    words = edits = hits = None
    if row.transcription is not None and original.text is not None:
        reference = row.transcription.split()
        words, edits = len(reference), (_edits(reference, original), _edits(reference, variant))
    if row.label is not None and original.label is not None:
        hits = original.label == row.label, variant.label == row.label
    return ClipComparison(
        duration_s=duration_s,
        transcript_changed=original.text != variant.text,
        class_changed=original.label != variant.label,
        words=words,
        edits=edits,
        hits=hits,
        difference=difference,
    )


def _edits(reference: Sequence[str], prediction: Prediction) -> int:
    return edit_distance(reference, (prediction.text or "").split())


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Upper bounds; None means that a figure is recorded and not bounded.

    ``absolute_error`` and ``relative_error`` bound the logits over the synthetic signals, the second in units of the
    largest logit of the original. The others bound what a user notices on real clips: ``changed_results`` the share of
    clips with another transcript or class, ``wer_increase`` and ``accuracy_drop`` the plain differences of the rates.

    A rate over few clips moves in large steps: one clip of 240 is 0.0042, more than 0.003, and means nothing, since the
    interval of a difference of one clip always holds zero. ``allowed_changes`` words or clips, counted net, are
    therefore within every budget, however few clips there are; the certificate shows the interval.
    """

    absolute_error: float | None = None
    relative_error: float | None = None
    changed_results: float | None = None
    wer_increase: float | None = None
    accuracy_drop: float | None = None
    allowed_changes: int = 0

    def allowed(self, steps: Mapping[str, float] | None = None) -> dict[str, float]:
        """The upper bound of each bounded figure.

        Args:
            steps: for each rate, how far one word or one clip moves it; ``allowed_changes`` such steps are allowed.
        """
        limits = {name: getattr(self, name) for name in BOUNDED}
        return {
            name: max(limit, self.allowed_changes * (steps or {}).get(name, 0.0))
            for name, limit in limits.items()
            if limit is not None
        }

    def violations(self, measured: Mapping[str, float], steps: Mapping[str, float] | None = None) -> list[str]:
        """Each figure that exceeds its bound, as text; figures that were not measured are skipped.

        Args:
            measured: figures by name.
            steps: as in ``allowed``.
        """
        return [
            f"{name.replace('_', ' ')} {measured[name]:.4g}, {limit:.3g} allowed"
            for name, limit in self.allowed(steps).items()
            if name in measured and exceeds(measured[name], limit)
        ]


def exceeds(value: float, limit: float) -> bool:
    """Whether a figure exceeds its limit; NaN exceeds every limit."""
    return not value <= limit + ROUNDING
