"""WavLM's attention: a bias for each distance, which a gate opens by what the query's frame holds.

Chen et al., "WavLM", 2021, section IV-A; ``WavLMAttention`` of transformers 4.57 (``models/wavlm/modeling_wavlm.py``).
The bias of a distance is the same in all layers, so the first layer computes it once for a clip and hands it on. Its
buckets are a table of every distance up to the farthest bucket, made by the code of transformers: logarithms that
differ in the last bit between two libraries cannot move a distance into another bucket. The gate reads the frames that
the projections read, so its weights are further columns of theirs, and these frames are quantised once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wav2edge_export.rewrite.attention import foreign_linear, merged, projections
from wav2edge_export.rewrite.positions.relative_positions import (
    BiasedAttention,
    distances,
    refuse_probabilities,
    shifted,
    variants,
)
from wav2edge_export.rewrite.rules import Rule, linear_of
from wav2edge_train.checkpoint.families.family_table import FAMILIES, classes

ATTENTIONS = classes("Attention", [FAMILIES["wavlm"]])


class GatedAttention(BiasedAttention):
    """One layer's attention; the first layer's also holds the table of biases.

    Args:
        attention: the module of transformers that is replaced.
        fused: see ``BiasedAttention``.
    """

    gate_scale: Tensor
    table: Tensor

    def __init__(self, attention: Any, *, fused: bool) -> None:
        super().__init__(attention.num_heads, fused=fused)
        self.width = attention.embed_dim
        self.merged = merged([*projections(attention), _gate(attention)], attention.scaling)
        self.out_proj = attention.out_proj
        self.register_buffer("gate_scale", attention.gru_rel_pos_const.detach().reshape(-1).clone())
        self.has_table = hasattr(attention, "rel_attn_embed")
        if self.has_table:
            self.farthest = max(attention.max_distance, attention.num_buckets // 4)
            every = torch.arange(-self.farthest, self.farthest + 1)
            buckets = attention._relative_positions_bucket(every)
            self.register_buffer("table", attention.rel_attn_embed.weight.detach()[buckets].T.contiguous())

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        output_attentions: bool = False,
        index: int = 0,
    ) -> tuple[Tensor, None, Tensor]:
        """Attend as the encoder layer asks it.

        Args:
            hidden_states: [batch, frames, hidden].
            attention_mask: [batch, frames], 1 on a clip and 0 on its padding; None where every frame counts.
            position_bias: [1, heads, frames, frames] of the first layer; None in the first layer.
            output_attentions: not available.
            index: of the layer.

        Returns:
            context [batch, frames, hidden]; None; the position bias for the next layer.

        Raises:
            UsageError: the probabilities are asked for.
        """
        refuse_probabilities(output_attentions)
        if position_bias is None:
            position_bias = self.biases(hidden_states.shape[1])
        widths = [self.width] * 3 + [2 * self.heads]
        query, key, value, gates = torch.split(self.merged(hidden_states), widths, dim=-1)
        bias = self.gate(gates) * position_bias
        if attention_mask is not None:
            hidden = (1.0 - attention_mask[:, None, None, :].to(bias.dtype)) * torch.finfo(bias.dtype).min
            bias = bias + hidden
        return self.out_proj(self.mix(query, key, value, bias)), None, position_bias

    def biases(self, frames: int) -> Tensor:
        """The bias of each pair of frames, [1, heads, frames, frames]."""
        columns = torch.clamp(distances(frames), -self.farthest, self.farthest) + self.farthest
        by_distance = torch.index_select(self.table, 1, columns)
        return shifted(by_distance[None, :, None].expand(1, self.heads, frames, 2 * frames), frames)

    def gate(self, values: Tensor) -> Tensor:
        """How far the gate of each frame is open: values [batch, frames, 2 * heads] -> [batch, heads, frames, 1]."""
        update, reset = torch.split(torch.sigmoid(values), self.heads, dim=-1)
        opened = update * (reset * self.gate_scale - 1.0) + 2.0
        return opened.transpose(1, 2)[..., None]


def _gate(attention: Any) -> nn.Linear:
    """The gates of all heads as one Linear over the frame: first what all update with, then what they reset with.

    Four outputs of transformers' Linear are added to one, which is the Linear with their sum as weights.
    """
    linear, heads = attention.gru_rel_pos_linear, attention.num_heads
    weights = linear.weight.detach().unflatten(0, (2, 4)).sum(dim=1)
    biases = linear.bias.detach().unflatten(0, (2, 4)).sum(dim=1)
    rows = [torch.block_diag(*[weight[None]] * heads) for weight in weights]
    return linear_of(torch.cat(rows), biases.repeat_interleave(heads))


def obstacle(attention: Any) -> str | None:
    """Why this attention cannot be replaced exactly, or None when it can."""
    return foreign_linear([*projections(attention), attention.gru_rel_pos_linear])


RULES = {
    operators: (Rule(name="gated attention", matches=ATTENTIONS, obstacle=obstacle, replacement=replacement),)
    for operators, replacement in variants(GatedAttention).items()
}
