"""Which frames of a padded batch belong to a clip, and which see padding; used in training and in exported graphs."""

from __future__ import annotations

import torch
from torch import Tensor


def frame_counts(samples: Tensor, kernel: int, stride: int) -> Tensor:
    """Windows of an unpadded convolution that lie entirely inside each clip.

    A stack of such convolutions counts as one, with the receptive field of the stack as kernel and its hop as stride.

    Args:
        samples: [batch] int64, samples or frames of each clip before its padding.
        kernel: samples in a window.
        stride: samples from one window to the next.

    Returns:
        [batch] int64; at least one, so that nothing is divided by zero for a clip of padding alone.
    """
    return (torch.div(samples - kernel, stride, rounding_mode="trunc") + 1).clamp(min=1)


def inside(counts: Tensor, length: int) -> Tensor:
    """The positions before each count: counts [batch] -> [batch, length] bool."""
    return torch.arange(length, device=counts.device) < counts[:, None]
