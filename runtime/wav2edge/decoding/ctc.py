"""From the outputs of a graph to an answer: greedy CTC with times and confidences, and class probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import CtcHead, Heads
from wav2edge.output.result import Result, Word

FloatArray = npt.NDArray[np.floating]


def softmax(logits: FloatArray) -> npt.NDArray[np.float64]:
    """Probabilities along the last axis, in float64, safe for large logits."""
    shifted = np.asarray(logits, np.float64)
    shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    probabilities: npt.NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities


@dataclass(frozen=True)
class Token:
    """A token of the best path: frames ``start`` to ``end`` (exclusive), and its mean log probability there."""

    text: str
    start: int
    end: int
    log_probability: float


def best_path(logits: FloatArray, head: CtcHead) -> list[Token]:
    """Greedy CTC: the best token of each frame, repeats joined, blanks and silent tokens dropped.

    Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2.

    Args:
        logits: ``[frames, vocabulary]`` unnormalised scores.
        head: the vocabulary and its blank.
    """
    if len(logits) == 0:
        return []
    ids = logits.argmax(axis=-1)
    log_probabilities = np.log(softmax(logits)[np.arange(len(ids)), ids])
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    ends = np.r_[starts[1:], len(ids)]
    unwritten = head.silent_ids | {head.blank_id}
    return [
        Token(head.vocabulary[ids[start]], int(start), int(end), float(log_probabilities[start:end].mean()))
        for start, end in zip(starts, ends, strict=True)
        if int(ids[start]) not in unwritten
    ]


def join_words(tokens: Sequence[Token], head: CtcHead, frame_s: float) -> tuple[Word, ...]:
    """Words between delimiters, with their times in seconds from the start of the clip."""
    words: list[Word] = []
    current: list[Token] = []
    for token in [*tokens, None]:
        if token is not None and token.text != head.word_delimiter:
            current.append(token)
        elif current:
            text = "".join(part.text for part in current)
            words.append(
                Word(
                    text=text.lower() if head.lower_case else text,
                    start_s=current[0].start * frame_s,
                    end_s=current[-1].end * frame_s,
                    confidence=_geometric_mean(current),
                )
            )
            current = []
    return tuple(words)


def _geometric_mean(tokens: Sequence[Token]) -> float:
    return float(np.exp(np.mean([token.log_probability for token in tokens]))) if tokens else 1.0


def answer(
    outputs: Mapping[str, FloatArray],
    heads: Heads,
    geometry: ConvGeometry,
    *,
    duration_s: float,
    warnings: tuple[str, ...] = (),
) -> Result:
    """Read the outputs for one clip.

    Args:
        outputs: for each head's output name, ``[frames, vocabulary]`` (CTC) or ``[classes]`` (classification).
        heads: what the outputs mean.
        geometry: how frames become seconds.
        duration_s: length of the clip.
        warnings: what was noticed about its audio.
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
        confidence = _geometric_mean(tokens)
    return Result(
        duration_s=duration_s, text=text, words=words, scores=scores, confidence=confidence, warnings=warnings
    )
