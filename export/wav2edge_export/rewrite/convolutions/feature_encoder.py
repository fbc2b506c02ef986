"""The convolutional feature encoder as time-major frame stacking and one Linear per layer.

A convolution over stacked frames is a matrix product (im2col; Chellapilla et al., "High Performance Convolutional
Neural Networks for Document Processing", 2006). With time before channels the transposes around each layer norm
vanish, and the product is quantised like any other Linear. Replaces ``Wav2Vec2FeatureEncoder`` of transformers 4.57
(``models/wav2vec2/modeling_wav2vec2.py``), and those of the other families, which compute the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import NoneType
from typing import Any

import torch
from torch import Tensor, nn

from wav2edge_export.rewrite.inputs.waveform_normalization import block_mean
from wav2edge_export.rewrite.rules import Rule, linear_of, plain_convolution_obstacle
from wav2edge_train.checkpoint.families.family_table import classes
from wav2edge_train.checkpoint.families.framing import frame_counts, inside, window_index
from wav2edge_train.checkpoint.families.time_major import TimeMajorFeatureEncoder

# The last one differs from transformers' only in how it trains, so its outputs are the same.
ENCODERS = (*classes("FeatureEncoder"), TimeMajorFeatureEncoder)
LAYERS = tuple(layer for kind in ("LayerNorm", "GroupNorm", "NoLayerNorm", "") for layer in classes(f"{kind}ConvLayer"))
"""A norm for each layer, for the first layer, for none; and Data2VecAudio's, which always has one."""
FEW_TERMS = 32
"""Most terms of a product whose variance is taken from the covariance of its windows: the first convolution has ten."""


class ChannelNorm(nn.Module):
    """Group norm with one channel a group, over time-major frames: each channel is normalised over the clip.

    Wu and He, "Group Normalization", 2018. The statistics are taken in two passes, because a channel's mean can be
    large compared with its deviation.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.eps = norm.eps
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, frames: Tensor, weight: Tensor | None = None) -> Tensor:
        """Normalise each clip by its own frames.

        Args:
            frames: [batch, frames, channels].
            weight: [batch, frames, 1], 1 on a clip and 0 on its padding; None where there is no padding.

        Returns:
            [batch, frames, channels].
        """
        centred = frames - block_mean(frames, weight)
        variance = block_mean(centred * centred, weight)
        # The scale is one row per clip, so the long tensor is multiplied once and added to once.
        return centred * (self.weight * torch.rsqrt(variance + self.eps)) + self.bias


class NormalizedProducts(nn.Module):
    """Group norm of a Linear's products, with its scale in the Linear's weights: no pass over the products is left.

    The variance of a product ``w x`` is ``w C w``, where ``C`` is the covariance of the windows: ten by ten in front of
    512 channels. It is taken in float64, because a channel that passes what a clip hardly holds is a small difference
    of large numbers.
    """

    def __init__(self, linear: nn.Linear, norm: ChannelNorm) -> None:
        super().__init__()
        self.weights = nn.Parameter(linear.weight.detach().T.contiguous(), requires_grad=False)
        self.norm = norm

    def forward(self, windows: Tensor) -> Tensor:
        """Multiply and normalise: windows [batch, windows, terms] -> [batch, windows, channels].

        The Linear's bias is part of every channel's mean, which is taken away.
        """
        centred = windows - block_mean(windows)
        exact, weights = centred.double(), self.weights.double()
        covariance = exact.transpose(1, 2) @ exact / windows.shape[1]
        variance = ((covariance @ weights) * weights).sum(dim=1, keepdim=True).float()
        return centred @ (self.weights * (self.norm.weight * torch.rsqrt(variance + self.norm.eps))) + self.norm.bias


NORMS: dict[type, Callable[..., nn.Module]] = {
    nn.LayerNorm: lambda norm: norm,
    nn.GroupNorm: ChannelNorm,
    NoneType: lambda norm: nn.Identity(),
}


class StackedConvolution(nn.Module):
    """One layer: a strided convolution without padding as frame stacking and a Linear, then norm and activation."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        conv, norm = layer.conv, getattr(layer, "layer_norm", None)
        (self.kernel,), (self.stride,) = conv.kernel_size, conv.stride
        # Frames that always travel together are one unit: fewer, longer copies, and none at all if kernel == stride.
        self.unit = math.gcd(self.kernel, self.stride)
        self.kernel_units, self.stride_units = self.kernel // self.unit, self.stride // self.unit
        self.unit_width = self.unit * conv.in_channels
        self.linear = linear_of(conv.weight.permute(0, 2, 1).reshape(conv.out_channels, -1), conv.bias)
        self.norm = NORMS[type(norm)](norm)
        self.activation = layer.activation
        self.normalized = None
        if isinstance(self.norm, ChannelNorm) and self.linear.in_features <= FEW_TERMS:
            self.normalized = NormalizedProducts(self.linear, self.norm)

    def forward(self, frames: Tensor, counts: Tensor | None = None) -> Tensor:
        """Convolve: frames [batch, frames, channels_in] -> [batch, windows, channels_out].

        ``counts`` [batch] are the windows of each clip before its padding; None where there is no padding.
        """
        windows = self.windows(frames)
        if counts is None and self.normalized is not None:
            return self.activation(self.normalized(windows))
        products = self.linear(windows)
        if counts is None or not isinstance(self.norm, ChannelNorm):  # the other norms never see padding
            return self.activation(self.norm(products))
        weight = inside(counts, products.shape[1])[:, :, None].to(products.dtype)
        return self.activation(self.norm(products, weight))

    def windows(self, frames: Tensor) -> Tensor:
        """Stack: frames [batch, frames, channels] -> [batch, windows, kernel * channels]."""
        units = self.units(frames)
        if self.kernel_units == self.stride_units:  # both are 1: each unit is a window
            return units
        index = window_index(units.shape[1], self.kernel_units, self.stride_units)
        stacked = torch.index_select(units, 1, index)
        return stacked.reshape(frames.shape[0], -1, self.kernel_units * self.unit_width)

    def units(self, frames: Tensor) -> Tensor:
        """Regroup: frames [batch, frames, channels] -> [batch, units, unit * channels], trailing frames left out."""
        if self.unit == 1:
            return frames
        whole = frames.shape[1] // self.unit
        return frames[:, : whole * self.unit].reshape(frames.shape[0], whole, self.unit_width)


class StackedFeatureEncoder(nn.Module):
    """The whole feature encoder, time-major inside."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(StackedConvolution(layer) for layer in encoder.conv_layers)

    def forward(self, input_values: Tensor, samples: Tensor | None = None) -> Tensor:
        """Encode as the model asks it; the caller transposes at once, so the exporter drops both transposes.

        Args:
            input_values: [batch, samples].
            samples: [batch], samples of each clip before its padding; None where there is no padding.

        Returns:
            features [batch, channels, frames].
        """
        frames = input_values[:, :, None]
        counts = samples
        layer: Any
        for layer in self.layers:
            counts = None if counts is None else frame_counts(counts, layer.kernel, layer.stride)
            frames = layer(frames, counts)
        return frames.transpose(1, 2)


def obstacle(encoder: Any) -> str | None:
    """Why this feature encoder cannot be replaced exactly, or None when it can."""
    layer: Any
    for layer in encoder.conv_layers:
        if type(layer) not in LAYERS:
            return f"unknown layer {type(layer).__name__}"
        if reason := plain_convolution_obstacle(layer.conv, padding=0, groups=1):
            return reason
    return None


RULE = Rule(name="feature encoder", matches=ENCODERS, obstacle=obstacle, replacement=StackedFeatureEncoder)
