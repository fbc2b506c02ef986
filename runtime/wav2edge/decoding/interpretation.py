"""From the outputs of a graph to a result: transcript, words and class scores."""

from __future__ import annotations

from collections.abc import Mapping

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.decoding.ctc import FloatArray, best_path, geometric_mean_probability, join_words, softmax
from wav2edge.output.result import Result


def interpret(
    outputs: Mapping[str, FloatArray],
    heads: Heads,
    geometry: ConvGeometry,
    *,
    duration_s: float,
    warnings: tuple[str, ...] = (),
) -> Result:
    """The result of one clip.

    Args:
        outputs: for each head's output name, ``[frames, vocabulary]`` (CTC) or ``[classes]`` (classification).
        heads: what the outputs mean.
        geometry: the duration of a frame.
        duration_s: length of the clip.
        warnings: remarks about its audio.
    """
    text = words = scores = None
    confidence = 1.0
    if heads.classification is not None:
        probabilities = softmax(outputs[heads.classification.output])
        scores = {label: float(p) for label, p in zip(heads.classification.labels, probabilities, strict=True)}
        confidence = max(scores.values())
    if heads.ctc is not None:
        tokens = best_path(outputs[heads.ctc.output], heads.ctc)
        words = join_words(tokens, heads.ctc, geometry.frame_s)
        text = " ".join(word.text for word in words)
        confidence = geometric_mean_probability(tokens)
    return Result(
        duration_s=duration_s, text=text, words=words, scores=scores, confidence=confidence, warnings=warnings
    )
