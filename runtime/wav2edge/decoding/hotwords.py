"""Hotwords: phrases that gain weight while they are spelt, and lose it again where the transcript leaves them.

An automaton of Aho and Corasick, "Efficient string matching", Communications of the ACM 18(6), 1975, whose failure
links take back what an unfinished phrase had gained: Zhao et al., "Shallow-Fusion End-to-End Contextual Biasing",
Interspeech 2019.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.hypothesis import spell

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Hotwords:
    """Where each token leads from each state, and what it gains; a state is the longest prefix just spelt.

    Phrases match whole words: between the delimiters of words, or the ends of the clip.
    """

    next_state: Ints
    """``[states, vocabulary]``."""
    gain: Scores
    """``[states, vocabulary]``."""
    at_end: Scores
    """``[states]`` what the end of the clip gains."""
    start: int

    def follow(self, states: Ints, tokens: Ints) -> Ints:
        """The state after each token: ``[prefixes]``."""
        return self.next_state[states, tokens]

    def gains(self, states: Ints) -> Scores:
        """What each token would add to the score: ``[prefixes, vocabulary]``."""
        return self.gain[states]

    def end(self, states: Ints) -> Scores:
        """What the end of the clip adds: ``[prefixes]``."""
        return self.at_end[states]


@lru_cache(maxsize=8)
def automaton(phrases: tuple[tuple[str, float], ...], head: CtcHead) -> Hotwords:
    """The automaton of phrases with their weights, in natural-log units for a whole phrase.

    Raises:
        UsageError: the vocabulary cannot spell a phrase.
    """
    size = len(head.vocabulary)
    border = () if head.delimiter_id is None else (head.delimiter_id,)
    trie = _Trie()
    for phrase, weight in phrases:
        trie.add((*border, *spell(phrase, head), *border), weight, free=len(border))
    next_state = trie.transitions(size)
    pending, complete = np.array(trie.pending), np.array(trie.complete)
    gain = pending[next_state] + complete[next_state] - pending[:, None]
    at_end = -pending
    start = 0
    if border:
        start, at_delimiter = int(next_state[0, border[0]]), trie.last_tokens() == border[0]
        at_end = np.where(at_delimiter, -pending, complete[next_state[:, border[0]]] - pending)
        # A second delimiter in a row makes no new word, and must not leave the phrase.
        gain[at_delimiter, border[0]] = 0
        next_state[at_delimiter, border[0]] = np.flatnonzero(at_delimiter)
    return Hotwords(next_state=next_state, gain=gain, at_end=at_end, start=start)


class _Trie:
    """Phrases by their tokens; ``pending`` is what an unfinished phrase has gained, ``complete`` what ends here."""

    def __init__(self) -> None:
        self.children: list[dict[int, int]] = [{}]
        self.pending, self.complete = [0.0], [0.0]

    def add(self, tokens: Sequence[int], weight: float, *, free: int) -> None:
        """Add a phrase whose first ``free`` tokens gain nothing."""
        node = 0
        for depth, token in enumerate(tokens, start=1):
            if token not in self.children[node]:
                self.children[node][token] = len(self.children)
                self.children.append({})
                self.pending.append(0.0)
                self.complete.append(0.0)
            node = self.children[node][token]
            if depth < len(tokens):
                gained = weight * (depth - free) / (len(tokens) - free)
                self.pending[node] = max(self.pending[node], gained, key=abs)
        self.complete[node] += weight

    def transitions(self, vocabulary: int) -> Ints:
        """``[states, vocabulary]``; passes on what the longest proper suffix of a state gains."""
        following = np.zeros((len(self.children), vocabulary), np.int64)
        queue = deque(self.children[0].values())
        suffix = dict.fromkeys(queue, 0)
        for token, child in self.children[0].items():
            following[0, token] = child
        while queue:
            node = queue.popleft()
            shorter = suffix[node]
            following[node] = following[shorter]
            self.complete[node] += self.complete[shorter]
            self.pending[node] = max(self.pending[node], self.pending[shorter], key=abs)
            for token, child in self.children[node].items():
                suffix[child] = int(following[shorter, token])
                following[node, token] = child
                queue.append(child)
        return following

    def last_tokens(self) -> Ints:
        """``[states]`` the token that leads to each state, -1 for the root."""
        last = np.full(len(self.children), -1)
        for children in self.children:
            for token, child in children.items():
                last[child] = token
        return last
