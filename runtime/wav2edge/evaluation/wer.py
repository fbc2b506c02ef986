"""Word error rate by edit distance (Levenshtein, 1966), counted over a whole data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Fewest substitutions, deletions and insertions that turn ``reference`` into ``hypothesis``."""
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, guess in enumerate(hypothesis, start=1):
            change = diagonal + (word != guess)
            diagonal = row[j]
            row[j] = min(change, row[j] + 1, row[j - 1] + 1)
    return row[-1]


@dataclass(frozen=True, kw_only=True)
class WordErrors:
    """Word edits, and the reference words that they are counted over."""

    edits: int
    words: int

    @property
    def rate(self) -> float:
        """Edits per reference word. Without any reference word: 0 where the hypotheses are empty too, else 1."""
        return self.edits / self.words if self.words else float(self.edits > 0)


def count_word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Word errors over pairs of transcripts; white space separates words."""
    edits = words = 0
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        expected = reference.split()
        edits += edit_distance(expected, hypothesis.split())
        words += len(expected)
    return WordErrors(edits=edits, words=words)
