"""The prefixes of a beam search as nodes of a tree, each with its score from hotwords and language models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.language_model import END, LanguageModel

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
ROOT = 0
FIRST_CAPACITY = 256


class Context(Protocol):
    """Scores a prefix by what it spells; what it must remember of a prefix is a number, the state."""

    @property
    def start(self) -> int:
        """The state of the empty prefix."""
        ...

    def follow(self, states: Ints, tokens: Ints) -> Ints:
        """The state after each token: ``[prefixes]``."""
        ...

    def gains(self, states: Ints) -> Scores:
        """What each token would add to the score: ``[prefixes, vocabulary]``."""
        ...

    def end(self, states: Ints) -> Scores:
        """What the end of the clip adds: ``[prefixes]``."""
        ...


class PrefixTree:
    """Prefixes by number; the root is the empty one. A prefix keeps its number when it leaves the beam and returns."""

    def __init__(self, vocabulary: int, contexts: Sequence[Context]) -> None:
        self._vocabulary, self._contexts = vocabulary, contexts
        self._children: dict[int, int] = {}
        self._parents, self._tokens = [-1], [-1]
        self._score = np.zeros(FIRST_CAPACITY)
        self._gains = np.zeros((FIRST_CAPACITY, vocabulary))
        self._states = np.zeros((len(contexts), FIRST_CAPACITY), np.int64)
        for states, context in zip(self._states, contexts, strict=True):
            states[ROOT] = context.start
            self._gains[ROOT] += context.gains(states[:1])[0]

    @property
    def has_context(self) -> bool:
        """Whether anything but the sound scores a prefix."""
        return len(self._contexts) > 0

    def grow(self, parents: Ints, tokens: Ints) -> Ints:
        """The numbers of prefixes one token longer: ``[prefixes]``; new ones get their scores."""
        before = len(self._parents)
        keys = (parents * self._vocabulary + tokens).tolist()
        numbers = [self._children.setdefault(key, before + place) for place, key in enumerate(keys)]
        new = [place for place, number in enumerate(numbers) if number >= before]
        # Numbers of new prefixes have gaps where old ones stand between them; they are closed here.
        for shift, place in enumerate(new):
            numbers[place] = self._children[keys[place]] = before + shift
        if new:
            self._add(parents[new], tokens[new])
        return np.array(numbers, np.int64)

    def _add(self, parents: Ints, tokens: Ints) -> None:
        first, last = len(self._parents), len(self._parents) + len(parents)
        self._parents.extend(parents.tolist())
        self._tokens.extend(tokens.tolist())
        if not self._contexts:
            return
        if last > len(self._score):
            self._score = np.concatenate([self._score, np.zeros(last)])
            self._gains = np.concatenate([self._gains, np.zeros((last, self._vocabulary))])
            self._states = np.concatenate([self._states, np.zeros((len(self._contexts), last), np.int64)], axis=1)
        self._score[first:last] = self._score[parents] + self._gains[parents, tokens]
        for states, context in zip(self._states, self._contexts, strict=True):
            states[first:last] = context.follow(states[parents], tokens)
            self._gains[first:last] += context.gains(states[first:last])

    def score(self, nodes: Ints) -> Scores:
        """What hotwords and language models give each prefix: ``[prefixes]``."""
        return self._score[nodes]

    def grown_score(self, nodes: Ints) -> Scores:
        """What they would give it with each token behind it: ``[prefixes, vocabulary]``."""
        return self._score[nodes, None] + self._gains[nodes]

    def final_score(self, nodes: Ints) -> Scores:
        """What they give it as the whole transcript: ``[prefixes]``."""
        ends = [context.end(states[nodes]) for states, context in zip(self._states, self._contexts, strict=True)]
        return self._score[nodes] + sum(ends) if ends else np.zeros(len(nodes))

    def spelt(self, node: int) -> tuple[int, ...]:
        """The tokens of a prefix."""
        tokens = []
        while node != ROOT:
            tokens.append(self._tokens[node])
            node = self._parents[node]
        return tuple(reversed(tokens))


class WordContext:
    """A bonus for every word, and a language model over words: both at the end of a word.

    Tokens with a separator between them are words, as phonemes are. Without that and without a word delimiter, the
    whole transcript is one word.
    """

    def __init__(self, head: CtcHead, model: LanguageModel | None, weight: float, bonus: float) -> None:
        self._texts = [token.lower() if head.lower_case else token for token in head.vocabulary]
        self._delimiter, self._separated = head.delimiter_id, bool(head.token_separator)
        self._model, self._weight, self._bonus = model, weight, bonus
        self._words = [""]  # the unfinished word of each state
        self._complete = [model.start if model is not None else 0]  # the model's state before it
        self._after = self._complete.copy()  # the model's state after it
        self._ends = [0.0]  # what its end adds
        self.start = 0

    def follow(self, states: Ints, tokens: Ints) -> Ints:
        """A new state for each prefix; looks its unfinished word up."""
        first = len(self._words)
        for state, token in zip(states.tolist(), tokens.tolist(), strict=True):
            ends = self._separated or token == self._delimiter
            begun = "" if ends else self._words[state]
            self._words.append(begun if token == self._delimiter else begun + self._texts[token])
            self._complete.append((self._after if ends else self._complete)[state])
        self._look_up(first)
        return np.arange(first, len(self._words))

    def _look_up(self, first: int) -> None:
        words, before = self._words[first:], self._complete[first:]
        some = np.array([bool(word) for word in words])
        scores, after = np.zeros(len(words)), np.array(before, np.int64)
        if self._model is not None:
            scores, following = self._model.advance(after, self._model.ids(words))
            after = np.where(some, following, after)
        self._ends.extend(np.where(some, self._weight * scores + self._bonus, 0.0).tolist())
        self._after.extend(after.tolist())

    def gains(self, states: Ints) -> Scores:
        """The delimiter ends the word, and where tokens are words each of them ends the one before it."""
        gains = np.zeros((len(states), len(self._texts)))
        ends = np.array([self._ends[state] for state in states.tolist()])
        if self._separated:
            gains += ends[:, None]
        elif self._delimiter is not None:
            gains[:, self._delimiter] = ends
        return gains

    def end(self, states: Ints) -> Scores:
        """The end of the clip ends the word and the sentence."""
        ends = np.array([self._ends[state] for state in states.tolist()])
        return ends + _sentence_end(self._model, [self._after[state] for state in states.tolist()], self._weight)


class TokenContext:
    """A language model over tokens: scores each as it comes."""

    def __init__(self, head: CtcHead, model: LanguageModel, weight: float) -> None:
        self._model, self._weight = model, weight
        self._ids = model.ids(token.lower() if head.lower_case else token for token in head.vocabulary)
        self.start = model.start

    def follow(self, states: Ints, tokens: Ints) -> Ints:
        """The model's states."""
        return self._model.advance(states, self._ids[tokens])[1]

    def gains(self, states: Ints) -> Scores:
        """The weighted log probability of every token."""
        size = len(self._ids)
        scores, _ = self._model.advance(np.repeat(states, size), np.tile(self._ids, len(states)))
        return self._weight * scores.reshape(len(states), size)

    def end(self, states: Ints) -> Scores:
        """The weighted log probability of the end of the sentence."""
        return _sentence_end(self._model, states, self._weight)


def _sentence_end(model: LanguageModel | None, states: Sequence[int] | Ints, weight: float) -> Scores:
    if model is None:
        return np.zeros(len(states))
    queries = np.array(states, np.int64)
    return weight * model.advance(queries, np.full(len(queries), model.ids([END])[0]))[0]
