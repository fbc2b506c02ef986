"""Sound as it comes, block by block: checked, mixed down, and resampled to 16 kHz without a click between blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wav2edge.audio.samples import check_rate, columns, stream_resampler, to_floats, to_mono
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import AudioError
from wav2edge.inference.recognizer import FloatSamples

NAME = "stream"
SILENT_DBFS = -120.0
"""The level of digital silence."""


class LiveSound:
    """Blocks of one stream, all of one sample rate and number of channels.

    Args:
        rate_hz: samples per second and channel.

    Raises:
        AudioError: no sound has this sample rate.
    """

    def __init__(self, rate_hz: int) -> None:
        check_rate(NAME, rate_hz)
        self.rate_hz = rate_hz
        self.level_dbfs = SILENT_DBFS
        self._channels: int | None = None
        self._resample = stream_resampler(rate_hz)

    def take(self, pcm: npt.NDArray[Any] | bytes, rate_hz: int | None = None) -> FloatSamples:
        """More sound at 16 kHz, ``[samples] float32``; a resampler holds the last milliseconds back.

        A block that is refused leaves the stream as it was.

        Args:
            pcm: ``[samples]`` or ``[samples, channels]``, floats in [-1, 1] or integers; bytes are 16-bit integers,
                least significant byte first.
            rate_hz: sample rate of the block, where the source knows it.

        Raises:
            AudioError: the block has another sample rate or number of channels, or samples that are not finite.
        """
        if rate_hz is not None and rate_hz != self.rate_hz:
            raise AudioError(
                f"{NAME}: the sample rate changed from {self.rate_hz} to {rate_hz} Hz; finish this stream and"
                " open another"
            )
        block = to_floats(columns(NAME, _as_array(pcm)))
        if self._channels is not None and block.shape[1] != self._channels:
            raise AudioError(
                f"{NAME}: {block.shape[1]} channels where there were {self._channels}; finish this stream and"
                " open another"
            )
        if not len(block):
            return np.zeros(0, np.float32)
        mono, _ = to_mono(NAME, block)
        self._channels = block.shape[1]
        power = float(np.mean(np.square(mono)))
        self.level_dbfs = max(SILENT_DBFS, 10.0 * np.log10(power)) if power > 0 else SILENT_DBFS
        return self._resample(mono, False)

    def finish(self) -> FloatSamples:
        """What the resampler held back; new sound may follow, as after a pause."""
        left = self._resample(np.zeros(0), True)
        self._resample = stream_resampler(self.rate_hz)
        return left


def _as_array(pcm: npt.NDArray[Any] | bytes) -> npt.NDArray[Any]:
    if isinstance(pcm, np.ndarray):
        return pcm
    if len(pcm) % 2:
        raise AudioError(f"{NAME}: {len(pcm)} bytes are no 16-bit samples; give an even number, or an array")
    return np.frombuffer(pcm, "<i2")


def seconds(samples: int) -> float:
    """Samples at 16 kHz in seconds."""
    return samples / SAMPLE_RATE_HZ
