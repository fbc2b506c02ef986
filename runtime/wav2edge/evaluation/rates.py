"""Rates that are counted over clips: word errors by edit distance (Levenshtein, 1966), and confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2_000
NORMAL_95 = 1.959964
"""Standard deviations to either side of the mean that hold 95 % of a normal distribution."""
Interval = tuple[float, float]
"""Lower and upper end of the central 95 %."""


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


@dataclass(frozen=True, kw_only=True)
class PairedRate:
    """A rate of the original and of the variant over the same clips; ``total`` words or clips.

    ``interval`` is the central 95 % of the difference, variant minus original, when the clips are resampled with
    replacement (Efron, "Bootstrap Methods", Annals of Statistics 7(1), 1979; the percentile interval).
    """

    original: float
    variant: float
    interval: Interval
    total: float

    @property
    def difference(self) -> float:
        """Variant minus original."""
        return self.variant - self.original

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.original:.4f} -> {self.variant:.4f} (by {low:+.4f} to {high:+.4f} at 95 %)"


def paired_rate(counts: npt.ArrayLike, weights: npt.ArrayLike, *, seed: int = 0) -> PairedRate | None:
    """The rate of both and the interval of their difference; None without any clip.

    Args:
        counts: ``[clips, 2]`` events of the original and of the variant.
        weights: ``[clips]`` what the events are counted over: words, or 1 per clip.
        seed: of the resampling.
    """
    events, over = np.asarray(counts, np.float64), np.asarray(weights, np.float64)
    if len(over) == 0:
        return None
    total = max(1.0, float(over.sum()))
    drawn = np.random.default_rng(seed).integers(0, len(over), (RESAMPLES, len(over)))
    differences = (events[:, 1] - events[:, 0])[drawn].sum(axis=1) / np.maximum(1.0, over[drawn].sum(axis=1))
    low, high = np.percentile(differences, [2.5, 97.5])
    return PairedRate(
        original=float(events[:, 0].sum() / total),
        variant=float(events[:, 1].sum() / total),
        interval=(float(low), float(high)),
        total=total,
    )


def share_interval(events: int, trials: int) -> Interval:
    """The 95 % interval of a share (Wilson, Journal of the American Statistical Association 22(158), 1927).

    A bootstrap of no events at all has an interval without width; this one allows for up to 3.8 % after 0 of 97.
    """
    if trials == 0:
        return 0.0, 1.0
    share, spread = events / trials, NORMAL_95**2 / trials
    middle = share + spread / 2
    half = NORMAL_95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))
