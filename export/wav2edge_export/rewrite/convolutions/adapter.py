"""The adapter above an encoder, a stack of strided convolutions that shorten its frames, as stacking and Linears.

Li et al., "Multilingual Speech Translation from Efficient Finetuning of Pretrained Models", 2021, section 3.1;
``Wav2Vec2Adapter`` of transformers 4.57 (``models/wav2vec2/modeling_wav2vec2.py``) and its copies. That of
wav2vec2-BERT (``models/wav2vec2_bert/modeling_wav2vec2_bert.py``) is a transformer whose layers shorten their frames.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from wav2edge_export.rewrite.rules import Rule, linear_of, plain_convolution_obstacle
from wav2edge_train.checkpoint.families.family_table import FAMILIES, classes
from wav2edge_train.checkpoint.families.framing import frame_counts, inside, window_index

ADAPTERS = classes("Adapter", (family for family in FAMILIES.values() if family.hears == "waveform"))
TRANSFORMERS = classes("Adapter", (family for family in FAMILIES.values() if family.hears == "log_mel"))


class PaddedConvolution(nn.Module):
    """A strided convolution with zeros at both ends, then a gated linear unit (Dauphin et al., 2017)."""

    def __init__(self, conv: Any) -> None:
        super().__init__()
        (self.kernel,), (self.stride,), (self.padding,) = conv.kernel_size, conv.stride, conv.padding
        self.linear = linear_of(conv.weight.permute(0, 2, 1).reshape(conv.out_channels, -1), conv.bias)
        self.width = conv.out_channels // 2

    def forward(self, frames: Tensor) -> Tensor:
        """Convolve: frames [batch, frames, channels] -> [batch, windows, channels out / 2]."""
        padded = F.pad(frames, (0, 0, self.padding, self.padding))
        index = window_index(padded.shape[1], self.kernel, self.stride)
        stacked = torch.index_select(padded, 1, index).reshape(frames.shape[0], -1, self.linear.in_features)
        values, gates = torch.split(self.linear(stacked), self.width, dim=-1)
        return values * torch.sigmoid(gates)


class StackedAdapter(nn.Module):
    """The whole adapter, time-major inside."""

    def __init__(self, adapter: Any) -> None:
        super().__init__()
        projected = adapter.proj is not None
        self.projection = nn.Sequential(adapter.proj, adapter.proj_layer_norm) if projected else nn.Identity()
        self.layers = nn.ModuleList(PaddedConvolution(layer.conv) for layer in adapter.layers)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Shorten: hidden_states [batch, frames, hidden] -> [batch, fewer frames, output hidden]."""
        frames = self.projection(hidden_states)
        for layer in self.layers:
            frames = layer(frames)
        return frames


class ShorteningLayer(nn.Module):
    """A layer of a transformer that attends to fewer frames than it is given."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.residual_norm, self.attention_norm = layer.residual_layer_norm, layer.self_attn_layer_norm
        self.residual, self.shortened = PaddedConvolution(layer.residual_conv), PaddedConvolution(layer.self_attn_conv)
        self.attention, self.norm, self.feed_forward = layer.self_attn, layer.ffn_layer_norm, layer.ffn

    def forward(self, frames: Tensor, counts: Tensor | None) -> Tensor:
        """Transform: frames [batch, frames, hidden] -> [batch, fewer frames, hidden].

        ``counts`` [batch] of the fewer frames are attended to; all where None.
        """
        residual, hidden = self.residual(self.residual_norm(frames)), self.shortened(self.attention_norm(frames))
        mask = None
        if counts is not None:
            behind = (~inside(counts, hidden.shape[1])).to(hidden.dtype) * torch.finfo(hidden.dtype).min
            mask = behind[:, None, None].expand(-1, 1, hidden.shape[1], -1)
        attended = self.attention(hidden, mask)[0] + residual
        return attended + self.feed_forward(self.norm(attended))


class TransformerAdapter(nn.Module):
    """The whole adapter, time-major inside."""

    def __init__(self, adapter: Any) -> None:
        super().__init__()
        projected = adapter.proj is not None
        self.projection = nn.Sequential(adapter.proj, adapter.proj_layer_norm) if projected else nn.Identity()
        self.layers = nn.ModuleList(ShorteningLayer(layer) for layer in adapter.layers)

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Shorten: hidden_states [batch, frames, hidden] -> [batch, fewer frames, output hidden].

        ``attention_mask`` [batch, frames] is 1 on a clip and 0 on its padding.
        """
        frames, layer = self.projection(hidden_states), None
        counts = None if attention_mask is None else attention_mask.to(torch.long).sum(dim=1)
        for layer in self.layers:
            first: Any = layer.residual
            if counts is not None:
                counts = frame_counts(counts, first.kernel - 2 * first.padding, first.stride)
            frames = layer(frames, counts)
        return frames


def obstacle(adapter: Any) -> str | None:
    """Why this adapter cannot be replaced exactly, or None when it can."""
    reasons = (plain_convolution_obstacle(layer.conv, padding=1, groups=1) for layer in adapter.layers)
    return next(filter(None, reasons), None)


def transformer_obstacle(adapter: Any) -> str | None:
    """The same of a transformer."""
    reasons = (
        plain_convolution_obstacle(conv, padding=layer.stride // 2, groups=1)
        for layer in adapter.layers
        for conv in (layer.residual_conv, layer.self_attn_conv)
    )
    return next(filter(None, reasons), None)


BOTH = (
    Rule(name="adapter", matches=ADAPTERS, obstacle=obstacle, replacement=StackedAdapter),
    Rule(name="adapter", matches=TRANSFORMERS, obstacle=transformer_obstacle, replacement=TransformerAdapter),
)
RULES = dict.fromkeys(("standard", "fused"), BOTH)
