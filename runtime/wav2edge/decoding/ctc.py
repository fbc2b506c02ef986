"""From logits to results: the tokens of greedy CTC, words with times and confidences, class scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import CtcHead, Heads
from wav2edge.output.result import Result, Word

if TYPE_CHECKING:
    from wav2edge.decoding.hypothesis import Decoder

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
    """A token of a transcript: its frames, ``end`` exclusive, and its log probability in the ``surest`` of them."""

    text: str
    start: int
    end: int
    log_probability: float
    surest: int


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
    log_probabilities = log_softmax(logits)[np.arange(len(ids)), ids]
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    ends = np.r_[starts[1:], len(ids)]
    unwritten = head.silent_ids | {head.blank_id}
    return [
        token_of(head.vocabulary[ids[start]], int(start), log_probabilities[start:end])
        for start, end in zip(starts, ends, strict=True)
        if int(ids[start]) not in unwritten
    ]


def token_of(text: str, start: int, log_probabilities: npt.NDArray[np.float64]) -> Token:
    """The token whose frames from ``start`` on have these log probabilities, ``[frames]``."""
    surest = int(log_probabilities.argmax())
    return Token(text, start, start + len(log_probabilities), float(log_probabilities[surest]), start + surest)


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
    return tuple(
        Word(
            text=cased("".join(token.text for token in word), head),
            start_s=word[0].start * frame_s,
            end_s=word[-1].end * frame_s,
            confidence=word_confidence(word),
        )
        for word in tokens_by_word(tokens, head)
    )


def tokens_by_word(tokens: Sequence[Token], head: CtcHead) -> list[list[Token]]:
    """The tokens of each word: those between delimiters."""
    words: list[list[Token]] = [[]]
    for token in tokens:
        if token.text == head.word_delimiter:
            words.append([])
        else:
            words[-1].append(token)
    return [word for word in words if word]


def word_confidence(tokens: Sequence[Token]) -> float:
    """How surely a word is right: the product of its tokens' probabilities, since one wrong token makes it wrong.

    Of a token the surest frame counts: CTC can be unsure of where a token begins and ends, and sure of the token.
    """
    return float(np.exp(sum(token.log_probability for token in tokens)))


def mean_confidence(words: Sequence[Word]) -> float:
    """The share of words that are right, as far as their confidences tell; 1 without words."""
    return fmean(word.confidence for word in words) if words else 1.0


def surest_rows(tokens: Sequence[Token], logits: FloatArray, head: CtcHead) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """The logits in each token's surest frame, ``[tokens, vocabulary]``, and the token's column there, ``[tokens]``."""
    columns = [head.vocabulary.index(token.text) for token in tokens]
    return logits[[token.surest for token in tokens]], np.array(columns, np.intp)


def tempered(tokens: Sequence[Token], logits: FloatArray, head: CtcHead, temperature: float) -> list[Token]:
    """The same tokens with log probabilities from ``logits / temperature`` (Guo et al., ICML 2017, section 4.2)."""
    if not tokens:
        return []
    rows, columns = surest_rows(tokens, logits, head)
    scores = log_softmax(rows / temperature)[np.arange(len(columns)), columns].tolist()
    return [
        Token(token.text, token.start, token.end, score, token.surest)
        for token, score in zip(tokens, scores, strict=True)
    ]


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
        outputs: for each head's output name, ``[frames, vocabulary]`` (CTC) or ``[classes]`` (classification).
        heads: what the outputs mean.
        geometry: the duration of a frame.
        duration_s: length of the clip.
        warnings: remarks about its audio.
        decoder: turns the logits into a transcript; the best token of each frame where None.
        temperatures: what each head's logits are divided by before they become confidences and scores, by the head's
            name; nothing is where None. Transcript and label do not depend on it.
    """
    text = words = scores = None
    confidence, rejected = 1.0, False
    temperatures = temperatures or {}
    if heads.classification is not None:
        logits = outputs[heads.classification.output]
        probabilities = softmax(logits / temperatures.get("classification", 1.0))
        scores = {label: float(p) for label, p in zip(heads.classification.labels, probabilities, strict=True)}
        confidence = max(scores.values())
    if heads.ctc is not None:
        tokens: Sequence[Token]
        logits = outputs[heads.ctc.output]
        if decoder is None:
            tokens, own = best_path(logits, heads.ctc), None
        else:
            best = decoder.decode(logits, heads.ctc)[0]
            tokens, own, rejected = best.tokens, best.confidence, best.rejected
        if "ctc" in temperatures:
            tokens = tempered(tokens, logits, heads.ctc, temperatures["ctc"])
        words = join_words(tokens, heads.ctc, geometry.frame_s)
        text = " ".join(word.text for word in words)
        confidence = mean_confidence(words) if own is None else own
    return Result(
        duration_s=duration_s,
        text=text,
        words=words,
        scores=scores,
        confidence=confidence,
        rejected=rejected,
        warnings=warnings,
    )
