"""Frames of clips in a batch: how many each has, where they are, and the windows that a convolution sees."""

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


def window_index(
    frames: int, kernel: int, stride: int, device: torch.device | None = None, *, dilation: int = 1
) -> Tensor:
    """Which frames each window of a one-dimensional convolution without padding sees.

    A Gather by this index writes each window once. Slices and a Concat write it twice: with the Gather the second
    convolution of XLSR, in int8, took 0.86 to 0.91 of its time in ONNX Runtime 1.32.

    Args:
        frames: frames in the clip; a traced size stays dynamic in the exported graph.
        kernel: frames in a window.
        stride: frames from one window to the next.
        device: of the index.
        dilation: frames from one of a window to its next.

    Returns:
        index: [windows * kernel] int64, window after window; frames which fill no window are left out,
        and a clip shorter than a window has none.
    """
    windows = (frames - dilation * (kernel - 1) - 1) // stride + 1
    first = torch.arange(windows, device=device)[:, None] * stride
    return (first + dilation * torch.arange(kernel, device=device)).reshape(-1)
