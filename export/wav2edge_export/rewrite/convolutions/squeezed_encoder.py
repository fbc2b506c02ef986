"""The encoders of SEW and SEW-D: frames are squeezed in time, attend to one another, and are spread out again.

Wu et al., "Performance-Efficiency Trade-offs in Unsupervised Pre-training for Speech Recognition", 2021, section 4.2;
``SEWEncoder`` and ``SEWDEncoder`` of transformers 4.57 (``models/sew/modeling_sew.py``, ``models/sew_d``). Squeezing is
a mean of neighbours and a strided positional convolution. Read in units of the frames that a stride moves over, that
convolution is one of stride 1.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from wav2edge_export.rewrite.convolutions.positional_convolution import BlockedPositionalConvolution
from wav2edge_export.rewrite.rules import Rule
from wav2edge_train.checkpoint.families.family_table import FAMILIES, classes

ENCODERS = classes("Encoder", (family for family in FAMILIES.values() if family.squeezed))


class SqueezedPositionalConvolution(nn.Module):
    """A strided positional convolution, over units of as many frames as the stride has."""

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        conv = embedding.conv
        (kernel,), (self.stride,) = conv.kernel_size, conv.stride
        self.groups, self.width = conv.groups, conv.in_channels // conv.groups
        front = -(kernel // 2) % self.stride  # taps of zero, so that a unit begins where the kernel does
        taps = F.pad(conv.weight.detach(), (front, -(kernel + front) % self.stride))
        by_unit = taps.unflatten(2, (-1, self.stride)).permute(0, 3, 1, 2).flatten(1, 2)
        units = SimpleNamespace(
            kernel_size=(by_unit.shape[2],),
            in_channels=conv.in_channels * self.stride,
            out_channels=conv.out_channels,
            groups=conv.groups,
            weight=by_unit,
            bias=conv.bias,
        )
        left = (kernel // 2 + front) // self.stride
        embedded = SimpleNamespace(conv=units, activation=embedding.activation)
        self.blocked = BlockedPositionalConvolution(embedded, left=left)

    def forward(self, units: Tensor) -> Tensor:
        """Embed: units [batch, units, stride, hidden] -> positions [batch, units, hidden]."""
        batch, count = units.shape[0], units.shape[1]
        by_group = units.reshape(batch, count, self.stride, self.groups, self.width).transpose(2, 3)
        positions: Tensor = self.blocked(by_group.reshape(batch, count, self.stride * self.groups * self.width))
        return positions


class SqueezedEncoder(nn.Module):
    """The whole encoder, time-major inside; the mask of a batch is not supported."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.stride = encoder.config.squeeze_factor
        self.pos_conv_embed = SqueezedPositionalConvolution(encoder.pos_conv_embed)
        self.layer_norm = getattr(encoder, "layer_norm", None)
        self.layers = getattr(encoder, "layers", None)
        self.encoder: Any = getattr(encoder, "encoder", None)
        self.upsample = encoder.upsample

    def forward(
        self,
        hidden_states: Any,
        attention_mask: Tensor | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> BaseModelOutput:
        """Encode: hidden_states [batch, frames, hidden] -> last_hidden_state of the same shape, and every layer's."""
        frames = hidden_states.shape[1]
        squeezed = frames // self.stride
        begun = (frames + self.stride - 1) // self.stride
        padded = F.pad(hidden_states, (0, 0, 0, self.stride - 1))[:, : begun * self.stride]
        units = padded.reshape(padded.shape[0], begun, self.stride, padded.shape[2])
        states = self.transform(self.squeeze(units, squeezed))
        spread: Any = self.upsample(states[-1])
        spread = F.pad(spread, (0, 0, 0, frames - squeezed * self.stride))
        return BaseModelOutput(last_hidden_state=spread, hidden_states=tuple(states))

    def squeeze(self, units: Tensor, squeezed: int) -> Tensor:
        """Mean and position of each whole unit: units [batch, units, stride, hidden] -> [batch, squeezed, hidden]."""
        return units[:, :squeezed].mean(dim=2) + self.pos_conv_embed(units)[:, :squeezed]

    def transform(self, hidden: Tensor) -> list[Any]:
        """The input of the first layer and the output of each, [batch, squeezed, hidden]."""
        if self.layers is None:
            return list(self.encoder(hidden, None).hidden_states)
        states = [hidden if self.layer_norm is None else self.layer_norm(hidden)]
        for layer in self.layers:
            states.append(layer(states[-1])[0])
        return states


def obstacle(encoder: Any) -> str | None:
    """Why this encoder cannot be replaced exactly, or None when it can."""
    conv: Any = encoder.pos_conv_embed.conv
    (kernel,) = conv.kernel_size
    expected = (encoder.config.squeeze_factor,), (kernel // 2,), (1,)
    found = conv.stride, conv.padding, conv.dilation
    return None if found == expected else f"its positional convolution has {found}, not {expected}"


RULES = {
    operators: (Rule(name="squeezed encoder", matches=ENCODERS, obstacle=obstacle, replacement=SqueezedEncoder),)
    for operators in ("standard", "fused")
}
