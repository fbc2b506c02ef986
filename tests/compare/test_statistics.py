"""Medians, percentiles, and the bootstrap interval of a ratio."""

import numpy as np
import pytest
from scipy import stats

from wav2edge_compare.measuring.statistics import median_s, p95_s, ratio_of_medians


def test_medians_and_percentiles_are_over_all_runs_of_all_rounds():
    turns = np.random.default_rng(0).random((10, 3))
    assert (median_s(turns), p95_s(turns)) == (np.median(turns), np.percentile(turns, 95))


def test_the_interval_of_a_ratio_is_the_paired_percentile_bootstrap_of_scipy():
    rng = np.random.default_rng(1)
    load = 1 + 0.3 * rng.random(40)  # both systems share what disturbs a round
    ours, theirs = 0.07 * load * rng.normal(1, 0.05, 40), 0.1 * load * rng.normal(1, 0.05, 40)
    found = ratio_of_medians(ours[:, None], theirs[:, None])
    oracle = stats.bootstrap(
        (ours, theirs),
        lambda a, b, axis=-1: np.median(a, axis=axis) / np.median(b, axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
        rng=2,
    ).confidence_interval
    assert found.value == np.median(ours) / np.median(theirs)
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), rel=0.02)


def test_a_disturbance_of_whole_rounds_does_not_widen_the_interval():
    load = np.repeat([1.0, 5.0], 10)[:, None]
    found = ratio_of_medians(0.2 * load, 0.4 * load)
    assert (found.low, found.value, found.high) == pytest.approx((0.5, 0.5, 0.5))
