"""Self-attention with query, key and value in one Linear, as plain operators or as one fused operator.

Replaces ``Wav2Vec2Attention`` of transformers 4.57 (``models/wav2vec2/modeling_wav2vec2.py``) and its copies in other
families, that is Vaswani et al., "Attention Is All You Need", 2017, section 3.2. One Linear quantises its input once
where three would do so three times; ``torch.split`` exports as one Split where ``chunk`` becomes three slower Slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from wav2edge.errors import UsageError
from wav2edge_export.rewrite.rules import Rule, linear_of
from wav2edge_train.checkpoint.families.family_table import FAMILIES, classes

OF_ITS_OWN = ("wavlm", "sew-d")
"""Families whose attention is another one, see ``wav2edge_export.rewrite.positions``."""
ATTENTIONS = classes("Attention", (family for name, family in FAMILIES.items() if name not in OF_ITS_OWN))
# Both take an additive mask [batch, 1, frames, frames], which is the mask the replacements take.
KNOWN_IMPLEMENTATIONS = ("eager", "sdpa")


class MultiHeadAttention(torch.autograd.Function):
    """``com.microsoft.MultiHeadAttention`` for the exporter, and the same product in PyTorch.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MultiHeadAttention
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, heads: int, scale: float
    ) -> Tensor:
        """Attend: query, key, value [batch, frames, hidden], mask [batch, 1, frames, frames] -> like the query."""
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale).transpose(1, 2).flatten(2)

    @staticmethod
    def symbolic(g: Any, query: Any, key: Any, value: Any, mask: Any, heads: int, scale: float) -> Any:
        """Write the one node; an absent mask leaves the inputs after the value out."""
        inputs = [query, key, value]
        if mask is not None:
            absent = g.op("prim::Constant")
            absent.setType(torch._C.OptionalType.ofTensor())
            inputs += [absent, absent, mask]  # bias, key_padding_mask, attention_bias
        node = g.op("com.microsoft::MultiHeadAttention", *inputs, num_heads_i=heads, scale_f=scale)
        return node.setType(query.type())


def projections(attention: Any) -> tuple[Any, Any, Any]:
    """The Linears of query, key and value."""
    return attention.q_proj, attention.k_proj, attention.v_proj


def merged(linears: Sequence[Any], query_scale: float) -> nn.Linear:
    """Several Linears as one, whose outputs stand side by side; the first, the query's, is scaled."""
    first, *others = linears
    weight = torch.cat([first.weight * query_scale, *(each.weight for each in others)])
    biased = first.bias is not None
    return linear_of(weight, torch.cat([first.bias * query_scale, *(each.bias for each in others)]) if biased else None)


def mix(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, heads: int) -> tuple[Tensor, Tensor]:
    """Attention in plain operators, without scaling.

    Args:
        query: [batch, frames, hidden], with the scaling folded in.
        key: [batch, frames, hidden].
        value: [batch, frames, hidden].
        bias: added to the scores, [batch or 1, heads or 1, frames, frames]; None where nothing is.
        heads: of the attention.

    Returns:
        context [batch, frames, hidden]; probabilities [batch, heads, frames, frames].
    """
    batch, frames, width = query.shape
    shape = (batch, frames, heads, width // heads)
    by_head = query.reshape(shape).transpose(1, 2)
    scores = by_head @ key.reshape(shape).permute(0, 2, 3, 1)
    probabilities = torch.softmax(scores if bias is None else scores + bias, dim=-1)
    context = probabilities @ value.reshape(shape).transpose(1, 2)
    return context.transpose(1, 2).reshape(batch, frames, width), probabilities


class MergedAttention(nn.Module):
    """The three projections as one Linear; what happens between it and the last projection is the subclass's.

    Args:
        attention: the module of transformers that is replaced.
        query_scale: folded into the query's weights.
    """

    def __init__(self, attention: Any, query_scale: float) -> None:
        super().__init__()
        self.heads, self.width = attention.num_heads, attention.embed_dim
        self.scaling = attention.scaling
        self.query_key_value = merged(projections(attention), query_scale)
        self.out_proj = attention.out_proj

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None, None]:
        """Attend as the encoder layer asks it.

        Args:
            hidden_states: [batch, frames, hidden].
            attention_mask: [batch, 1, frames, frames], added to the scores; None where every frame counts.
            output_attentions: the probabilities are asked for.

        Returns:
            context [batch, frames, hidden]; probabilities [batch, heads, frames, frames] or None; None.
        """
        query, key, value = torch.split(self.query_key_value(hidden_states), self.width, dim=-1)
        context, probabilities = self.attend(query, key, value, attention_mask, output_attentions)
        return self.out_proj(context), probabilities, None

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, output_attentions: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Mix the values: each [batch, frames, hidden] -> context [batch, frames, hidden], probabilities or None."""
        raise NotImplementedError


class StandardAttention(MergedAttention):
    """Attention from MatMul and Softmax, which every execution provider has.

    The scaling is folded into the query's weights: without any rounding where the width of a head is a power of four,
    as the 64 of base, large and XLSR, and within one unit in the last place elsewhere.
    """

    def __init__(self, attention: Any) -> None:
        super().__init__(attention, query_scale=attention.scaling)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, output_attentions: bool
    ) -> tuple[Tensor, Tensor]:
        """Mix the values; the probabilities [batch, heads, frames, frames] come along at no cost."""
        return mix(query, key, value, mask, self.heads)


class FusedAttention(MergedAttention):
    """Attention as one ``com.microsoft.MultiHeadAttention``; it scales inside its product, so nothing is folded."""

    def __init__(self, attention: Any) -> None:
        super().__init__(attention, query_scale=1.0)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, output_attentions: bool
    ) -> tuple[Tensor, None]:
        """Mix the values.

        Raises:
            UsageError: the probabilities are asked for; the fused operator does not give them.
        """
        if output_attentions:
            raise UsageError("Fused attention gives no attention probabilities: rewrite with operators='standard'.")
        return MultiHeadAttention.apply(query, key, value, mask, self.heads, self.scaling), None


def obstacle(attention: Any) -> str | None:
    """Why this attention cannot be replaced exactly, or None when it can."""
    implementation = getattr(attention.config, "_attn_implementation", None)
    if implementation not in KNOWN_IMPLEMENTATIONS:
        return f"unknown attention implementation {implementation!r}"
    if attention.is_decoder or attention.is_causal:
        return "it is a decoder's or causal"
    return foreign_linear(projections(attention))


def foreign_linear(expected: Sequence[nn.Module]) -> str | None:
    """Why some of these are not the Linears that the transformers class builds, or None when all are."""
    foreign = [type(module).__name__ for module in expected if type(module) is not nn.Linear]
    return f"{foreign[0]} stands where a Linear was expected" if foreign else None


STANDARD = Rule(name="attention", matches=ATTENTIONS, obstacle=obstacle, replacement=StandardAttention)
FUSED = Rule(name="attention", matches=ATTENTIONS, obstacle=obstacle, replacement=FusedAttention)
