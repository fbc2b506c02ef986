"""Three measures of a voice: how many syllables it says, whether it is voiced, and how it sounds."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_BURST_WINDOW_S = 0.025  # longer than one glottal cycle of the lowest voice, shorter than a stop's closure
_BURST_HOP_S = 0.005
_BURST_DIP_DB = 10.0
_BURST_LEVEL_DB = -20.0
_FLOOR_DB = -45.0
_PERIODICITY_WINDOW_S = 0.040
_F0_LIMITS_HZ = (45.0, 500.0)
_TIMBRE_BANDS_HZ = np.geomspace(100.0, 8_000.0, 25)
_LOUD_SHARE = 0.25  # a frame belongs to a vowel when its RMS is at least this share of the loudest frame's


def _frames(samples: Samples, rate_hz: int, *, window_s: float, hop_s: float) -> NDArray[np.float64]:
    """Overlapping frames ``[frames, window]`` of a clip at least one window long."""
    return sliding_window_view(samples.astype(np.float64), round(window_s * rate_hz))[:: round(hop_s * rate_hz)]


def _loud_frames(samples: Samples, rate_hz: int) -> NDArray[np.float64]:
    """The frames ``[frames, window]`` inside vowels, under a Hann window."""
    frames = _frames(samples, rate_hz, window_s=_PERIODICITY_WINDOW_S, hop_s=_PERIODICITY_WINDOW_S / 2)
    rms = np.sqrt(np.mean(frames**2, axis=1))
    return frames[rms >= _LOUD_SHARE * rms.max()] * np.hanning(frames.shape[1])


def count_bursts(samples: Samples, rate_hz: int) -> int:
    """Count the bursts of energy in ``samples`` ``[n]``, 25 ms at least: a syllable that begins with a stop gives one.

    A burst rises 10 dB out of a dip, to within 20 dB of the loudest moment, and ends in a dip 10 dB deep.
    """
    power = np.mean(_frames(samples, rate_hz, window_s=_BURST_WINDOW_S, hop_s=_BURST_HOP_S) ** 2, axis=1)
    level_db = np.maximum(10 * np.log10(power / max(power.max(), 1e-12) + 1e-12), _FLOOR_DB)
    bursts, inside, extreme_db = 0, False, _FLOOR_DB
    for now_db in level_db.tolist():
        extreme_db = max(extreme_db, now_db) if inside else min(extreme_db, now_db)
        if inside and now_db < extreme_db - _BURST_DIP_DB:
            inside, extreme_db = False, now_db
        elif not inside and now_db > max(extreme_db + _BURST_DIP_DB, _BURST_LEVEL_DB):
            bursts, inside, extreme_db = bursts + 1, True, now_db
    return bursts


def periodicity(samples: Samples, rate_hz: int) -> float:
    """How voiced the vowels of ``samples`` ``[n]``, 40 ms at least, are: near 1 for a clear voice, under 0.6 whispered.

    Median over the loud frames of the highest normalised autocorrelation at a lag that can be a pitch period, divided
    by the window's own (P. Boersma, "Accurate short-term analysis of the fundamental frequency", IFA Proceedings 17,
    1993).
    """
    frames = _loud_frames(samples, rate_hz)
    size = 2 * frames.shape[1]

    def autocorrelation(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        spectrum = np.abs(np.fft.rfft(rows, size)) ** 2
        correlation = np.fft.irfft(spectrum, size)
        return np.asarray(correlation / correlation[..., :1])

    lowest_hz, highest_hz = _F0_LIMITS_HZ
    lags = slice(round(rate_hz / highest_hz), round(rate_hz / lowest_hz))
    normalised = autocorrelation(frames)[:, lags] / autocorrelation(np.hanning(frames.shape[1]))[lags]
    return float(np.median(normalised.max(axis=1)))


def timbre_db(samples: Samples, rate_hz: int) -> NDArray[np.float64]:
    """Long-term average spectrum of the vowels of ``samples`` ``[n]``, at 16 kHz or more and 40 ms at least.

    Returns:
        ``[24]`` float64: bands from 100 Hz to 8 kHz, evenly apart in octaves, in dB with their mean taken out.
    """
    frames = _loud_frames(samples, rate_hz)
    power = np.mean(np.abs(np.fft.rfft(frames, axis=1)) ** 2, axis=0)
    edges = np.searchsorted(np.fft.rfftfreq(frames.shape[1], 1 / rate_hz), _TIMBRE_BANDS_HZ)
    bands_db = 10 * np.log10(np.add.reduceat(power, edges)[:-1] + 1e-12)
    return np.asarray(bands_db - bands_db.mean())
