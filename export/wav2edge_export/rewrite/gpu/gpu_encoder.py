"""The transformer for GPUs: each layer is four products, the fused attention, and one pass for all that lies between.

The layer norm before a product, the sum before it, and the bias before that read and write the same frames: one
operator does all three. Replaces ``Wav2Vec2Encoder`` and ``Wav2Vec2EncoderStableLayerNorm`` of transformers 4.57, and
their copies in other families, in ``models/*/modeling_*.py``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from wav2edge_export.rewrite import attention as attentions
from wav2edge_export.rewrite.convolutions import positional_convolution
from wav2edge_export.rewrite.gpu.fused_operators import (
    BiasGelu,
    LengthAttention,
    SkipLayerNorm,
    positions,
)
from wav2edge_export.rewrite.rules import Rule, linear_of
from wav2edge_train.checkpoint.families.family_table import FAMILIES, classes

PLAIN = [FAMILIES[name] for name in ("wav2vec2", "hubert", "unispeech", "unispeech-sat")]
"""Families whose encoders are copies of wav2vec2's."""
NORM_FIRST, NORM_LAST = classes("EncoderStableLayerNorm", PLAIN), classes("Encoder", PLAIN)


class GroupedPositionalConvolution(positional_convolution.BlockedPositionalConvolution):
    """The blocked convolution with all groups in one product."""

    def __init__(self, embedding: Any) -> None:
        super().__init__(embedding)
        linears: list[Any] = list(self.linears)
        weight = torch.stack([linear.weight.T for linear in linears])
        self.weight = nn.Parameter(weight.contiguous(), requires_grad=False)  # [groups, inner * in, blocks * out]
        self.linears = nn.ModuleList()

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Embed: hidden_states [batch, frames, hidden] -> positions [batch, frames, hidden]."""
        batch, frames, _ = hidden_states.shape
        windows = frames + self.inner * (self.blocks - 1)
        padded = F.pad(hidden_states, (0, 0, self.left, self.inner * self.blocks - 1 - self.left))
        first = positions(padded)[:windows, None]
        index = (first + torch.arange(self.inner, dtype=torch.int32)).reshape(-1)
        groups = padded.reshape(batch, -1, self.groups, self.width_in).permute(2, 0, 1, 3)
        stacked = torch.index_select(groups, 2, index).reshape(self.groups, -1, self.inner * self.width_in)
        products = torch.matmul(stacked, self.weight)
        by_block = products.reshape(self.groups, batch, windows, self.blocks, self.width_out)
        shifted = [
            block[:, :, self.inner * number : self.inner * number + frames]
            for number, block in enumerate(torch.split(by_block, 1, dim=3))
        ]
        total = sum(shifted[1:], shifted[0]).permute(1, 2, 0, 3, 4)
        return BiasGelu.apply(total.reshape(batch, frames, self.groups * self.width_out), self.bias)


class GpuLayer(nn.Module):
    """The products of one transformer layer, without their biases, which the operators around them add."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        attention, feed_forward = layer.attention, layer.feed_forward
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        self.heads, self.scale = attention.num_heads, attention.scaling
        self.query, self.key, self.value = (linear_of(each.weight) for each in projections)
        self.projection_bias = _parameter(torch.cat([each.bias for each in projections]))
        self.output, self.output_bias = linear_of(attention.out_proj.weight), _parameter(attention.out_proj.bias)
        self.widening, self.widening_bias = _parts(feed_forward.intermediate_dense)
        self.narrowing, self.narrowing_bias = _parts(feed_forward.output_dense)

    def attend(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Self-attention, without the output's bias: frames [batch, frames, width] -> the same shape."""
        products = (project(frames) for project in (self.query, self.key, self.value))
        context = LengthAttention.apply(*products, self.projection_bias, lengths, self.heads, self.scale)
        return self.output(context)

    def feed(self, frames: Tensor) -> Tensor:
        """The feed-forward block, without the output's bias: frames [batch, frames, width] -> the same shape."""
        return self.narrowing(BiasGelu.apply(self.widening(frames), self.widening_bias))


class GpuEncoder(nn.Module):
    """Positions, layers and norms of a transformer over padded batches."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.norm_first = isinstance(encoder, NORM_FIRST)
        self.positional = GroupedPositionalConvolution(encoder.pos_conv_embed)
        self.layers = nn.ModuleList(GpuLayer(layer) for layer in encoder.layers)
        pairs = [(layer.layer_norm, layer.final_layer_norm) for layer in encoder.layers]
        norms = [norm for pair in pairs for norm in pair]
        self.norms = nn.ModuleList([*norms, encoder.layer_norm] if self.norm_first else [encoder.layer_norm, *norms])
        self.no_bias = _parameter(torch.zeros(encoder.layer_norm.weight.shape[0]))

    def forward(self, hidden_states: Tensor, counts: Tensor) -> Tensor:
        """Encode: hidden_states [batch, frames, width], of which counts [batch] are each clip's -> the same shape."""
        order = positions(hidden_states)
        inside = order < counts[:, None]
        lengths = counts.to(torch.int32)
        hidden = hidden_states * inside[:, :, None].to(hidden_states.dtype)
        frames, total = self._norm(0, hidden, self.positional(hidden), self.no_bias)
        layers: list[Any] = list(self.layers)
        for number, layer in enumerate(layers):
            kept = total if self.norm_first else frames
            frames, total = self._norm(2 * number + 1, layer.attend(frames, lengths), kept, layer.output_bias)
            kept = total if self.norm_first else frames
            frames, total = self._norm(2 * number + 2, layer.feed(frames), kept, layer.narrowing_bias)
        return frames

    def _norm(self, number: int, values: Tensor, skip: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        norm: Any = self.norms[number]
        return SkipLayerNorm.apply(values, skip, norm.weight, norm.bias, bias, norm.eps)


def _parts(linear: nn.Linear) -> tuple[nn.Linear, nn.Parameter]:
    return linear_of(linear.weight), _parameter(linear.bias)


def _parameter(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(memory_format=torch.contiguous_format), requires_grad=False)


def obstacle(encoder: Any) -> str | None:
    """Why this transformer cannot be replaced exactly, or None when it can."""
    if type(encoder) not in (*NORM_FIRST, *NORM_LAST):
        return f"{type(encoder).__name__} is unknown"
    if getattr(encoder.config, "use_weighted_layer_sum", False):
        return "its classifier reads every layer"
    if reason := positional_convolution.obstacle(encoder.pos_conv_embed):
        return reason
    for layer in encoder.layers:
        if getattr(layer, "adapter_layer", None) is not None:
            return "its layers have adapters"
        if reason := attentions.obstacle(layer.attention):
            return reason
        activation = layer.feed_forward.intermediate_act_fn
        if type(activation).__name__ != "GELUActivation":
            return f"its activation is {type(activation).__name__}"
    return None


RULE = Rule(name="transformer", matches=(*NORM_FIRST, *NORM_LAST), obstacle=obstacle, replacement=GpuEncoder)
