"""What a rule of the rewrite is: a pattern, a reason to keep out, and an exact replacement; and what several share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One exact replacement.

    Attributes:
        name: what is replaced, for the report.
        matches: the classes it knows. A subclass may compute something else, so it is matched and kept.
        obstacle: why one particular module cannot be replaced exactly, or None when it can.
        replacement: builds the module that takes its place, out of the original's weights.
    """

    name: str
    matches: tuple[type[nn.Module], ...]
    obstacle: Callable[[Any], str | None]
    replacement: Callable[[Any], nn.Module]

    def reason_to_keep(self, module: nn.Module) -> str | None:
        """Why this matched module must stay as it is, or None when it can be replaced."""
        if type(module) not in self.matches:
            return f"{type(module).__name__} is a subclass and may compute something else"
        if any(_is_tapped(part) for part in module.modules()):
            return "a hook or a patched forward would be lost"
        return self.obstacle(module)


def plain_convolution_obstacle(conv: nn.Module, padding: int, groups: int) -> str | None:
    """Why a module is not the convolution that the transformers class builds, or None when it is."""
    if not isinstance(conv, nn.Conv1d):
        return f"{type(conv).__name__} stands where a Conv1d was expected"
    expected = {"padding": (padding,), "dilation": (1,), "groups": groups, "padding_mode": "zeros"}
    found = {name: getattr(conv, name) for name in expected}
    return None if found == expected else f"the convolution has {found}, not {expected}"


def _is_tapped(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks) or "forward" in vars(module)


def linear_of(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A Linear that holds copies of these values.

    Args:
        weight: [outputs, inputs].
        bias: [outputs], or None for a Linear without bias.
    """
    # On the meta device nothing is drawn at random only to be overwritten, which takes seconds at XLSR's size.
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    linear.weight = _frozen(weight)
    if bias is not None:
        linear.bias = _frozen(bias)
    return linear


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(memory_format=torch.contiguous_format), requires_grad=False)
