"""What attentions over relative positions share: columns of distances, their shift to pairs of frames, and the mixing.

A score that depends on the distance of two frames is first computed for every distance, ``[frames, 2 * frames]``, and
then read out for every pair (Dai et al., "Transformer-XL", 2019, appendix B). Row by row the pairs of a frame are a
window of its distances which moves by one: read as one long row, that is a reshape to rows shorter by one.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from wav2edge.errors import UsageError
from wav2edge_export.rewrite.attention import MultiHeadAttention, mix


def distances(frames: int) -> Tensor:
    """How far a key is behind a query, for each column: [2 * frames] int64, from ``1 - frames`` to ``frames``."""
    return torch.arange(2 * frames) - (frames - 1)


def shifted(by_distance: Tensor, frames: int) -> Tensor:
    """Read out pairs: by_distance [batch, heads, frames, 2 * frames] -> [batch, heads, frames, frames].

    The pair of query ``i`` and key ``j`` is in column ``j - i + frames - 1``, that is at
    ``frames - 1 + i * (2 * frames - 1) + j`` of the flattened rows.
    """
    batch, heads = by_distance.shape[0], by_distance.shape[1]
    flat = by_distance.reshape(batch, heads, 2 * frames * frames)[:, :, frames - 1 : 2 * frames * frames - 1]
    return flat.reshape(batch, heads, frames, 2 * frames - 1)[..., :frames]


class BiasedAttention(nn.Module):
    """Attention whose scores get a bias, as plain operators or as one fused operator.

    Args:
        heads: of the attention.
        fused: write one ``com.microsoft.MultiHeadAttention``.
    """

    def __init__(self, heads: int, *, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused

    def mix(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """Mix the values.

        Args:
            query: [batch, frames, hidden], with the scaling folded in.
            key: [batch, frames, hidden].
            value: [batch, frames, hidden].
            bias: [batch or 1, heads or 1, frames, frames], added to the scores.

        Returns:
            context [batch, frames, hidden].
        """
        if self.fused:
            context: Tensor = MultiHeadAttention.apply(query, key, value, bias, self.heads, 1.0)
            return context
        return mix(query, key, value, bias, self.heads)[0]

    def by_head(self, values: Tensor) -> Tensor:
        """Divide: values [batch, frames, hidden] -> [batch, heads, frames, width]."""
        batch, frames, width = values.shape
        return values.reshape(batch, frames, self.heads, width // self.heads).transpose(1, 2)


def refuse_probabilities(asked: Any) -> None:
    """Raise a ``UsageError`` if attention probabilities are asked for."""
    if asked:
        raise UsageError("attention with positions gives no probabilities once it is rewritten: ask the original")


def variants(build: Any) -> dict[str, Any]:
    """A replacement for each kind of operators: of a class that takes ``fused``."""
    return {"standard": partial(build, fused=False), "fused": partial(build, fused=True)}
