"""The convolutional feature encoder for GPUs: products over whole units of frames, without stacked copies.

A window of kernel 3 and stride 2 is one pair of frames, which lie next to each other in memory, and the first frame of
the next pair::

    y[t] = x[2t : 2t + 2] @ A + x[2t + 2] @ B

Both products read their frames as they are, and the layer norm adds them, with the bias, while it reads them. At
XLSR-53's shape that moves a fifth fewer bytes than windows stacked in memory, and bytes are what these layers cost.

The waveform is padded until every layer's frames fill its units; frames that come of that lie behind each clip, where
the mask of a batch leaves them out. So this form is for graphs that take one.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from wav2edge_export.rewrite.convolutions.feature_encoder import ENCODERS, ChannelNorm
from wav2edge_export.rewrite.convolutions.feature_encoder import obstacle as other_obstacle
from wav2edge_export.rewrite.gpu.fused_operators import BiasGelu, Gelu, SkipLayerNorm, positions
from wav2edge_export.rewrite.rules import Rule, linear_of
from wav2edge_train.checkpoint.families.framing import frame_counts

ALIGNED = 8
"""Widths of half precision that the matrix units take whole."""


class FirstConvolution(nn.Module):
    """The convolution over the samples, whose windows are small: stacked, with a one behind them for the bias."""

    one: Tensor

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        (self.kernel,), (self.stride,) = conv.kernel_size, conv.stride
        self.parts = -(-self.kernel // self.stride)
        filled = self.parts * self.stride
        behind = -(-(filled + 1) // ALIGNED) * ALIGNED - filled
        weight = torch.zeros(conv.out_channels, filled + behind)
        weight[:, : self.kernel] = conv.weight.detach()[:, 0]
        if conv.bias is not None:
            weight[:, filled] = conv.bias.detach()
        self.linear = linear_of(weight)
        self.register_buffer("one", F.pad(torch.ones(1, 1, 1), (0, behind - 1)))

    def forward(self, samples: Tensor) -> Tensor:
        """Convolve: samples [batch, stride * (windows + parts - 1)] -> [batch, windows, channels]."""
        units = samples.reshape(samples.shape[0], -1, self.stride)
        windows = units.shape[1] - (self.parts - 1)
        shifted = [units[:, part : part + windows] for part in range(self.parts)]
        one = self.one.expand(samples.shape[0], windows, -1)
        return self.linear(torch.cat([*shifted, one], dim=-1))


class UnitConvolution(nn.Module):
    """Any further convolution as the product of its unit, and that of what it sees of the next one."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        (self.kernel,), (self.stride,) = conv.kernel_size, conv.stride
        taps = conv.weight.detach().permute(0, 2, 1)  # [channels, kernel, inputs]
        self.within = linear_of(taps[:, : self.stride].flatten(1))
        self.beyond = linear_of(taps[:, self.stride :].flatten(1)) if self.kernel > self.stride else None

    def forward(self, frames: Tensor, order: Tensor) -> tuple[Tensor, Tensor | None]:
        """Convolve.

        Args:
            frames: [batch, stride * windows, inputs].
            order: [frames or more] int32 of ``positions``.

        Returns:
            Two parts of [batch, windows, channels], whose sum, with the bias, is the convolution's; the second is None
            where a window is one unit.
        """
        batch, count, width = frames.shape
        units = frames.reshape(batch, -1, self.stride * width)
        within = self.within(units)
        if self.beyond is None:
            return within, None
        if self.kernel == self.stride + 1:
            source, last = frames, count - 1
            index = order[: units.shape[1]] * self.stride + self.stride
            # Behind the last frame there is padding only.
            following = torch.index_select(source, 1, torch.minimum(index, order[last : last + 1]))
        else:
            index = torch.minimum(order[: units.shape[1]] + 1, order[units.shape[1] - 1 : units.shape[1]])
            following = torch.index_select(units, 1, index)[:, :, : (self.kernel - self.stride) * width]
        return within, self.beyond(following)


class GpuFeatureEncoder(nn.Module):
    """The whole feature encoder, time-major inside."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        layers: list[Any] = list(encoder.conv_layers)
        self.first = FirstConvolution(layers[0].conv)
        self.others = nn.ModuleList(UnitConvolution(layer.conv) for layer in layers[1:])
        self.norms = nn.ModuleList(_norm(getattr(layer, "layer_norm", None)) for layer in layers)
        self.biases = nn.ParameterList(_bias(layer.conv) for layer in layers)
        self.geometry = [(layer.conv.kernel_size[0], layer.conv.stride[0]) for layer in layers]
        self.hop = 1
        for _, stride in self.geometry:
            self.hop *= stride

    def forward(self, input_values: Tensor, samples: Tensor) -> Tensor:
        """Encode.

        Args:
            input_values: [batch, samples].
            samples: [batch], samples of each clip before its padding.

        Returns:
            features [batch, channels, frames], with more frames than the clips have.
        """
        behind = -input_values.shape[1] % self.hop + (self.first.parts - 1) * self.first.stride
        frames = self.first(F.pad(input_values, (0, behind)))
        order = positions(frames, block=self.hop // self.first.stride)
        counts = frame_counts(samples, *self.geometry[0])
        frames = self._finish(0, frames, None, order, counts)
        for number, layer in enumerate(self.others, start=1):
            within, beyond = layer(frames, order)
            counts = frame_counts(counts, *self.geometry[number])
            frames = self._finish(number, within, beyond, order, counts)
        return frames.transpose(1, 2)

    def _finish(self, number: int, part: Tensor, other: Tensor | None, order: Tensor, counts: Tensor) -> Tensor:
        """Bias, norm and activation of a layer; the first layer's bias is in its product."""
        norm, bias = self.norms[number], self.biases[number] if number else None
        if isinstance(norm, nn.LayerNorm) and other is not None:
            return Gelu.apply(SkipLayerNorm.apply(part, other, norm.weight, norm.bias, bias, norm.eps)[0])
        total = part if other is None else part + other
        if isinstance(norm, nn.Identity):
            return Gelu.apply(total) if bias is None else BiasGelu.apply(total, bias)
        total = total if bias is None else total + bias
        if isinstance(norm, ChannelNorm):
            inside = (order[: total.shape[1]] < counts[:, None])[:, :, None]
            return Gelu.apply(norm(total, inside.to(total.dtype)))
        return Gelu.apply(norm(total))


def _norm(norm: nn.Module | None) -> nn.Module:
    if norm is None:
        return nn.Identity()
    return ChannelNorm(norm) if isinstance(norm, nn.GroupNorm) else norm


def _bias(conv: nn.Conv1d) -> nn.Parameter:
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().clone()
    return nn.Parameter(bias, requires_grad=False)


def obstacle(encoder: Any) -> str | None:
    """Why this feature encoder cannot be replaced exactly, or None when it can."""
    if reason := other_obstacle(encoder):
        return reason
    layer: Any
    for layer in encoder.conv_layers:
        (kernel,), (stride,) = layer.conv.kernel_size, layer.conv.stride
        if not stride <= kernel <= 2 * stride:
            return f"a window of {kernel} frames is less than one step of {stride}, or more than two"
        if type(layer.activation).__name__ != "GELUActivation":
            return f"its activation is {type(layer.activation).__name__}"
    return None


RULE = Rule(name="feature encoder", matches=ENCODERS, obstacle=obstacle, replacement=GpuFeatureEncoder)
