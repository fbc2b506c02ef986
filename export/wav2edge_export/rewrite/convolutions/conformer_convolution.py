"""The convolution module of the Conformer: its pointwise convolutions as Linears, its norm over batches folded.

Gulati et al., "Conformer", 2020, section 2.2; ``Wav2Vec2ConformerConvolutionModule`` of transformers 4.57
(``models/wav2vec2_conformer/modeling_wav2vec2_conformer.py``) and ``Wav2Vec2BertConvolutionModule``
(``models/wav2vec2_bert/modeling_wav2vec2_bert.py``), which is causal and has a layer norm. The depthwise convolution
stays one, with few weights that would gain nothing from eight bits. Written as a convolution over images of one row,
which ONNX Runtime has a fast kernel for: 768 channels, 31 taps and 149 frames took 0.2 ms that way, 0.7 ms as one over
sequences, and 3 ms as a sum of stacked frames (ONNX Runtime 1.32, one thread).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wav2edge_export.rewrite.rules import Rule, linear_of, plain_convolution_obstacle
from wav2edge_train.checkpoint.families.family_table import classes


class ConformerConvolution(nn.Module):
    """Norm, gated linear unit, depthwise convolution, norm, activation and projection, time-major."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.layer_norm, self.activation = module.layer_norm, module.activation
        self.widening, self.narrowing = (_linear(conv) for conv in (module.pointwise_conv1, module.pointwise_conv2))
        self.width = module.pointwise_conv1.out_channels // 2
        self.depthwise = _over_images(module)
        self.norm = getattr(module, "depthwise_layer_norm", None)

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Convolve: hidden_states [batch, frames, hidden] -> the same shape.

        ``attention_mask`` [batch, frames] is 0 on padding, where the convolution shall see zeros; None without padding.
        """
        frames = self.layer_norm(hidden_states)
        if attention_mask is not None:
            frames = frames * attention_mask[:, :, None].to(frames.dtype)
        values, gates = torch.split(self.widening(frames), self.width, dim=-1)
        images = (values * torch.sigmoid(gates)).transpose(1, 2)[:, :, None]
        frames = self.depthwise(images)[:, :, 0].transpose(1, 2)
        frames = frames if self.norm is None else self.norm(frames)
        projected: Tensor = self.narrowing(self.activation(frames))
        return projected


def _linear(conv: Any) -> nn.Linear:
    return linear_of(conv.weight[:, :, 0], conv.bias)


def _over_images(module: Any) -> nn.Module:
    """The depthwise convolution, padded as its module pads it, with the norm over batches in its weights."""
    conv, norm = module.depthwise_conv, getattr(module, "batch_norm", None)
    (kernel,), (padding,) = conv.kernel_size, conv.padding
    scale = torch.ones(conv.out_channels)
    bias = torch.zeros(conv.out_channels)
    if norm is not None:
        scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
        bias = norm.bias.detach() - norm.running_mean * scale
    image = nn.Conv2d(conv.in_channels, conv.out_channels, (1, kernel), groups=conv.groups, device="meta")
    image.weight = nn.Parameter((conv.weight.detach() * scale[:, None, None])[:, :, None], requires_grad=False)
    image.bias = nn.Parameter(bias, requires_grad=False)
    before = padding if norm is not None else kernel - 1  # wav2vec2-BERT's own forward pads on the left alone
    return nn.Sequential(nn.ZeroPad2d((before, padding, 0, 0)), image)


def obstacle(module: Any) -> str | None:
    """Why this convolution module cannot be replaced exactly, or None when it can."""
    for conv in (module.pointwise_conv1, module.pointwise_conv2):
        if reason := plain_convolution_obstacle(conv, padding=0, groups=1):
            return reason
    conv = module.depthwise_conv
    padding = (conv.kernel_size[0] - 1) // 2 if hasattr(module, "batch_norm") else 0
    return plain_convolution_obstacle(conv, padding=padding, groups=conv.in_channels)


RULES = {
    operators: (
        Rule(
            name="convolution module",
            matches=classes("ConvolutionModule"),
            obstacle=obstacle,
            replacement=ConformerConvolution,
        ),
    )
    for operators in ("standard", "fused")
}
