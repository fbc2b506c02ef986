"""The positional convolution as two levels of taps: stacked frames and a Linear, then a sum of shifted blocks.

A kernel of 128 taps stacked whole would write each frame 128 times: 262 MB for ten seconds at XLSR's shape, and more
time in copying than in the products. Here the taps are cut in blocks of about sqrt(2 * kernel)::

    y[t] = sum over blocks m, sum over taps i:  x[t + inner * m + i - kernel // 2] @ W[m, i]

The inner sum is one Linear over ``inner`` stacked frames which computes all blocks at once; the outer sum adds their
outputs, shifted. Each frame is written 16 + 8 times for 128 taps, no weight is stored twice, and only the
``frames + inner - 1`` windows that touch the clip are computed, so that a short clip pays for no window of padding.
In ONNX Runtime 1.32, int8, it took 0.79 of the processor time of whole windows at 49 frames and 0.53 at 499.

Replaces ``Wav2Vec2PositionalConvEmbedding`` of transformers 4.57 (``models/wav2vec2/modeling_wav2vec2.py``) and its
copies in other families: weight norm is folded, and for even kernels the last frame is dropped. Data2VecAudio has a
stack of such convolutions, each with a layer norm (``models/data2vec/modeling_data2vec_audio.py``), and SEW one with a
stride.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from wav2edge_export.rewrite.rules import Rule, linear_of, plain_convolution_obstacle
from wav2edge_train.checkpoint.families.family_table import FAMILIES, classes
from wav2edge_train.checkpoint.families.framing import window_index

STACKS = classes("PositionalConvEmbedding", [FAMILIES["data2vec-audio"]])
EMBEDDINGS = tuple(
    each
    for each in classes("PositionalConvEmbedding", (family for family in FAMILIES.values() if not family.squeezed))
    if each not in STACKS
)


class BlockedPositionalConvolution(nn.Module):
    """A grouped convolution that keeps the number of frames, then the norm if there is one, and the activation.

    Args:
        embedding: the module of transformers that is replaced.
        left: frames that the kernel reaches back; half of it where None.
    """

    def __init__(self, embedding: Any, left: int | None = None) -> None:
        super().__init__()
        conv = embedding.conv
        (kernel,) = conv.kernel_size
        self.groups, self.width_in = conv.groups, conv.in_channels // conv.groups
        self.width_out = conv.out_channels // conv.groups
        self.blocks = math.ceil(kernel / math.isqrt(2 * kernel))
        self.inner = math.ceil(kernel / self.blocks)
        self.left = kernel // 2 if left is None else left
        taps = F.pad(conv.weight.detach(), (0, self.blocks * self.inner - kernel))
        self.linears = nn.ModuleList(self._linear(group) for group in taps.split(self.width_out))
        self.bias = nn.Parameter(conv.bias.detach().clone(), requires_grad=False)
        self.norm = getattr(embedding, "layer_norm", None)
        self.activation = embedding.activation

    def _linear(self, taps: Tensor) -> nn.Linear:
        """The taps [width_out, width_in, blocks * inner] of one group as [blocks * width_out, inner * width_in]."""
        by_block = taps.reshape(self.width_out, self.width_in, self.blocks, self.inner).permute(2, 0, 3, 1)
        return linear_of(by_block.reshape(self.blocks * self.width_out, self.inner * self.width_in))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Embed: hidden_states [batch, frames, hidden] -> positions [batch, frames, hidden]."""
        summed = self.shifted_sum(self.products(hidden_states), hidden_states.shape[1]) + self.bias
        return self.activation(summed if self.norm is None else self.norm(summed))

    def products(self, hidden_states: Tensor) -> Tensor:
        """Multiply: hidden_states [batch, frames, hidden] -> [batch, windows, groups * blocks * width_out].

        Window ``w`` starts at frame ``w - (inner - 1)``. The groups go one after the other, so that the stacked
        frames of one group only are in memory at a time.
        """
        reach = self.inner - 1
        padded = F.pad(hidden_states, (0, 0, reach, reach))
        index = window_index(padded.shape[1], self.inner, 1)
        shape = (hidden_states.shape[0], hidden_states.shape[1] + reach, self.inner * self.width_in)
        groups = torch.split(padded, self.width_in, dim=-1)
        stacked = (torch.index_select(group, 1, index).reshape(shape) for group in groups)
        return torch.cat([linear(frames) for linear, frames in zip(self.linears, stacked, strict=True)], dim=-1)

    def shifted_sum(self, products: Tensor, frames: int) -> Tensor:
        """Add: products [batch, windows, groups * blocks * width_out] -> [batch, frames, groups * width_out].

        Block ``m`` contributes to frame ``t`` from the window that starts at ``t + inner * m - left``.
        """
        before = self.left - (self.inner - 1)
        after = max(self.inner * (self.blocks - 1) - self.left, 0)
        padded = F.pad(products, (0, 0, before, after))
        by_block = padded.reshape(products.shape[0], -1, self.groups, self.blocks, self.width_out)
        shifted = [
            block[:, self.inner * number : self.inner * number + frames]
            for number, block in enumerate(torch.split(by_block, 1, dim=3))
        ]
        total = sum(shifted[1:], shifted[0])
        return total.reshape(products.shape[0], frames, self.groups * self.width_out)


class PositionalStack(nn.Module):
    """Several positional convolutions, one after the other."""

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(BlockedPositionalConvolution(layer) for layer in embedding.layers)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Embed: hidden_states [batch, frames, hidden] -> positions [batch, frames, hidden]."""
        for layer in self.layers:
            hidden_states = layer(hidden_states)
        return hidden_states


def obstacle(embedding: Any) -> str | None:
    """Why this positional convolution cannot be replaced exactly, or None when it can."""
    if getattr(embedding, "batch_norm", None) is not None:
        return "a batch norm stands before the convolution"
    (kernel,) = embedding.conv.kernel_size
    return plain_convolution_obstacle(embedding.conv, padding=kernel // 2, groups=embedding.conv.groups)


def stack_obstacle(embedding: Any) -> str | None:
    """The same of a stack."""
    return next(filter(None, map(obstacle, embedding.layers)), None)


RULE = Rule(
    name="positional convolution", matches=EMBEDDINGS, obstacle=obstacle, replacement=BlockedPositionalConvolution
)
STACK = Rule(name=RULE.name, matches=STACKS, obstacle=stack_obstacle, replacement=PositionalStack)
