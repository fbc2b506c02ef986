"""How sure a rate is that was counted over a few clips."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2_000
NORMAL_95 = 1.959964
"""Standard deviations of a normal distribution to either side that hold 95 % of it."""

Interval = tuple[float, float]
"""Lower and upper end of the central 95 %."""


@dataclass(frozen=True, kw_only=True)
class PairedRate:
    """A rate of the original and of the variant over the same clips; ``total`` words or clips.

    ``interval`` is the central 95 % of the difference, variant minus original, when the clips are drawn anew with
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


def paired_rate(counts: npt.NDArray[np.floating], weights: npt.NDArray[np.floating], *, seed: int = 0) -> PairedRate:
    """The rate of both and the interval of their difference.

    Args:
        counts: ``[clips, 2]`` events of the original and of the variant.
        weights: ``[clips]`` what the events are counted over: words, or 1 a clip.
        seed: of the resampling.
    """
    total = max(1.0, float(weights.sum()))
    chosen = np.random.default_rng(seed).integers(0, len(weights), (RESAMPLES, len(weights)))
    differences = (counts[:, 1] - counts[:, 0])[chosen].sum(axis=1) / np.maximum(1.0, weights[chosen].sum(axis=1))
    low, high = np.percentile(differences, [2.5, 97.5])
    return PairedRate(
        original=float(counts[:, 0].sum() / total),
        variant=float(counts[:, 1].sum() / total),
        interval=(float(low), float(high)),
        total=total,
    )


def share_interval(events: int, trials: int) -> Interval:
    """The 95 % interval of a share (Wilson, Journal of the American Statistical Association 22(158), 1927).

    A bootstrap of no events at all would claim to be sure of none; this says that 0 of 97 may be up to 3.8 %.
    """
    if trials == 0:
        return 0.0, 1.0
    share, spread = events / trials, NORMAL_95**2 / trials
    middle = share + spread / 2
    half = NORMAL_95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))
