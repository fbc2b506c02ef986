"""A feature encoder that trains faster on a CPU."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from transformers import PretrainedConfig
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder


class TimeMajorFeatureEncoder(Wav2Vec2FeatureEncoder):
    """A layer-norm feature encoder with the weights and outputs of transformers' own, whatever the family.

    PyTorch's backward convolution is slow for narrow layers on a CPU, and transformers transposes twice per layer for
    the norm. While training on a CPU frames therefore stay before channels, and every layer is one matrix product.
    Everywhere else the code of transformers runs.
    """

    def __init__(self, config: PretrainedConfig) -> None:
        if not hasattr(config, "feat_extract_norm"):  # Data2VecAudio has no other norm, and does not name it
            config = copy.copy(config)
            config.feat_extract_norm = "layer"
        super().__init__(config)

    def forward(self, input_values: torch.Tensor) -> Any:
        """Features of waveforms: ``[batch, samples]`` to ``[batch, channels, frames]``."""
        if not (self.training and input_values.device.type == "cpu"):
            return super().forward(input_values)
        frames = input_values[:, :, None]
        for layer in cast("list[Any]", self.conv_layers):
            frames = functional.linear(_windows(frames, layer.conv), _matrix(layer.conv), layer.conv.bias)
            frames = layer.activation(layer.layer_norm(frames))
        return frames.transpose(1, 2)


def _windows(frames: torch.Tensor, conv: nn.Conv1d) -> torch.Tensor:
    """The inputs of each output frame, ``[batch, frames, channels]`` to ``[batch, windows, kernel * channels]``."""
    (kernel,), (stride,) = conv.kernel_size, conv.stride
    if frames.shape[2] == 1:
        return frames[:, :, 0].unfold(1, kernel, stride)
    span = (frames.shape[1] - kernel) // stride * stride + 1
    return torch.cat([frames[:, tap : tap + span : stride] for tap in range(kernel)], dim=-1)


def _matrix(conv: nn.Conv1d) -> torch.Tensor:
    """The weights ``[channels after, channels, kernel]`` as ``[channels after, kernel * channels]``."""
    return conv.weight.transpose(1, 2).flatten(1)
