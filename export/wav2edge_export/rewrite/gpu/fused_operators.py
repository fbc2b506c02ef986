"""ONNX Runtime's fused operators for the exporter, each with the same product in PyTorch; and positions on the device.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md has them all. A tensor that follows from
shapes alone is computed on the CPU and copied to the GPU in the middle of a call; a CUDA graph cannot be captured over
such a copy. Positions are therefore counted from a tensor that is on the GPU already.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor

NORMALIZED, TOTAL = 0, 3
"""Outputs of ``SkipLayerNormalization``; those between them exist in training only."""


class Gelu(torch.autograd.Function):
    """``com.microsoft.Gelu``: the exact GELU (Hendrycks and Gimpel, 2016) in one pass."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Activate, element by element."""
        return F.gelu(values)

    @staticmethod
    def symbolic(g: Any, values: Any) -> Any:
        """Write the node."""
        return g.op("com.microsoft::Gelu", values).setType(values.type())


class BiasGelu(torch.autograd.Function):
    """``com.microsoft.BiasGelu``: the GELU of values and a bias."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, bias: Tensor) -> Tensor:
        """Activate: values [..., width], bias [width] -> [..., width]."""
        return F.gelu(values + bias)

    @staticmethod
    def symbolic(g: Any, values: Any, bias: Any) -> Any:
        """Write the node."""
        return g.op("com.microsoft::BiasGelu", values, bias).setType(values.type())


class SkipLayerNorm(torch.autograd.Function):
    """``com.microsoft.SkipLayerNormalization``: the layer norm (Ba et al., 2016) of a sum, and the sum."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, skip: Tensor, weight: Tensor, shift: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor]:
        """Normalise: values and skip [batch, frames, width]; weight, shift, bias [width] -> the norm and the sum."""
        total = values + skip + bias
        return F.layer_norm(total, weight.shape, weight, shift, eps), total

    @staticmethod
    def symbolic(g: Any, values: Any, skip: Any, weight: Any, shift: Any, bias: Any, eps: float) -> Any:
        """Write the node."""
        inputs = (values, skip, weight, shift, bias)
        outputs = g.op("com.microsoft::SkipLayerNormalization", *inputs, epsilon_f=eps, outputs=TOTAL + 1)
        return outputs[NORMALIZED].setType(values.type()), outputs[TOTAL].setType(values.type())


class LengthAttention(torch.autograd.Function):
    """``com.microsoft.MultiHeadAttention`` up to each clip's length, with the biases of query, key and value."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, lengths: Tensor, heads: int, scale: float
    ) -> Tensor:
        """Attend: query, key, value [batch, frames, width], bias [3 * width], lengths [batch] -> like the query."""
        parts = zip((query, key, value), bias.chunk(3), strict=True)
        q, k, v = ((part + own).unflatten(-1, (heads, -1)).transpose(1, 2) for part, own in parts)
        seen = (torch.arange(query.shape[1]) < lengths[:, None])[:, None, None]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale).transpose(1, 2).flatten(2)

    @staticmethod
    def symbolic(g: Any, query: Any, key: Any, value: Any, bias: Any, lengths: Any, heads: int, scale: float) -> Any:
        """Write the node."""
        inputs = (query, key, value, bias, lengths)
        node = g.op("com.microsoft::MultiHeadAttention", *inputs, num_heads_i=heads, scale_f=scale)
        return node.setType(query.type())


def positions(like: Tensor, block: int | None = None) -> Tensor:
    """0, 1, 2, ... along the second axis: like [batch, frames, ...] -> [frames] int32, computed where ``like`` is.

    Args:
        like: any tensor without NaN.
        block: divides the number of frames. A sum along one axis is serial on a GPU; with a block, blocks are counted
            by themselves.
    """
    first = like[:1].flatten(2)[:, :, 0] if like.dim() > 2 else like[:1]
    ones = torch.clamp(first[0], 1, 1).to(torch.int32)
    if block is None:
        return _count(ones, 0)
    table = ones.reshape(-1, block)
    return (_count(table, 0) * block + _count(table, 1)).reshape(-1)


def _count(ones: Tensor, dim: int) -> Tensor:
    return (torch.cumsum(ones, dim=dim) - 1).to(torch.int32)
