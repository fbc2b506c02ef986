"""The size and cost of a model: parameters, and multiply-accumulates per second of audio."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ


def count_parameters(model: nn.Module) -> int:
    """The number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs_per_s(model: nn.Module) -> int:
    """Multiply-accumulates of all linear and convolution layers over one second of audio.

    The MatMuls inside attention are left out: 0.7 % at the shape of XLSR-53 and one second.
    """
    total = 0

    def count(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Linear):
            total += output.numel() * module.in_features
        elif isinstance(module, nn.Conv1d):
            total += output.numel() * module.in_channels // module.groups * module.kernel_size[0]

    watched = [module for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv1d))]
    hooks = [module.register_forward_hook(count) for module in watched]
    try:
        with torch.no_grad():
            model(torch.randn(1, SAMPLE_RATE_HZ, generator=torch.Generator().manual_seed(0)))
    finally:
        for hook in hooks:
            hook.remove()
    return total
