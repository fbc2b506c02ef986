"""Samples as programs give them: checked, scaled, mixed down to one channel, and resampled to 16 kHz."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import AudioError

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 768_000
MAX_CHANNELS = 64
MAX_PEAK = 1e12
"""Louder than unscaled 32-bit integers by far, and as far from where the variance overflows float32."""
CLIPPED_SHARE = 0.001
"""With more samples than this at full scale the clip gets the warning that it is clipped."""
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
    """Raise an AudioError where no sound has this sample rate."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(f"{name}: {rate_hz} Hz is outside {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz; resample the clip first")


def to_mono(name: str, samples: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.floating], tuple[str, ...]]:
    """Checked ``[samples, channels]`` as one channel, and warnings."""
    if samples.shape[1] > MAX_CHANNELS:
        raise AudioError(
            f"{name}: {samples.shape[1]} channels, at most {MAX_CHANNELS}; arrays come as [samples, channels]"
        )
    _require_finite(name, samples)
    peak = float(np.abs(samples).max())
    if peak > MAX_PEAK:
        raise AudioError(f"{name}: peak {peak:.3g} is not plausible audio; scale the samples to [-1, 1]")
    mono, warnings = _mix_down(samples)
    return mono, warnings + _level_warnings(samples, peak)


def stream_resampler(rate_hz: int) -> Callable[[npt.NDArray[np.floating], bool], npt.NDArray[np.float32]]:
    """Resamples blocks to 16 kHz without a seam, given whether each is the last."""
    if rate_hz == SAMPLE_RATE_HZ:
        return lambda mono, last: np.ascontiguousarray(mono, np.float32)
    import soxr  # costs 20 ms, and most recordings are at 16 kHz already

    stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    return lambda mono, last: stream.resample_chunk(np.ascontiguousarray(mono, np.float32), last=last)


def _require_finite(name: str, samples: npt.NDArray[np.floating]) -> None:
    if np.isfinite(samples).all():
        return
    bad = np.argwhere(~np.isfinite(samples))
    index, channel = map(int, bad[0])
    raise AudioError(
        f"{name}: samples that are not finite, {len(bad)} in all, the first at index {index}, channel {channel}"
        f" ({samples[index, channel]}); export the clip again"
    )


def _mix_down(samples: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.floating], tuple[str, ...]]:
    """The mean of the channels, or the loudest one where they cancel each other out; with a warning if so."""
    mono = samples.mean(axis=1)
    if samples.shape[1] == 1:
        return mono, ()
    powers = samples.var(axis=0)
    # Channels that have nothing in common add up in power: the variance of their mean is sum(powers) / channels^2.
    if mono.var() >= CANCELLED_SHARE * powers.sum() / samples.shape[1] ** 2:
        return mono, ()
    loudest = int(powers.argmax())
    warning = f"the channels cancel each other out (is one inverted?): only channel {loudest} is used"
    return samples[:, loudest], (warning,)


def _level_warnings(samples: npt.NDArray[np.floating], peak: float) -> tuple[str, ...]:
    if peak > 4.0:
        return (f"peak {peak:.3g} is far above full scale 1.0: were integers passed as floats?",)
    if np.mean(np.abs(samples) >= 0.999 * max(peak, 1.0)) > CLIPPED_SHARE:
        return ("clipped: more than 0.1 % of the samples are at full scale",)
    return ()


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
