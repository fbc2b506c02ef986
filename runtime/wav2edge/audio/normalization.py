"""Zero mean and unit variance of a waveform, as transformers' ``Wav2Vec2FeatureExtractor`` computes it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

VARIANCE_EPS = 1e-7
"""Added to the variance; for quiet clips it shapes the result (``feature_extraction_wav2vec2.py`` of transformers)."""


def zero_mean_unit_variance(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``(x - mean) / sqrt(variance + 1e-7)`` of ``samples: [samples]``, with the population variance."""
    normalized: npt.NDArray[np.float32] = (samples - samples.mean()) / np.sqrt(samples.var() + VARIANCE_EPS)
    return normalized.astype(np.float32, copy=False)
