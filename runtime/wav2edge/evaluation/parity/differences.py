"""Original against variant: the differences on synthetic signals and on real clips, and how large they may be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import Clip, load_clip
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import EmbeddingHead, Heads
from wav2edge.evaluation.parity.signals import SyntheticSignal
from wav2edge.evaluation.rates import edit_distance
from wav2edge.inference.interpretation import decide_frames, interpret
from wav2edge.output.result import Result

if TYPE_CHECKING:
    from wav2edge.evaluation.dataset import Utterance


Outputs = Mapping[str, npt.NDArray[np.floating]]
Model = Callable[[npt.NDArray[np.float32]], Outputs]
"""From samples ``[samples] float32`` to each head's output, without its batch axis."""


BOUNDED = (
    "absolute_error",
    "relative_error",
    "changed_results",
    "wer_increase",
    "accuracy_drop",
    "embedding_distance",
)
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
    original's output; of an embedding, whose direction alone matters, both are the second. ``frame_agreement`` is the
    share of frames with the same best token, or the same labels; None without a head that answers frame by frame.
    """

    absolute_error: float
    relative_error: float
    frame_agreement: float | None


def compare_outputs(original: Outputs, variant: Outputs, heads: Heads) -> OutputDifference:
    """The largest difference over all outputs; infinite where shapes differ or the variant's output is not finite."""
    absolute, relative = 0.0, 0.0
    for head in heads.by_name.values():
        name = head.output
        # NaN compares as no difference at all: it must not reach the comparison.
        if original[name].shape != variant[name].shape or not np.isfinite(variant[name]).all():
            return OutputDifference(absolute_error=float("inf"), relative_error=float("inf"), frame_agreement=0.0)
        difference = float(np.abs(original[name] - variant[name]).max())
        share = difference / max(1e-12, float(np.abs(original[name]).max()))
        absolute = max(absolute, share if isinstance(head, EmbeddingHead) else difference)
        relative = max(relative, share)
    return OutputDifference(
        absolute_error=absolute, relative_error=relative, frame_agreement=_agreement(original, variant, heads)
    )


def _agreement(original: Outputs, variant: Outputs, heads: Heads) -> float | None:
    if heads.ctc is not None:
        name = heads.ctc.output
        return float(np.mean(original[name].argmax(-1) == variant[name].argmax(-1)))
    if heads.frame_classification is not None:
        head = heads.frame_classification
        (_, first), (_, second) = (decide_frames(outputs[head.output], head) for outputs in (original, variant))
        return float(np.mean((first == second).all(axis=1)))
    return None


def compare_on_signals(
    original: Model, variant: Model, heads: Heads, signals: Iterable[SyntheticSignal]
) -> dict[str, OutputDifference]:
    """The difference on each signal, by the signal's name."""
    return {each.name: compare_outputs(original(each.samples), variant(each.samples), heads) for each in signals}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What was predicted for one clip; None without the head for it.

    ``frame_labels`` are label, start and end of each stretch, in seconds.
    """

    text: str | None
    label: str | None
    frame_labels: tuple[tuple[str, float, float], ...] | None = None
    embedding: tuple[float, ...] | None = None

    @classmethod
    def of(cls, result: Result) -> Prediction:
        """The prediction in a result."""
        stretches, numbers = result.frame_labels, result.embedding
        timed = tuple((each.label, round(each.start_s, 4), round(each.end_s, 4)) for each in stretches or ())
        return cls(
            text=result.text,
            label=result.label,
            frame_labels=None if stretches is None else timed,
            embedding=None if numbers is None else tuple(float(f"{number:.7g}") for number in numbers),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; of heads that few models have, only those that are there."""
        written = {"text": self.text, "label": self.label}
        rare = {"frame_labels": self.frame_labels, "embedding": self.embedding}
        return {**written, **{name: value for name, value in rare.items() if value is not None}}

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Prediction:
        """Read it back from JSON, which has no tuples."""
        stretches, numbers = written.get("frame_labels"), written.get("embedding")
        return cls(
            text=written["text"],
            label=written["label"],
            frame_labels=None if stretches is None else tuple((label, *times) for label, *times in stretches),
            embedding=None if numbers is None else tuple(numbers),
        )


