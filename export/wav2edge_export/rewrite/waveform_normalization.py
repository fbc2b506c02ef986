"""Zero mean and unit variance of the waveform, in front of the model and inside the graph.

Computes what ``Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm`` of transformers 4.57 computes
(``models/wav2vec2/feature_extraction_wav2vec2.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wav2edge.audio.normalization import VARIANCE_EPS
from wav2edge_export.rewrite.summation import block_mean


class ZeroMeanUnitVariance(nn.Module):
    """``(x - mean) / sqrt(variance + 1e-7)`` of each clip, with the population variance.

    Normalising twice changes a clip of variance ``v`` by the factor ``1 + 1e-7 / (2 * v)`` and no more: under 1e-5
    for a root mean square above 0.07, and 1e-3 at 0.007. Clips so quiet that the eps counts are not idempotent.
    """

    def forward(self, waveform: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise each clip.

        Args:
            waveform: [batch, samples], of any amplitude.
            mask: [batch, samples], 1 on the samples that count; None where all do.

        Returns:
            [batch, samples]; 0 where the mask is 0.
        """
        weight = None if mask is None else mask.to(waveform.dtype)
        centred = waveform - block_mean(waveform, weight)
        # A recording far from zero leaves the rounding error of its mean behind; the second pass takes that away.
        centred = centred - block_mean(centred, weight)
        normalized = centred * torch.rsqrt(block_mean(centred * centred, weight) + VARIANCE_EPS)
        return normalized if weight is None else normalized * weight
