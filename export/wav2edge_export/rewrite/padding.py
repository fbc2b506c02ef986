"""Which frames of a padded batch belong to a clip, and which see padding."""

from __future__ import annotations

import torch
from torch import Tensor


def frame_counts(samples: Tensor, kernel: int, stride: int) -> Tensor:
    """Windows of a convolution without padding that lie wholly inside each clip.

    A stack of such convolutions rounds down once for all: it counts as one convolution whose kernel is the receptive
    field of the stack and whose stride is its hop.

    Args:
        samples: [batch] int64, samples or frames of each clip before its padding.
        kernel: samples in a window.
        stride: samples from one window to the next.

    Returns:
        [batch] int64; at least one, so that a clip of padding alone divides nothing by zero.
    """
    return (torch.div(samples - kernel, stride, rounding_mode="trunc") + 1).clamp(min=1)


def inside(counts: Tensor, length: int) -> Tensor:
    """The places before each count: counts [batch] -> [batch, length] bool."""
    return torch.arange(length, device=counts.device) < counts[:, None]
