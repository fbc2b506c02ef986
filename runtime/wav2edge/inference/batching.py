"""Clips padded together for a graph that takes a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

INPUT = "input_values"
"""What every graph calls its samples: ``[batch, samples] float32``."""
MASK = "attention_mask"
"""What the graph of a batched variant calls its mask: ``[batch, samples] int64``, 1 on a clip and 0 on its padding."""


def pad_together(clips: Sequence[npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.generic]]:
    """Samples and mask of a batch: clips ``[samples] float32``, zeros behind the shorter ones."""
    samples = np.zeros((len(clips), max(map(len, clips))), np.float32)
    mask = np.zeros(samples.shape, np.int64)
    for row, clip in enumerate(clips):
        samples[row, : len(clip)] = clip
        mask[row, : len(clip)] = 1
    return {INPUT: samples, MASK: mask}