@dataclass(frozen=True, kw_only=True)
class ClipComparison:
    """One real clip recognised by both.

    ``edits`` and ``hits`` (original, variant) are None where the data has no transcript or label, ``difference`` where
    the original's prediction is recorded and its outputs are not, the last two without a head for them.
    """

    duration_s: float
    transcript_changed: bool
    class_changed: bool
    words: int | None
    edits: tuple[int, int] | None
    hits: tuple[bool, bool] | None
    difference: OutputDifference | None = None
    frame_labels_changed: bool | None = None
    embedding_distance: float | None = None


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
    clip = load_answerable(row, heads, geometry)
    outputs = original(clip.samples), variant(clip.samples)
    observe(row, *outputs)
    first, second = (Prediction.of(interpret(each, heads, geometry, duration_s=clip.duration_s)) for each in outputs)
    difference = compare_outputs(*outputs, heads)
    return compare_predictions(first, second, row, duration_s=clip.duration_s, difference=difference)


def load_answerable(row: Utterance, heads: Heads, geometry: ConvGeometry) -> Clip:
    """The clip of a row.

    Raises:
        AudioError: it cannot be used, or is too short for the model.
    """
    clip = load_clip(row.path)
    if heads.fewest_frames > 1:
        from wav2edge.inference.recordings import require_length  # here: few models need more than a frame

        require_length(clip, str(row.path), geometry.shortest(heads.fewest_frames))
    return clip


def cosine_distance(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """One minus the cosine of the angle between two vectors; infinite where one of them has no direction."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return max(0.0, 1.0 - float(a @ b) / lengths) if np.isfinite(lengths) and lengths > 0 else float("inf")


def compare_predictions(
    original: Prediction,
    variant: Prediction,
    row: Utterance,
    *,
    duration_s: float,
    difference: OutputDifference | None = None,
) -> ClipComparison:
    """Compare both predictions for a clip with each other and with its row of the data set."""
    words = edits = hits = distance = None
    if row.transcription is not None and original.text is not None:
        reference = row.transcription.split()
        words, edits = len(reference), (_edits(reference, original), _edits(reference, variant))
    if row.label is not None and original.label is not None:
        hits = original.label == row.label, variant.label == row.label
    if original.embedding is not None and variant.embedding is not None:
        distance = cosine_distance(original.embedding, variant.embedding)
    return ClipComparison(
        duration_s=duration_s,
        transcript_changed=original.text != variant.text,
        class_changed=original.label != variant.label,
        words=words,
        edits=edits,
        hits=hits,
        difference=difference,
        frame_labels_changed=None if original.frame_labels is None else original.frame_labels != variant.frame_labels,
        embedding_distance=distance,
    )


def _edits(reference: Sequence[str], prediction: Prediction) -> int:
    return edit_distance(reference, (prediction.text or "").split())


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Upper bounds; None means that a figure is recorded and not bounded.

    ``absolute_error`` and ``relative_error`` bound the logits over the synthetic signals, the second in units of the
    largest logit of the original. The others bound what a user notices on real clips: ``changed_results`` the share of
    clips with another transcript, class or label of a frame, ``wer_increase`` and ``accuracy_drop`` the plain
    differences of the rates, ``embedding_distance`` the cosine distance of a clip's two embeddings.

    A rate over few clips moves in large steps: one clip of 240 is 0.0042, more than 0.003, and means nothing, since the
    interval of a difference of one clip always holds zero. ``allowed_changes`` words or clips, counted net, are
    therefore within every budget, however few clips there are; the certificate shows the interval.
    """

    absolute_error: float | None = None
    relative_error: float | None = None
    changed_results: float | None = None
    wer_increase: float | None = None
    accuracy_drop: float | None = None
    embedding_distance: float | None = None
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
