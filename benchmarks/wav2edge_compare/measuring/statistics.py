"""Medians, percentiles, and the ratio of two medians with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2_000
Turns = Sequence[Sequence[float]]
"""Latencies in seconds, ``[rounds][runs per turn]``."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A ratio of medians; ``low`` to ``high`` is the central 95 % of a bootstrap over rounds."""

    value: float
    low: float
    high: float


def median_s(turns: Turns) -> float:
    """Median of all runs."""
    return float(np.median(np.asarray(turns)))


def p95_s(turns: Turns) -> float:
    """95th percentile of all runs."""
    return float(np.percentile(np.asarray(turns), 95))


def ratio_of_medians(ours: Turns, theirs: Turns, *, seed: int = 0) -> Ratio:
    """Our median over theirs, with the percentile interval of a bootstrap over rounds.

    Rounds are drawn, not runs, and the same rounds for both: what disturbs the machine disturbs a whole round
    (Efron, "Bootstrap Methods", Annals of Statistics 7(1), 1979).

    Args:
        ours: ``[rounds][runs per turn]`` seconds.
        theirs: the same rounds of another system.
        seed: of the bootstrap.
    """
    first, second = np.asarray(ours), np.asarray(theirs)
    drawn = np.random.default_rng(seed).integers(0, len(first), (RESAMPLES, len(first)))
    low, high = np.percentile(_medians(first[drawn]) / _medians(second[drawn]), [2.5, 97.5])
    return Ratio(value=median_s(ours) / median_s(theirs), low=float(low), high=float(high))


def _medians(turns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``[resamples, rounds, runs per turn]`` to ``[resamples]``."""
    return np.asarray(np.median(turns.reshape(len(turns), -1), axis=1))
