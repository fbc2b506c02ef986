"""From the outputs of a model's heads to a result: transcript, class, labels of frames, embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import CtcHead, FrameClassificationHead, Heads
from wav2edge.decoding.ctc import FloatArray, Token, best_path, join_words, mean_confidence, softmax, tempered
from wav2edge.output.result import FrameLabel, Result

if TYPE_CHECKING:
    from wav2edge.decoding.hypothesis import Decoder


def interpret(
    outputs: Mapping[str, FloatArray],
    heads: Heads,
    geometry: ConvGeometry,
    *,
    duration_s: float,
    warnings: tuple[str, ...] = (),
    decoder: Decoder | None = None,
    temperatures: Mapping[str, float] | None = None,
) -> Result:
    """The result of one clip.

    Args:
        outputs: for each head's output name, ``[frames, vocabulary]`` (CTC), ``[classes]`` (classification),
            ``[frames, labels]`` (labels of frames) or ``[size]`` (embedding).
        heads: what the outputs mean.
        geometry: the duration of a frame.
        duration_s: length of the clip.
        warnings: remarks about its audio.
        decoder: turns the logits into a transcript; the best token of each frame where None.
        temperatures: what each head's logits are divided by before they become confidences and scores, by the head's
            name; nothing is where None. Transcript and label do not depend on it.
    """
    found: dict[str, Any] = {}
    temperatures = temperatures or {}
    if heads.frame_classification is not None:
        logits = outputs[heads.frame_classification.output]
        labels = frame_labels(logits, heads.frame_classification, geometry.frame_s)
        found |= {"frame_labels": labels, "confidence": _mean_confidence(labels)}
    if heads.embedding is not None:
        found["embedding"] = tuple(outputs[heads.embedding.output].tolist())
    if heads.classification is not None:
        probabilities = softmax(outputs[heads.classification.output] / temperatures.get("classification", 1.0))
        scores = {label: float(p) for label, p in zip(heads.classification.labels, probabilities, strict=True)}
        found |= {"scores": scores, "confidence": max(scores.values())}
    if heads.ctc is not None:
        found |= _transcript(outputs[heads.ctc.output], heads.ctc, geometry, decoder, temperatures.get("ctc"))
    return Result(duration_s=duration_s, warnings=warnings, **found)


def _transcript(
    logits: FloatArray, head: CtcHead, geometry: ConvGeometry, decoder: Decoder | None, temperature: float | None
) -> dict[str, Any]:
    """The fields of a result that a CTC head gives."""
    tokens: Sequence[Token]
    confidence, rejected = None, False
    if decoder is None:
        tokens = best_path(logits, head)
    else:
        best = decoder.decode(logits, head)[0]
        tokens, confidence, rejected = best.tokens, best.confidence, best.rejected
    if temperature is not None:
        tokens = tempered(tokens, logits, head, temperature)
    words = join_words(tokens, head, geometry.frame_s)
    return {
        "text": " ".join(word.text for word in words),
        "words": words,
        "confidence": mean_confidence(words) if confidence is None else confidence,
        "rejected": rejected,
    }


def _mean_confidence(labels: Sequence[FrameLabel]) -> float:
    """The mean of labels' confidences, weighted by duration; 1 without labels."""
    durations_s = [each.end_s - each.start_s for each in labels]
    weighed = (each.confidence * duration_s for each, duration_s in zip(labels, durations_s, strict=True))
    return sum(weighed) / sum(durations_s) if labels else 1.0


def frame_labels(logits: FloatArray, head: FrameClassificationHead, frame_s: float) -> tuple[FrameLabel, ...]:
    """The stretches of frames that have a label, in order of their starts; those of several labels may overlap.

    Args:
        logits: ``[frames, labels]``.
        head: what the columns mean, and whether a frame has one label or any number of them.
        frame_s: seconds from one frame to the next.
    """
    probabilities, present = decide_frames(logits, head)
    found = []
    for column, label in enumerate(head.labels):
        edges = np.flatnonzero(np.diff(present[:, column], prepend=False, append=False))
        for start, end in edges.reshape(-1, 2).tolist():
            confidence = float(probabilities[start:end, column].mean())
            stretch = FrameLabel(label=label, start_s=start * frame_s, end_s=end * frame_s, confidence=confidence)
            found.append(stretch)
    return tuple(sorted(found, key=lambda each: each.start_s))


def decide_frames(
    logits: FloatArray, head: FrameClassificationHead
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """The probability of each label in each frame, and whether the frame has it: ``[frames, labels]`` both."""
    if not head.exclusive:
        probabilities = (1 + np.tanh(np.asarray(logits, np.float64) / 2)) / 2  # the sigmoid, without overflow
        return probabilities, logits > 0
    probabilities = softmax(logits)
    return probabilities, np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None]
