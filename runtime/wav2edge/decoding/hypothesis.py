"""What every decoder takes and gives, and what they share: spelling, log probabilities, the frames of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.alignment import viterbi
from wav2edge.decoding.ctc import (
    FloatArray,
    Token,
    best_path,
    cased,
    log_softmax,
    softmax,
    spell_word,
    token_of,
    written_columns,
)
from wav2edge.errors import UsageError

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hypothesis:
    """A transcript: its tokens with their frames, and its natural-log score.

    ``confidence`` is the decoder's own, from 0 to 1; None: the decoder has none, and that of the tokens stands.
    ``rejected``: the decoder found nothing that is sure enough.
    """

    tokens: tuple[Token, ...]
    score: float
    confidence: float | None = None
    rejected: bool = False


class Decoder(Protocol):
    """Turns the logits of a clip into transcripts."""

    def decode(self, logits: FloatArray, head: CtcHead) -> list[Hypothesis]:
        """Transcripts, best first, at least one.

        Args:
            logits: ``[frames, vocabulary]``.
            head: what the columns mean.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """The best token of each frame; its score is that of the best path."""

    def decode(self, logits: FloatArray, head: CtcHead) -> list[Hypothesis]:
        """The best path as the only transcript."""
        score = float(np.log(softmax(logits).max(axis=-1)).sum()) if len(logits) else 0.0
        return [Hypothesis(tuple(best_path(logits, head)), score)]


def log_probabilities(logits: FloatArray, head: CtcHead) -> Scores:
    """``[frames, vocabulary]`` natural logs, in which the silent tokens have gone into the blank.

    A silent token is not written and separates equal tokens, as the blank does: every path keeps its transcript.
    """
    scores = log_softmax(logits)
    silent = sorted(head.silent_ids - {head.blank_id})
    if silent:
        scores[:, head.blank_id] = np.logaddexp.reduce(scores[:, [head.blank_id, *silent]], axis=1)
        scores[:, silent] = -np.inf
    return scores


def spell(text: str, head: CtcHead) -> tuple[int, ...]:
    """Token ids of a text: the longest token first, words separated by the delimiter.

    Raises:
        UsageError: the text is empty, or the vocabulary cannot spell it; the message has each character.
    """
    columns = written_columns(head)
    words = [spell_word(word, columns) for word in cased(text, head).split()]
    if missing := sorted({character for _, characters in words for character in characters}):
        known, unknown = " ".join(sorted(columns)), ", ".join(map(repr, missing))
        raise UsageError(f"{text!r}: the vocabulary has no {unknown}; write it with {known}")
    if not words:
        raise UsageError("an empty phrase; give at least one word")
    between = () if head.delimiter_id is None else (head.delimiter_id,)
    spelt = [number for ids, _ in words for number in (*between, *ids)]
    return tuple(spelt[len(between) :])


def aligned(scores: Scores, ids: Sequence[int], head: CtcHead) -> tuple[Token, ...]:
    """The tokens ``ids`` with their frames on the best path through ``scores: [frames, vocabulary]``."""
    if not ids:
        return ()
    states = viterbi(scores, ids, head.blank_id)
    found = []
    for place, number in enumerate(ids):
        # States alternate between the blank and the tokens: the token at a place is state 2 * place + 1.
        frames = np.flatnonzero(states == 2 * place + 1)
        start, end = int(frames[0]), int(frames[-1]) + 1
        found.append(token_of(head.vocabulary[number], start, scores[start:end, number]))
    return tuple(found)
