"""The Conformer's attention, with relative, clipped relative or rotary positions, or none.

Replaces ``Wav2Vec2ConformerSelfAttention`` and ``Wav2Vec2BertSelfAttention`` of transformers 4.57, and what computes
their positions (``models/wav2vec2_conformer/modeling_wav2vec2_conformer.py``, ``models/wav2vec2_bert``): relative ones
of Dai et al., "Transformer-XL", 2019, section 3.3, clipped ones of Shaw et al., "Self-Attention with Relative Position
Representations", 2018, and rotary ones of Su et al., "RoFormer", 2021, which are here applied to the frames before they
are projected.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from wav2edge_export.rewrite.attention import foreign_linear, merged
from wav2edge_export.rewrite.positions.relative_positions import (
    BiasedAttention,
    distances,
    refuse_probabilities,
    shifted,
    variants,
)
from wav2edge_export.rewrite.rules import Rule, linear_of
from wav2edge_train.checkpoint.families.family_table import classes

PERIOD = 10_000.0
"""The longest wave of relative positions is so many frames, times two pi."""


class ConformerAttention(BiasedAttention):
    """Attention without positions; the others add theirs.

    Args:
        attention: the module of transformers that is replaced.
        fused: see ``BiasedAttention``.
    """

    def __init__(self, attention: Any, *, fused: bool) -> None:
        super().__init__(attention.num_heads, fused=fused)
        self.width = attention.num_heads * attention.head_size
        self.scaling = 1 / math.sqrt(attention.head_size)
        self.query_key_value = merged(_projections(attention), self.scaling)
        self.out_proj = attention.linear_out

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        relative_position_embeddings: Tensor | None = None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, None]:
        """Attend as the encoder layer asks it.

        Args:
            hidden_states: [batch, frames, hidden].
            attention_mask: [batch, 1, frames, frames], added to the scores; None where every frame counts.
            relative_position_embeddings: what the encoder's positions gave; None where it has none.
            output_attentions: not available.

        Returns:
            context [batch, frames, hidden]; None.

        Raises:
            UsageError: the probabilities are asked for.
        """
        refuse_probabilities(output_attentions)
        query, key, value = self.project(hidden_states, relative_position_embeddings)
        bias = self.bias(query, relative_position_embeddings)
        if attention_mask is not None:
            bias = attention_mask if bias is None else bias + attention_mask
        return self.out_proj(self.mix(query, key, value, bias)), None

    def project(self, frames: Tensor, positions: Tensor | None) -> tuple[Tensor, ...]:
        """Query, key and value of frames [batch, frames, hidden], like these."""
        return torch.split(self.query_key_value(frames), self.width, dim=-1)

    def bias(self, query: Tensor, positions: Tensor | None) -> Tensor | None:
        """What is added to the scores, [batch, heads, frames, frames]; None where nothing is."""
        return None


class RelativeAttention(ConformerAttention):
    """Scores of a frame's content and of its distance, with a learned bias each."""

    shift: Tensor

    def __init__(self, attention: Any, *, fused: bool) -> None:
        super().__init__(attention, fused=fused)
        content, position = (
            (bias.detach() * self.scaling).reshape(-1) for bias in (attention.pos_bias_u, attention.pos_bias_v)
        )
        own = self.query_key_value.bias.detach()
        own[: self.width] += content
        self.register_buffer("shift", position - content)
        self.positions = linear_of(attention.linear_pos.weight)

    def bias(self, query: Tensor, positions: Tensor | None) -> Tensor:
        """The scores of distances: query [batch, frames, hidden], positions [1, 2 * frames, hidden]."""
        by_distance = self.by_head(query + self.shift) @ self.by_head(self.positions(positions)).transpose(2, 3)
        return shifted(by_distance, query.shape[1])


