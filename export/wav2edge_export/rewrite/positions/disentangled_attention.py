"""SEW-D's attention: content to content, content to distance and distance to content.

He et al., "DeBERTa", 2021, section 3.1, with the logarithmic buckets of its second version;
``SEWDTransformerEncoder`` of transformers 4.57 (``models/sew_d/modeling_sew_d.py``). Distances are keys and queries of
their own, which depend on the weights alone: a table per layer, one row per distance, is made at export, by the buckets
of transformers.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from wav2edge_export.rewrite.attention import foreign_linear, merged
from wav2edge_export.rewrite.positions.relative_positions import BiasedAttention, distances, shifted, variants
from wav2edge_export.rewrite.rules import Rule
from wav2edge_train.checkpoint.families.family_table import FAMILIES, classes

ENCODERS = classes("TransformerEncoder", [FAMILIES["sew-d"]])


class DisentangledAttention(BiasedAttention):
    """One layer's attention.

    Args:
        attention: the module of transformers that is replaced.
        embeddings: of the buckets of distances, [buckets, hidden].
        fused: see ``BiasedAttention``.
    """

    keys: Tensor | None
    queries: Tensor | None

    def __init__(self, attention: Any, embeddings: Tensor, *, fused: bool) -> None:
        super().__init__(attention.num_attention_heads, fused=fused)
        kinds = [kind for kind in ("c2p", "p2c") if kind in attention.pos_att_type and attention.relative_attention]
        named = sum(kind in attention.pos_att_type for kind in ("c2p", "p2c"))
        scaling = 1 / math.sqrt(attention.attention_head_size * (1 + named))
        self.width = attention.all_head_size
        self.query_key_value = merged(_projections(attention), scaling)
        self.farthest, buckets = _buckets(attention) if kinds else (0, torch.empty(0))
        shared = attention.share_att_key
        keys = _table(attention.key_proj if shared else attention.pos_key_proj, embeddings) if "c2p" in kinds else None
        queries = None
        if "p2c" in kinds:
            queries = _table(attention.query_proj if shared else attention.pos_query_proj, embeddings) * scaling
        self.register_buffer("keys", None if keys is None else self._by_distance(keys, buckets))
        self.register_buffer("queries", None if queries is None else self._by_distance(queries, buckets))

    def _by_distance(self, table: Tensor, buckets: Tensor) -> Tensor:
        """A table [buckets, hidden] as one [heads, head width, distances]."""
        return table[buckets].unflatten(1, (self.heads, -1)).permute(1, 2, 0).contiguous()

    def forward(self, hidden_states: Tensor, *unused: Any, **also_unused: Any) -> Tensor:
        """Attend: hidden_states [batch, frames, hidden] -> context, like these; every frame counts."""
        query, key, value = torch.split(self.query_key_value(hidden_states), self.width, dim=-1)
        frames = hidden_states.shape[1]
        columns = torch.clamp(distances(frames), -self.farthest, self.farthest) + self.farthest
        bias = None
        if self.keys is not None:
            bias = shifted(self.by_head(query) @ torch.index_select(self.keys, 2, columns), frames)
        if self.queries is not None:
            # Rows are keys here and columns queries, so the distances run the other way.
            behind = torch.clamp(-distances(frames), -self.farthest, self.farthest) + self.farthest
            by_key = shifted(self.by_head(key) @ torch.index_select(self.queries, 2, behind), frames).transpose(2, 3)
            bias = by_key if bias is None else bias + by_key
        return self.mix(query, key, value, bias)


class DisentangledEncoder(nn.Module):
    """The transformer; the mask of a batch is not supported."""

    def __init__(self, encoder: Any, *, fused: bool) -> None:
        super().__init__()
        embeddings = encoder.get_rel_embedding()
        self.layer = encoder.layer
        for layer in self.layer:
            layer.attention.self = DisentangledAttention(layer.attention.self, embeddings, fused=fused)

    def forward(self, hidden_states: Any, attention_mask: Tensor | None, *unused: Any) -> BaseModelOutput:
        """Transform: hidden_states [batch, frames, hidden] -> last_hidden_state like these, and every layer's."""
        states = [hidden_states]
        for layer in self.layer:
            states.append(layer(states[-1], None))
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=tuple(states))


def _projections(attention: Any) -> tuple[Any, Any, Any]:
    return attention.query_proj, attention.key_proj, attention.value_proj


def _table(linear: Any, embeddings: Tensor) -> Tensor:
    table: Tensor = linear(embeddings).detach()
    return table


def _buckets(attention: Any) -> tuple[int, Tensor]:
    """The farthest distance that has a bucket of its own, and the bucket of each distance, from the farthest behind.

    A column of ``distances`` says how far a key is behind its query; transformers counts the other way.
    """
    from transformers.models.sew_d.modeling_sew_d import make_log_bucket_position

    span, largest = attention.pos_ebd_size, attention.max_relative_positions
    farthest = max(span, largest)
    every = -torch.arange(-farthest, farthest + 1)
    if attention.position_buckets > 0 and largest > 0:
        every = make_log_bucket_position(every, attention.position_buckets, largest).to(torch.long)
    return farthest, torch.clamp(every + span, 0, 2 * span - 1)


def obstacle(encoder: Any) -> str | None:
    """Why this transformer cannot be replaced exactly, or None when it can."""
    if encoder.conv is not None:
        return "a convolution stands behind its first layer"
    reasons = (foreign_linear(_projections(layer.attention.self)) for layer in encoder.layer)
    return next(filter(None, reasons), None)


RULES = {
    operators: (Rule(name="disentangled attention", matches=ENCODERS, obstacle=obstacle, replacement=replacement),)
    for operators, replacement in variants(DisentangledEncoder).items()
}
