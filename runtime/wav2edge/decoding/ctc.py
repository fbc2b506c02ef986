"""Greedy CTC decoding: from logits to tokens and words with times and confidences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.heads import CtcHead
from wav2edge.output.result import Word

FloatArray = npt.NDArray[np.floating]


def softmax(logits: FloatArray) -> npt.NDArray[np.float64]:
    """Probabilities along the last axis, in float64, without overflow for large logits."""
    shifted = np.asarray(logits, np.float64)
    shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    probabilities: npt.NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities


def log_softmax(logits: FloatArray) -> npt.NDArray[np.float64]:
    """Log probabilities along the last axis, in float64."""
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    logarithms: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logarithms


@dataclass(frozen=True)
class Token:
    """A token of the best path: frames ``start`` to ``end`` (exclusive), and its mean log probability there."""

    text: str
    start: int
    end: int
    log_probability: float


def collapse(ids: npt.NDArray[np.integer], blank_id: int) -> list[int]:
    """Token ids of a path ``ids: [frames]``: repeats merged, then blanks dropped (Graves et al., ICML 2006, 3.1)."""
    first = np.r_[True, ids[1:] != ids[:-1]][: len(ids)]
    return [int(i) for i in ids[first] if i != blank_id]


def best_path(logits: FloatArray, head: CtcHead) -> list[Token]:
    """Greedy CTC: the best token of each frame, repeats merged, blanks and silent tokens dropped.

    Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2.

    Args:
        logits: ``[frames, vocabulary]``.
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


def cased(text: str, head: CtcHead) -> str:
    """The text in the letter case of transcripts."""
    return text.lower() if head.lower_case else text


def written_columns(head: CtcHead) -> dict[str, int]:
    """The column of each token that is written inside a word, by its text."""
    unwritten = head.silent_ids | {head.blank_id}
    return {
        cased(token, head): place
        for place, token in enumerate(head.vocabulary)
        if place not in unwritten and token != head.word_delimiter
    }


def spell_word(word: str, columns: dict[str, int]) -> tuple[tuple[int, ...], list[str]]:
    """The columns of a word, at each place the longest token that fits; and the characters that begin none."""
    longest, ids, unknown = max(map(len, columns), default=0), [], []
    while word:
        token = next((word[:size] for size in range(longest, 0, -1) if word[:size] in columns), None)
        if token is None:
            unknown.append(word[0])
        else:
            ids.append(columns[token])
        word = word[len(token or word[0]) :]
    return tuple(ids), unknown


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
                    text=cased(text, head),
                    start_s=current[0].start * frame_s,
                    end_s=current[-1].end * frame_s,
                    confidence=geometric_mean_probability(current),
                )
            )
            current = []
    return tuple(words)


def geometric_mean_probability(tokens: Sequence[Token]) -> float:
    """Geometric mean of the probabilities of a path's tokens; 1 for an empty path."""
    return float(np.exp(np.mean([token.log_probability for token in tokens]))) if tokens else 1.0