class ClippedAttention(ConformerAttention):
    """Scores of a frame's content and of its distance, up to a distance on either side."""

    table: Tensor

    def __init__(self, attention: Any, *, fused: bool) -> None:
        super().__init__(attention, fused=fused)
        self.before, self.behind = attention.left_max_position_embeddings, attention.right_max_position_embeddings
        self.register_buffer("table", attention.distance_embedding.weight.detach().clone())

    def bias(self, query: Tensor, positions: Tensor | None) -> Tensor:
        """The scores of distances, for query [batch, frames, hidden]."""
        columns = torch.clamp(distances(query.shape[1]), -self.before, self.behind) + self.before
        by_distance = self.by_head(query) @ torch.index_select(self.table, 0, columns).T
        return shifted(by_distance, query.shape[1])


class RotaryAttention(ConformerAttention):
    """Frames are rotated by their position, and then give query and key; the value is that of the frames."""

    def __init__(self, attention: Any, *, fused: bool) -> None:
        super().__init__(attention, fused=fused)
        query, key, value = _projections(attention)
        self.query_key_value = merged([query, key], self.scaling)
        self.value = value

    def project(self, frames: Tensor, positions: Tensor | None) -> tuple[Tensor, ...]:
        """Query, key and value of frames [batch, frames, hidden]; positions [2, frames, 1, head width]."""
        assert positions is not None  # the encoder of such a layer has them
        cosine, sine = positions[0], positions[1]
        by_head = frames.reshape(frames.shape[0], frames.shape[1], self.heads, self.width // self.heads)
        first, second = torch.split(by_head, self.width // self.heads // 2, dim=-1)
        rotated = (by_head * cosine + torch.cat([-second, first], dim=-1) * sine).reshape(frames.shape)
        return *torch.split(self.query_key_value(rotated), self.width, dim=-1), self.value(frames)


class RelativePositions(nn.Module):
    """Waves of each distance, from the farthest frame behind to the farthest ahead."""

    rates: Tensor

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        exponents = torch.arange(0, embedding.d_model, 2, dtype=torch.int64).float()
        self.register_buffer("rates", torch.exp(exponents * -(math.log(PERIOD) / embedding.d_model)))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Positions of the frames of hidden_states [batch, frames, hidden]: [1, 2 * frames, hidden]."""
        angles = -distances(hidden_states.shape[1]).to(hidden_states.dtype)[:, None] * self.rates
        return torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(1)[None]


class RotaryPositions(nn.Module):
    """Cosine and sine of each frame's angles."""

    rates: Tensor

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        self.register_buffer("rates", embedding.inv_freq.detach().clone())

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Positions of the frames of hidden_states [batch, frames, hidden]: [2, frames, 1, head width]."""
        angles = torch.arange(hidden_states.shape[1]).to(hidden_states.dtype)[:, None] * self.rates
        twice = torch.cat([angles, angles], dim=-1)[:, None]
        return torch.stack([torch.cos(twice), torch.sin(twice)])


KINDS: dict[str | None, type[ConformerAttention]] = {
    None: ConformerAttention,
    "relative": RelativeAttention,
    "relative_key": ClippedAttention,
    "rotary": RotaryAttention,
}
"""The attentions by the ``position_embeddings_type`` of a config."""


def _projections(attention: Any) -> tuple[Any, Any, Any]:
    return attention.linear_q, attention.linear_k, attention.linear_v


def _replacement(attention: Any, *, fused: bool) -> ConformerAttention:
    return KINDS[attention.position_embeddings_type](attention, fused=fused)


def obstacle(attention: Any) -> str | None:
    """Why this attention cannot be replaced exactly, or None when it can."""
    if attention.position_embeddings_type not in KINDS:
        return f"its positions are {attention.position_embeddings_type!r}"
    return foreign_linear(_projections(attention))


POSITIONS = (
    Rule(
        name="relative positions",
        matches=classes("RelPositionalEmbedding"),
        obstacle=lambda embedding: None,
        replacement=RelativePositions,
    ),
    Rule(
        name="rotary positions",
        matches=classes("RotaryPositionalEmbedding"),
        obstacle=lambda embedding: None,
        replacement=RotaryPositions,
    ),
)
RULES = {
    operators: (
        *POSITIONS,
        Rule(name="attention", matches=classes("SelfAttention"), obstacle=obstacle, replacement=replacement),
    )
    for operators, replacement in variants(_replacement).items()
}
