"""CTC prefix beam search with hotwords and an n-gram language model.

Graves and Jaitly, "Towards End-to-End Speech Recognition with Recurrent Neural Networks", ICML 2014; Hannun et al.,
"First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent DNNs", arXiv 1408.2873.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.ctc import FloatArray
from wav2edge.decoding.hotwords import automaton
from wav2edge.decoding.hypothesis import Hypothesis, aligned, log_probabilities
from wav2edge.decoding.language_model import LanguageModel
from wav2edge.decoding.prefix_tree import ROOT, Context, PrefixTree, TokenContext, WordContext
from wav2edge.errors import UsageError

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

SURE_BLANK = math.log1p(-1e-6)
"""A frame whose blank is likelier than this extends no prefix: at most a millionth of a score is left out."""
WIDEST, HEAVIEST = 10_000, 1e6
"""Wider beams never end, and the sums of heavier weights overflow."""


@dataclass(frozen=True, kw_only=True)
class Beam:
    """Prefix beam search: the likeliest transcripts, each summed over its paths, plus the scores of its words.

    The score of a transcript is log P(transcript | sound) + the weights of its hotwords + ``lm_weight`` times the
    language model's natural log probability + ``word_bonus`` for every word.
    """

    width: int = 16
    """Prefixes that are kept from frame to frame."""
    n_best: int = 1
    """Transcripts to give, at most ``width``."""
    hotwords: Mapping[str, float] = field(default_factory=dict)
    """Natural-log weight of each phrase; spread over its tokens, and taken back where the phrase is left."""
    lm: str | Path | LanguageModel | None = None
    """A language model, or the path of one in ARPA form."""
    lm_weight: float = 0.5
    word_bonus: float = 0.0
    lm_units: str = "words"
    """What the language model counts: ``words``, scored at their ends, or ``tokens`` of the vocabulary."""
    _model: LanguageModel | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        for name in ("width", "n_best"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.width > WIDEST:
            raise UsageError(f"width is {self.width}; it must be at most {WIDEST}")
        if self.n_best > self.width:
            raise UsageError(f"{self.n_best} best of a beam of {self.width}; make the beam as wide")
        weights = {"lm_weight": self.lm_weight, "word_bonus": self.word_bonus, **self.hotwords}
        for name, weight in weights.items():
            if not math.isfinite(weight):
                raise UsageError(f"the weight of {name!r} is {weight}; give a finite number")
            if abs(weight) > HEAVIEST:
                raise UsageError(f"the weight of {name!r} is {weight}; give a number up to {HEAVIEST:g}")
        if self.lm_units not in _LM_CONTEXTS:
            raise UsageError(f"lm_units is {self.lm_units!r}; choose from {', '.join(_LM_CONTEXTS)}")
        model = self.lm if isinstance(self.lm, LanguageModel | None) else LanguageModel.read(self.lm)
        object.__setattr__(self, "_model", model)

    def decode(self, logits: FloatArray, head: CtcHead) -> list[Hypothesis]:
        """The ``n_best`` transcripts with different words, best first.

        Args:
            logits: ``[frames, vocabulary]``.
            head: what the columns mean.

        Raises:
            UsageError: the vocabulary cannot spell a hotword, or cannot go with the language model.
        """
        scores = log_probabilities(logits, head)
        tree = PrefixTree(len(head.vocabulary), self._contexts(head))
        nodes, totals = search(scores, tree, width=self.width, blank_id=head.blank_id)
        best = _with_different_words([tree.spelt(node) for node in nodes.tolist()], totals.tolist(), head)
        return [Hypothesis(aligned(scores, ids, head), score) for ids, score in best[: self.n_best]]

    def _contexts(self, head: CtcHead) -> list[Context]:
        contexts: list[Context] = []
        if self.hotwords:
            contexts.append(automaton(tuple(self.hotwords.items()), head))
        if self._model is not None:
            contexts.append(_LM_CONTEXTS[self.lm_units](head, self._model, self.lm_weight))
        if self.word_bonus:
            contexts.append(WordContext(head, None, 0.0, self.word_bonus))
        return contexts


def _word_model(head: CtcHead, model: LanguageModel, weight: float) -> Context:
    if head.word_delimiter is None and not head.token_separator:
        raise UsageError("a model of words for a vocabulary without a word delimiter; use one of tokens")
    return WordContext(head, model, weight, 0.0)


def _token_model(head: CtcHead, model: LanguageModel, weight: float) -> Context:
    known = {token.lower() if head.lower_case else token for token in head.vocabulary} & model.words.keys()
    if not known:
        raise UsageError("the language model knows none of the vocabulary's tokens; is it one of words?")
    return TokenContext(head, model, weight)


_LM_CONTEXTS: dict[str, Callable[[CtcHead, LanguageModel, float], Context]] = {
    "words": _word_model,
    "tokens": _token_model,
}


def search(scores: Scores, tree: PrefixTree, *, width: int, blank_id: int) -> tuple[Ints, Scores]:
    """The prefixes in the beam after the last frame, and their scores, best first.

    Every frame treats all prefixes and tokens at once.

    Args:
        scores: ``[frames, vocabulary]`` natural-log probabilities.
        tree: the numbers of prefixes, and what they score by their words.
        width: prefixes to keep per frame.
        blank_id: column of the blank.
    """
    beam = _Prefixes(
        nodes=np.array([ROOT]), parents=np.array([-1]), last=np.array([blank_id]),
        blank=np.zeros(1), token=np.full(1, -np.inf),
    )  # fmt: skip
    for frame in scores:
        beam = beam.next(frame, tree, width=width, blank_id=blank_id)
    totals = np.logaddexp(beam.blank, beam.token) + tree.final_score(beam.nodes)
    order = np.argsort(-totals, kind="stable")
    return beam.nodes[order], totals[order]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Prefixes:
    """The beam between two frames: ``[prefixes]`` each."""

    nodes: Ints
    parents: Ints
    last: Ints
    """The last token; the blank's column for the empty prefix, which has none."""
    blank: Scores
    """Log probability of the paths that end in a blank."""
    token: Scores
    """Log probability of those that end in the last token."""

    def next(self, frame: Scores, tree: PrefixTree, *, width: int, blank_id: int) -> _Prefixes:
        """The beam after one more frame ``[vocabulary]``."""
        total = np.logaddexp(self.blank, self.token)
        blank = total + frame[blank_id]
        if frame[blank_id] > SURE_BLANK:
            return _Prefixes(
                nodes=self.nodes, parents=self.parents, last=self.last,
                blank=blank, token=np.full(len(blank), -np.inf),
            )  # fmt: skip
        grown = total[:, None] + frame
        # A token that follows itself needs a blank between; without one it goes on sounding.
        grown[np.arange(len(total)), self.last] = self.blank + frame[self.last]
        grown[:, blank_id] = -np.inf
        token = self.token + frame[self.last]
        # A prefix whose child is in the beam adds to that child instead of making it again.
        inside, child = np.nonzero(self.nodes[:, None] == self.parents)
        token[child] = np.logaddexp(token[child], grown[inside, self.last[child]])
        grown[inside, self.last[child]] = -np.inf
        return self._best(blank, token, grown, tree, width)

    def _best(self, blank: Scores, token: Scores, grown: Scores, tree: PrefixTree, width: int) -> _Prefixes:
        kept, size = len(blank), grown.shape[1]
        ranks = np.concatenate([np.logaddexp(blank, token), grown.ravel()])
        if tree.has_context:
            ranks[:kept] += tree.score(self.nodes)
            ranks[kept:] += tree.grown_score(self.nodes).ravel()
        chosen = np.argpartition(ranks, -width)[-width:] if len(ranks) > width else np.arange(len(ranks))
        chosen = chosen[ranks[chosen] > -np.inf]
        stays, grows = chosen[chosen < kept], chosen[chosen >= kept] - kept
        parents, tokens = self.nodes[grows // size], grows % size
        return _Prefixes(
            nodes=np.concatenate([self.nodes[stays], tree.grow(parents, tokens)]),
            parents=np.concatenate([self.parents[stays], parents]),
            last=np.concatenate([self.last[stays], tokens]),
            blank=np.concatenate([blank[stays], np.full(len(grows), -np.inf)]),
            token=np.concatenate([token[stays], grown.ravel()[grows]]),
        )


def _with_different_words(
    spelt: list[tuple[int, ...]], scores: list[float], head: CtcHead
) -> list[tuple[tuple[int, ...], float]]:
    """Transcripts that differ in delimiters only become one, with the sum of their probabilities; best first."""
    delimiter = head.delimiter_id
    merged: dict[tuple[int, ...], tuple[tuple[int, ...], float]] = {}
    for ids, score in zip(spelt, scores, strict=True):
        words = _single_delimiters(ids, delimiter)
        first, before = merged.get(words, (ids, -math.inf))
        merged[words] = (first, float(np.logaddexp(before, score)))
    return sorted(merged.values(), key=lambda pair: -pair[1])


def _single_delimiters(ids: tuple[int, ...], delimiter: int | None) -> tuple[int, ...]:
    """Tokens without delimiters at the ends or after another."""
    kept = [i for i, before in zip(ids, (delimiter, *ids), strict=False) if i != delimiter or before != delimiter]
    return tuple(kept[:-1] if kept and kept[-1] == delimiter else kept)
