"""The time-delay layers of an x-vector head: dilated convolutions over frames as stacking and Linears.

Snyder et al., "X-Vectors: Robust DNN Embeddings for Speaker Recognition", ICASSP 2018, section 2.1; ``TDNNLayer`` of
transformers 4.57 (``models/wav2vec2/modeling_wav2vec2.py``) and its copies, which hold their weights as a Linear
already and compute with them as a convolution.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wav2edge_export.rewrite.rules import Rule, linear_of
from wav2edge_train.checkpoint.families.family_table import TIME_DELAY
from wav2edge_train.checkpoint.families.framing import window_index


class StackedTimeDelay(nn.Module):
    """One layer: the frames of each window next to each other, a Linear and its activation."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.kernel, self.dilation, self.activation = layer.kernel_size, layer.dilation, layer.activation
        self.linear = linear_of(layer.kernel.weight, layer.kernel.bias)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Convolve: hidden_states [batch, frames, channels] -> [batch, windows, channels out]."""
        if self.kernel == 1:
            return self.activation(self.linear(hidden_states))
        index = window_index(hidden_states.shape[1], self.kernel, 1, dilation=self.dilation)
        stacked = torch.index_select(hidden_states, 1, index)
        return self.activation(self.linear(stacked.reshape(hidden_states.shape[0], -1, self.linear.in_features)))


def obstacle(layer: Any) -> str | None:
    """Why this layer cannot be replaced exactly, or None when it can."""
    return None if type(layer.kernel) is nn.Linear else f"its weights are in a {type(layer.kernel).__name__}"


RULE = Rule(name="time-delay layer", matches=TIME_DELAY, obstacle=obstacle, replacement=StackedTimeDelay)
