"""Samples as programs give them: checked, scaled, mixed down to one channel, and resampled to 16 kHz."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf, log10
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import AudioError, UsageError

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 768_000
MAX_CHANNELS = 64
MAX_PEAK = 1e12
"""Louder than unscaled 32-bit integers by far, and as far from where the variance overflows float32."""
CLIPPED_SHARE = 0.001
"""With more samples than this at full scale the clip gets the warning that it is clipped."""
LOUDEST_PEAK, QUIETEST_PEAK_DBFS = 4.0, -50.0
"""Peaks beyond these get a warning. The 1e-7 that transformers adds to the variance makes quiet clips quieter still to
the model: of 60, 6 had another transcript at a peak of -50 dBFS, 13 at -60, and 57 at -72."""
CANCELLED_SHARE = 0.01
"""Channels cancel each other out if their mean has less of the power (20 dB) than that of unrelated channels has."""


def columns(name: str, samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array as ``[samples, channels]``."""
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2 or samples.shape[1] == 0:
        raise AudioError(f"{name}: shape {samples.shape}; samples come as [samples] or [samples, channels]")
    return samples


def check_rate(name: str, rate_hz: int) -> None:
    """Raise an AudioError where no sound has this sample rate, and a UsageError for what is no rate at all."""
    if not isinstance(rate_hz, Real):
        raise UsageError(f"{name}: rate_hz={rate_hz!r} is not a number of Hz; pass one, such as rate_hz=16_000")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(f"{name}: {rate_hz} Hz is outside {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz; resample the clip first")


def check_seconds(name: str, value: float) -> None:
    """Raise a UsageError for what is no length of time, or one that no count of samples can show."""
    if not isinstance(value, Real) or not 0 <= float(value) * SAMPLE_RATE_HZ < inf:
        raise UsageError(f"{name} is {value!r}; give seconds, 0 or more")


class Mixdown:
    """Mixes a recording down to one channel, block by block, and gathers what is odd about it.

    Args:
        name: what messages call it.
    """

    def __init__(self, name: str) -> None:
        self._name, self.frames = name, 0
        self._peak, self._clipped = 0.0, False
        self._alone: dict[int, None] = {}  # channels that were used alone, in their order

    def add(
        self, samples: npt.NDArray[np.floating], following: Iterable[npt.NDArray[np.floating]] = ()
    ) -> npt.NDArray[np.floating]:
        """The next block, ``[samples, channels]`` with at least one sample, as one channel.

        Args:
            samples: the block.
            following: the blocks after it; they are taken only to count what is not finite in them.

        Raises:
            AudioError: it cannot be used.
        """
        if samples.shape[1] > MAX_CHANNELS:
            raise AudioError(
                f"{self._name}: {samples.shape[1]} channels, at most {MAX_CHANNELS}; arrays come as [samples, channels]"
            )
        _require_finite(self._name, samples, self.frames, following)
        peak = float(np.abs(samples).max())
        if peak > MAX_PEAK:
            raise AudioError(f"{self._name}: peak {peak:.3g} is not plausible audio; scale the samples to [-1, 1]")
        mono, alone = _mix_down(samples)
        if alone is not None:
            self._alone[alone] = None
        self.frames += len(samples)
        self._peak = max(self._peak, peak)
        self._clipped = self._clipped or np.mean(np.abs(samples) >= 0.999 * max(peak, 1.0)) > CLIPPED_SHARE
        return mono

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the blocks so far."""
        cancelled = "the channels cancel each other out (is one inverted?): only channel {} is used"
        return (*map(cancelled.format, self._alone), *self._level_warnings())

    def _level_warnings(self) -> tuple[str, ...]:
        if self._peak > LOUDEST_PEAK:
            return (f"peak {self._peak:.3g} is far above full scale 1.0: were integers passed as floats?",)
        if self._clipped:
            return ("clipped: more than 0.1 % of the samples are at full scale",)
        peak_dbfs = 20 * log10(self._peak) if self._peak else 0.0
        if peak_dbfs < QUIETEST_PEAK_DBFS:
            return (f"very quiet, with a peak of {peak_dbfs:.0f} dBFS: words may be wrong or missing; make it louder",)
        return ()


def to_mono(name: str, samples: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.floating], tuple[str, ...]]:
    """Checked ``[samples, channels]`` as one channel, and warnings."""
    mixdown = Mixdown(name)
    return mixdown.add(samples), mixdown.warnings


def stream_resampler(rate_hz: int) -> Callable[[npt.NDArray[np.floating], bool], npt.NDArray[np.float32]]:
    """Resamples blocks to 16 kHz without a seam, given whether each is the last."""
    if rate_hz == SAMPLE_RATE_HZ:
        return lambda mono, last: np.ascontiguousarray(mono, np.float32)
    import soxr  # costs 20 ms, and most recordings are at 16 kHz already

    stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    return lambda mono, last: stream.resample_chunk(np.ascontiguousarray(mono, np.float32), last=last)


def _require_finite(
    name: str,
    samples: npt.NDArray[np.floating],
    before: int,
    following: Iterable[npt.NDArray[np.floating]],
) -> None:
    if np.isfinite(samples).all():
        return
    bad = np.argwhere(~np.isfinite(samples))
    count = len(bad) + sum(int((~np.isfinite(each)).sum()) for each in following)
    index, channel = map(int, bad[0])
    raise AudioError(
        f"{name}: samples that are not finite, {count} in all, the first at index {before + index}, channel {channel}"
        f" ({samples[index, channel]}); export the clip again"
    )


def _mix_down(samples: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.floating], int | None]:
    """The mean of the channels; or the loudest one, and its place, where they cancel each other out."""
    mono = samples.mean(axis=1)
    if samples.shape[1] == 1:
        return mono, None
    powers = samples.var(axis=0)
    # Channels that have nothing in common add up in power: the variance of their mean is sum(powers) / channels^2.
    if mono.var() >= CANCELLED_SHARE * powers.sum() / samples.shape[1] ** 2:
        return mono, None
    loudest = int(powers.argmax())
    return samples[:, loudest], loudest


def to_floats(samples: npt.NDArray[Any]) -> npt.NDArray[np.floating]:
    """Samples of any type as floats; integers are scaled by their type's full scale."""
    kind = samples.dtype.kind
    if kind == "f":
        return samples.astype(np.float64)
    if kind == "i":
        return samples / float(-int(np.iinfo(samples.dtype).min))
    if kind == "u":
        half = (int(np.iinfo(samples.dtype).max) + 1) / 2
        return (samples - half) / half
    raise AudioError(f"array: {samples.dtype} samples; pass floats in [-1, 1] or integers")
