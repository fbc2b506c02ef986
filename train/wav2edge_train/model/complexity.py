"""The size and cost of a model: parameters, and multiply-accumulates per second of audio."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge_train.checkpoint.families.family_table import TIME_DELAY, geometry_of


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
        elif isinstance(module.kernel, nn.Linear):
            total += output.numel() * module.kernel.in_features

    # A time-delay layer of transformers holds a Linear, and calls a function with its weights.
    known = (nn.Linear, nn.Conv1d, *TIME_DELAY)
    watched = [module for module in model.modules() if isinstance(module, known)]
    hooks = [module.register_forward_hook(count) for module in watched]
    try:
        with torch.no_grad():
            model(_second(model))
    finally:
        for hook in hooks:
            hook.remove()
    return total


def _second(model: nn.Module) -> torch.Tensor:
    """A second of noise, or the log-mel features of one, whichever a model takes."""
    generator = torch.Generator().manual_seed(0)
    config: Any = getattr(model, "config", None)
    if getattr(model, "main_input_name", None) != "input_features":
        return torch.randn(1, SAMPLE_RATE_HZ, generator=generator)
    frames = geometry_of(config, adapter=False).frames(SAMPLE_RATE_HZ)
    return torch.randn(1, frames, config.feature_projection_input_dim, generator=generator)
