"""Zero mean and unit variance of the waveform, in front of the model and inside the graph.

Computes what ``Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm`` of transformers 4.57 computes
(``models/wav2vec2/feature_extraction_wav2vec2.py``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from wav2edge.audio.clip import VARIANCE_EPS

BLOCK = 512


def block_sum(values: Tensor) -> Tensor:
    """Add up along the second axis: values [batch, length, ...] -> [batch, 1, ...].

    ONNX Runtime adds one number after the other, which is 3e-5 off after half a minute of float32 samples: sums of
    short blocks are added instead (Higham, "The Accuracy of Floating Point Summation", 1993).
    """
    padding = [0, 0] * (values.dim() - 2) + [0, -values.shape[1] % BLOCK]
    blocks = F.pad(values, padding).reshape(values.shape[0], -1, BLOCK, *values.shape[2:])
    return blocks.sum(dim=2).sum(dim=1, keepdim=True)


def block_mean(values: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean along the second axis: values [batch, length, ...] -> [batch, 1, ...].

    Args:
        values: [batch, length, ...].
        weight: [batch, length] or [batch, length, 1], 1 on what counts and 0 elsewhere; None where all counts.
    """
    if weight is None:
        return block_sum(values) / values.shape[1]
    return block_sum(values * weight) / block_sum(weight).clamp(min=1)


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
