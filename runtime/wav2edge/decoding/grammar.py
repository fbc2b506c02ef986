"""Recognition of a closed list of phrases: each scored by the sum over its paths, and rejected where it does not fit.

The phrases are a prefix tree through which CTC's forward scores pass (Graves et al., ICML 2006, section 4.1; token
passing over a tree: Young, Russell and Thornton, CUED/F-INFENG/TR.38, 1989).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.ctc import FloatArray, collapse
from wav2edge.decoding.hypothesis import Hypothesis, aligned, log_probabilities, spell
from wav2edge.errors import UsageError

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

LEAST = -1e3
"""Stands for the logarithm of 0 where it is multiplied by 0."""


@dataclass(frozen=True)
class Grammar:
    """The likeliest of the given phrases; its score is log P(phrase | sound), summed over its paths.

    Two numbers say how sure that is. The ``fit``, which ``least_fit`` bounds, asks whether anything in the grammar was
    said, and does not mind that two phrases sound alike. The confidence asks whether it was this phrase: the fit times
    its share among the phrases and the best free transcript.
    """

    phrases: Sequence[str]
    """Phrases of words; white space separates words."""
    n_best: int = 1
    least_fit: float = 0.0
    """From 0 to 1; a clip that fits less is rejected, with its fit as the confidence."""

    def __post_init__(self) -> None:
        if isinstance(self.phrases, str):
            raise UsageError(f"phrases is one text, {self.phrases!r}; give a list of phrases")
        object.__setattr__(self, "phrases", tuple(" ".join(phrase.split()) for phrase in self.phrases))
        if not self.phrases:
            raise UsageError("a grammar without phrases; give at least one")
        if repeated := sorted({phrase for phrase in self.phrases if self.phrases.count(phrase) > 1}):
            raise UsageError(f"the phrase {repeated[0]!r} stands in the grammar twice; leave one out")
        if self.n_best < 1:
            raise UsageError(f"n_best is {self.n_best}; it must be at least 1")
        if not 0 <= self.least_fit <= 1:
            raise UsageError(f"least_fit is {self.least_fit}; give a fit from 0 to 1")

    def decode(self, logits: FloatArray, head: CtcHead) -> list[Hypothesis]:
        """The ``n_best`` likeliest phrases, best first; one empty transcript where the best is rejected.

        Args:
            logits: ``[frames, vocabulary]``.
            head: what the columns mean.

        Raises:
            UsageError: the vocabulary cannot spell a phrase; a line for each such phrase.
        """
        tree = phrase_tree(tuple(self.phrases), head)
        scores = log_probabilities(logits, head)
        totals = tree.forward(scores, head)
        possible = np.flatnonzero(totals > -np.inf)
        best = possible[np.argsort(-totals[possible], kind="stable")][: self.n_best]
        fit = _fit(totals, scores)
        if best.size == 0 or fit < self.least_fit:
            return [Hypothesis((), float(totals.max()), fit, rejected=True)]
        confidences = fit * _shares(totals, scores, head, tree)
        return [
            Hypothesis(aligned(scores, tree.spelt[phrase], head), float(totals[phrase]), float(confidences[phrase]))
            for phrase in best.tolist()
        ]

    def fit(self, logits: FloatArray, head: CtcHead) -> float:
        """How well the grammar explains a clip, from 0 to 1; arguments and errors are those of ``decode``."""
        scores = log_probabilities(logits, head)
        return _fit(phrase_tree(tuple(self.phrases), head).forward(scores, head), scores)


def _fit(totals: Scores, scores: Scores) -> float:
    """P(any phrase | sound) per frame, times how certain the frames are.

    CTC's probabilities of all transcripts sum to 1, so that of the phrases is their ratio to a free loop of tokens
    already; per frame, so that long clips do not fit less. Where the network knows nothing else than the phrases it
    answers unknown sounds with one of them, and only the entropy of its frames tells: Williams and Renals, "Confidence
    measures from local posterior probability estimates", Computer Speech and Language 13(4), 1999.

    Args:
        totals: ``[phrases]`` log probabilities.
        scores: ``[frames, vocabulary]`` log probabilities.
    """
    if len(scores) == 0 or totals.max() == -np.inf:
        return 0.0
    entropy = -(np.exp(scores) * np.maximum(scores, LEAST)).sum(axis=1).mean()
    certainty = 1 - entropy / math.log(scores.shape[1])
    return float(np.exp(min(0.0, np.logaddexp.reduce(totals) / len(scores))) * certainty)


def _shares(totals: Scores, scores: Scores, head: CtcHead, tree: PhraseTree) -> Scores:
    """Probability of each phrase among all of them and the best free transcript: ``[phrases]``."""
    rivals = totals
    free = _trimmed(tuple(collapse(scores.argmax(axis=1), head.blank_id)), head)
    if free not in tree.spelt:
        rivals = np.append(totals, PhraseTree.of([free]).forward(scores, head))
    shares: Scores = np.exp(totals - np.logaddexp.reduce(rivals))
    return shares


@lru_cache(maxsize=8)
def phrase_tree(phrases: tuple[str, ...], head: CtcHead) -> PhraseTree:
    """The tree of phrases, kept from clip to clip.

    Raises:
        UsageError: the vocabulary cannot spell a phrase; a line for each such phrase.
    """
    spelt, missing = [], []
    for phrase in phrases:
        try:
            spelt.append(spell(phrase, head))
        except UsageError as error:
            missing.append(str(error))
    if missing:
        raise UsageError("\n".join(missing))
    return PhraseTree.of(spelt)


@dataclass(frozen=True, kw_only=True, eq=False)
class PhraseTree:
    """Phrases whose beginnings are shared; node 0 is the empty beginning."""

    spelt: tuple[tuple[int, ...], ...]
    """The tokens of each phrase."""
    parents: Ints
    """``[nodes]``."""
    tokens: Ints
    """``[nodes]``; -1 for the empty beginning."""
    ends: Ints
    """``[phrases]`` the node of each whole phrase."""

    @classmethod
    def of(cls, spelt: Sequence[tuple[int, ...]]) -> PhraseTree:
        """The tree of phrases given by their tokens."""
        numbers: dict[tuple[int, int], int] = {}
        ends = []
        for ids in spelt:
            node = 0
            for token in ids:
                node = numbers.setdefault((node, token), len(numbers) + 1)
            ends.append(node)
        pairs = np.array([(0, -1), *numbers], np.int64)
        return cls(spelt=tuple(spelt), parents=pairs[:, 0], tokens=pairs[:, 1], ends=np.array(ends, np.int64))

    def forward(self, scores: Scores, head: CtcHead) -> Scores:
        """Log probability of each phrase, with word delimiters around it or without: ``[phrases]``.

        Every frame treats all nodes at once: paths that end in a node's token, and those with blanks after it.

        Args:
            scores: ``[frames, vocabulary]`` natural-log probabilities.
            head: the blank and the word delimiter.
        """
        delimiter = head.delimiter_id
        repeats = self.tokens == self.tokens[self.parents]
        blank, token = np.full(len(self.tokens), -np.inf), np.full(len(self.tokens), -np.inf)
        blank[0], after = 0.0, np.full(len(self.ends), -np.inf)
        for frame in scores:
            border = -np.inf if delimiter is None else frame[delimiter]
            pause = np.logaddexp(frame[head.blank_id], border)
            either = np.logaddexp(blank, token)
            # A token that follows itself needs a blank between.
            entered = np.where(repeats, blank[self.parents], either[self.parents])
            entered[0] = -np.inf
            after = np.logaddexp(after + pause, either[self.ends] + border)
            before = blank[0] + pause
            token, blank = np.logaddexp(token, entered) + frame[self.tokens], either + frame[head.blank_id]
            blank[0] = before
        totals: Scores = np.logaddexp(np.logaddexp(blank, token)[self.ends], after)
        return totals


def _trimmed(ids: tuple[int, ...], head: CtcHead) -> tuple[int, ...]:
    """Tokens without word delimiters at the ends."""
    delimiter = head.delimiter_id
    while ids and ids[0] == delimiter:
        ids = ids[1:]
    while ids and ids[-1] == delimiter:
        ids = ids[:-1]
    return ids
