"""Self-attention of a chunk to itself and to what a ring of keys and values holds of the frames before it.

Frame ``f`` of a stream lies in slot ``f mod slots`` of the ring, whatever the chunk. Attention does not care about the
order of its keys, so nothing is ever moved: a chunk overwrites the oldest slots, and a mask hides those that are too
old or have not been written. Where input and output are the same memory, ONNX Runtime's ScatterND writes in place.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wav2edge_export.rewrite.attention import FusedAttention, MergedAttention, MultiHeadAttention


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Where a chunk stands in the rings.

    Attributes:
        at: ``[1, heads, frames, 3]`` int64, the place in a ring of each of its frames and heads.
        mask: ``[1, 1, frames, slots]`` float32, 0 for slots that may be attended to, and the lowest number elsewhere.
    """

    at: Tensor
    mask: Tensor


class RingAttention(nn.Module):
    """A rewritten attention that reads and writes a ring.

    ``slots``, ``keys`` and ``values`` are set before a call; after it ``keys`` and ``values``, of shape
    ``[1, heads, slots, head width]``, are those for the next chunk. The module stands where the layers of transformers
    call their attention.
    """

    slots: Slots
    keys: Tensor
    values: Tensor

    def __init__(self, attention: MergedAttention) -> None:
        super().__init__()
        self.query_key_value, self.out_proj = attention.query_key_value, attention.out_proj
        self.heads, self.width, self.scaling = attention.heads, attention.width, attention.scaling
        self.fused = isinstance(attention, FusedAttention)

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, None, None]:
        """Attend: hidden_states [1, frames, hidden] -> the same shape."""
        query, key, value = torch.split(self.query_key_value(hidden_states), self.width, dim=-1)
        self.keys, self.values = self._written(self.keys, key), self._written(self.values, value)
        if self.fused:
            context = RingProduct.apply(query, self.keys, self.values, self.slots.mask, self.heads, self.scaling)
        else:
            context = self._attend(query)
        return self.out_proj(context), None, None

    def _by_head(self, frames: Tensor) -> Tensor:
        return frames.reshape(1, -1, self.heads, self.width // self.heads).transpose(1, 2)

    def _written(self, ring: Tensor, frames: Tensor) -> Tensor:
        """A ring with a chunk written into it."""
        return ScatterFrames.apply(ring, self.slots.at, self._by_head(frames))

    def _attend(self, query: Tensor) -> Tensor:
        """The same product in plain ONNX; the scaling is in the query's weights."""
        scores = self._by_head(query) @ self.keys.transpose(2, 3) + self.slots.mask
        return (torch.softmax(scores, dim=-1) @ self.values).transpose(1, 2).reshape(query.shape)


class ScatterFrames(torch.autograd.Function):
    """``ScatterND`` for the exporter, which writes slices of one head and slot."""

    @staticmethod
    def forward(ctx: object, ring: Tensor, at: Tensor, frames: Tensor) -> Tensor:
        """Write: ring [1, heads, slots, width], at [1, heads, frames, 3], frames [1, heads, frames, width]."""
        return ring.index_put(tuple(at.unbind(-1)), frames)

    @staticmethod
    def symbolic(g: object, ring: object, at: object, frames: object) -> object:
        """Write the one node."""
        return g.op("ScatterND", ring, at, frames).setType(ring.type())  # type: ignore[attr-defined]


class RingProduct(torch.autograd.Function):
    """``com.microsoft.MultiHeadAttention`` with keys and values by head, as a cache has them."""

    @staticmethod
    def forward(
        ctx: object, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, heads: int, scale: float
    ) -> Tensor:
        """Attend: query [1, frames, hidden], keys and values [1, heads, slots, width] -> like the query."""
        key, value = keys.transpose(1, 2).flatten(2), values.transpose(1, 2).flatten(2)
        return MultiHeadAttention.forward(ctx, query, key, value, mask, heads, scale)

    @staticmethod
    def symbolic(
        g: object, query: object, keys: object, values: object, mask: object, heads: int, scale: float
    ) -> object:
        """Write the one node."""
        return MultiHeadAttention.symbolic(g, query, keys, values, mask, heads, scale)
