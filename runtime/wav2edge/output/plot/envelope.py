"""The envelope of a recording: what a picture of its waveform needs, in memory that does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ


@dataclass(frozen=True, kw_only=True, eq=False)
class Envelope:
    """The lowest and highest sample of each stretch of a recording: ``[stretches] float32`` each."""

    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    stretch_s: float

    @property
    def peak(self) -> float:
        """The largest magnitude, from 0."""
        return max(-float(self.low.min(initial=0)), float(self.high.max(initial=0)))


def envelope_of(blocks: Iterable[npt.NDArray[np.float32]], stretch_s: float) -> Envelope:
    """The envelope of a recording.

    Args:
        blocks: ``[samples] float32`` each, at 16 kHz.
        stretch_s: seconds of audio in a stretch, at least one sample.
    """
    stretch = max(1, round(stretch_s * SAMPLE_RATE_HZ))
    lows, highs, rest = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)], np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        whole = len(rest) // stretch * stretch
        table, rest = rest[:whole].reshape(-1, stretch), rest[whole:]
        lows.append(table.min(axis=1))
        highs.append(table.max(axis=1))
    if len(rest):
        lows.append(rest.min(keepdims=True))
        highs.append(rest.max(keepdims=True))
    return Envelope(low=np.concatenate(lows), high=np.concatenate(highs), stretch_s=stretch / SAMPLE_RATE_HZ)
