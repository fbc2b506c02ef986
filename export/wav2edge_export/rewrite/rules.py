"""What a rule of the rewrite is: a pattern, a reason to keep out, and an exact replacement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn


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
