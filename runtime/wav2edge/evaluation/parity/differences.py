"""Original against variant: what differs on the grid and on real clips."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.decoding.interpretation import interpret
from wav2edge.evaluation.dataset import Utterance
from wav2edge.evaluation.parity.signals import GridCase
from wav2edge.evaluation.wer import edit_distance
from wav2edge.output.result import Result

Outputs = Mapping[str, npt.NDArray[np.floating]]
Model = Callable[[npt.NDArray[np.float32]], Outputs]
"""Samples ``[samples] float32`` in, each head's output without its batch axis out."""


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
class Answer:
    """What a person gets to see of an answer; None without the head for it."""

    text: str | None
    label: str | None

    @classmethod
    def of(cls, result: Result) -> Answer:
        """The answer in a result."""
        return cls(text=result.text, label=result.label)


@dataclass(frozen=True, kw_only=True)
class ClipComparison:
    """One real clip answered by both.

    ``edits`` and ``hits`` are None where the data has no transcription or label, ``difference`` where only the
    original's answer is known and not its outputs.
    """

    transcript_changed: bool
    class_changed: bool
    words: int | None
    edits: tuple[int, int] | None
    hits: tuple[bool, bool] | None
    difference: OutputDifference | None = None


def compare_clip(
    original: Model, variant: Model, heads: Heads, geometry: ConvGeometry, row: Utterance
) -> ClipComparison:
    """Answer one clip with both.

    Raises:
        AudioError: the clip cannot be answered.
    """
    clip = load_clip(row.path)
    outputs = original(clip.samples), variant(clip.samples)
    first, second = (Answer.of(interpret(each, heads, geometry, duration_s=clip.duration_s)) for each in outputs)
    return compare_answers(first, second, row, difference=compare_outputs(*outputs, heads))


def compare_answers(
    original: Answer, variant: Answer, row: Utterance, *, difference: OutputDifference | None = None
) -> ClipComparison:
    """Hold both answers to a clip against each other, and against what its row of the data set says."""
    words = edits = hits = None
    if row.transcription is not None and original.text is not None:
        reference = row.transcription.split()
        words, edits = len(reference), (_edits(reference, original), _edits(reference, variant))
    if row.label is not None and original.label is not None:
        hits = original.label == row.label, variant.label == row.label
    return ClipComparison(
        transcript_changed=original.text != variant.text,
        class_changed=original.label != variant.label,
        words=words,
        edits=edits,
        hits=hits,
        difference=difference,
    )


def _edits(reference: Sequence[str], heard: Answer) -> int:
    return edit_distance(reference, (heard.text or "").split())
