"""Variations of clips in voice, room and microphone, computed in one pass through the spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ

Samples = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]

FFT_BLOCK = 512
"""Clips are transformed in multiples of this many samples."""

FRAME, HOP = 512, 256
"""Samples of a short-time spectrum, and from one to the next."""

FRAME_WINDOW = np.sqrt(np.hanning(FRAME + 1)[:-1]).astype(np.float32)
"""Applied before and after, so that overlapping frames add up to the clip."""

CEPSTRUM = 32
"""Coefficients that describe an envelope: 2 ms, the period of a pitch of 500 Hz."""

CEPSTRUM_OF_BINS = (
    np.cos(2.0 * np.pi / FRAME * np.outer(np.arange(FRAME // 2 + 1), np.arange(1, CEPSTRUM)))
    * np.where(np.arange(FRAME // 2 + 1) % (FRAME // 2) == 0, 1.0, 2.0)[:, None]
    * np.minimum(1.0, (CEPSTRUM - np.arange(1, CEPSTRUM)) / (CEPSTRUM / 4))
    / FRAME
).astype(np.float32)
"""From the logarithm of power at each bin to the cepstrum of amplitude, twice each coefficient but the first, which has
no part in the shape; the last quarter is faded out. ``[bins, coefficients]``."""

MOST_GAIN = 2.3
"""The most that an amplitude is changed, as a natural logarithm: 20 dB."""

HIGHEST_FORMANT_HZ = 4_800.0
"""Up to here frequencies are multiplied by the same factor."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Variation:
    """A varied copy of a clip, ``samples: [samples] float32``, and where its moments went.

    What was at ``t`` seconds is at ``(t + delay_s) * stretch``; with a negative delay the beginning is cut off.
    """

    samples: Samples
    delay_s: float = 0.0
    stretch: float = 1.0

    def moved_s(self, time_s: float) -> float:
        """Where a moment of the clip is now."""
        return (time_s + self.delay_s) * self.stretch


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How clips are varied; each value is drawn uniformly from its range, and None switches that part off.

    ``speed`` resamples: pitch, formants and pace move together, as between speakers (Ko et al., "Audio augmentation
    for speech recognition", Interspeech 2015). ``equalizer_db`` is the standard deviation of a smooth random gain over
    frequency. ``snr_db`` is the signal-to-noise ratio of added noise with a spectrum that falls by up to ``1 / f``.
    ``room_s`` is the time in which a room's echo falls by 60 dB: the clip is convolved with noise that decays so, 0 to
    15 dB below the direct sound (Ko et al., "A study on data augmentation of reverberant speech for robust speech
    recognition", ICASSP 2017, simulate rooms; decaying noise is the model of them by Moorer, "About this reverberation
    business", 1979). Every second clip is left dry.
    ``formants`` is the factor of the resonances of the vocal tract, pitch and pace staying as they are; see
    ``move_formants``. ``margin_s`` is the silence added before and after the clip; a negative value cuts that much off.
    """

    speed: tuple[float, float] | None = None
    equalizer_db: float | None = None
    snr_db: tuple[float, float] | None = None
    room_s: tuple[float, float] | None = None
    formants: tuple[float, float] | None = None
    margin_s: tuple[float, float] | None = None

    def __call__(self, samples: Samples, rng: np.random.Generator) -> Variation:
        """A varied copy of ``samples: [samples] float32``; the same generator state gives the same copy."""
        delay = 0
        if self.formants is not None:
            samples = move_formants(samples, rng.uniform(*self.formants))
        if self.margin_s is not None:
            samples, delay = _change_margins(samples, self.margin_s, rng)
        echo = _random_echo(self.room_s, rng) if self.room_s is not None and rng.random() < 0.5 else None
        echoed = len(samples) + (0 if echo is None else len(echo))
        period = _round_up(echoed, FFT_BLOCK)  # lengths of small prime factors: ten times as fast as primes
        spectrum = np.fft.rfft(samples, period).astype(np.complex64, copy=False)  # NumPy 1 computes in float64
        if echo is not None:
            spectrum *= np.fft.rfft(echo, period).astype(np.complex64, copy=False)
        if self.equalizer_db is not None:
            spectrum *= _random_gain(len(spectrum), self.equalizer_db, rng)
        if self.snr_db is not None:
            spectrum += _random_noise(spectrum, self.snr_db, rng)
        new_period = period
        if self.speed is not None:
            new_period = _round_up(period / rng.uniform(*self.speed), FFT_BLOCK // 4)
        changed = np.fft.irfft(spectrum, new_period)
        return Variation(
            samples=np.asarray(changed[: max(1, len(samples) * new_period // period)], np.float32),
            delay_s=delay / SAMPLE_RATE_HZ,
            stretch=new_period / period,
        )


AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "light": Augmentation(speed=(0.92, 1.09), equalizer_db=3.0, snr_db=(15.0, 50.0)),
    "full": Augmentation(speed=(0.86, 1.17), equalizer_db=5.0, snr_db=(12.0, 50.0), margin_s=(-0.03, 0.1)),
    # An utterance in a stream begins with the silence before it.
    "stream": Augmentation(speed=(0.86, 1.17), equalizer_db=5.0, snr_db=(12.0, 50.0), margin_s=(-0.03, 0.4)),
    "strong": Augmentation(
        speed=(0.8, 1.25),
        equalizer_db=6.0,
        snr_db=(5.0, 40.0),
        room_s=(0.1, 0.5),
        formants=(0.9, 1.1),
        margin_s=(-0.03, 0.1),
    ),
}


def move_formants(samples: Samples, factor: float) -> Samples:
    """Another length of the vocal tract: the spectral envelope is stretched over frequency, pitch and pace stay.

    Vocal tract length perturbation (Jaitly and Hinton, "Vocal Tract Length Perturbation (VTLP) improves speech
    recognition", ICML workshop on deep learning for audio, speech and language, 2013, equation 1), of waveforms: each
    short-time spectrum is multiplied by the ratio of its stretched envelope to its envelope. The envelope is the
    spectrum of the first ``CEPSTRUM`` coefficients of the cepstrum, which end before those of the pitch.

    Args:
        samples: ``[samples] float32``.
        factor: what formants below ``HIGHEST_FORMANT_HZ`` are multiplied by; those above move less.

    Returns:
        ``[samples] float32``.
    """
    hops = len(samples) // HOP + 2
    padded = np.zeros((hops + 1) * HOP, np.float32)
    padded[HOP : HOP + len(samples)] = samples
    spectra = np.fft.rfft(sliding_window_view(padded, FRAME)[::HOP] * FRAME_WINDOW).astype(np.complex64, copy=False)
    log_power = np.log(spectra.real**2 + spectra.imag**2 + np.float32(1e-9))
    waves = 2.0 * np.pi / FRAME * np.arange(1, CEPSTRUM)[:, None]
    bins = np.arange(FRAME // 2 + 1)
    change = np.cos(waves * stretched_bins(factor)) - np.cos(waves * bins)
    gain = np.exp(np.clip(log_power @ CEPSTRUM_OF_BINS @ change.astype(np.float32), -MOST_GAIN, MOST_GAIN))
    frames = np.fft.irfft(spectra * gain, FRAME).astype(np.float32, copy=False) * FRAME_WINDOW
    halves = frames.reshape(hops, 2, HOP)
    padded[:HOP], padded[-HOP:] = halves[0, 0], halves[-1, 1]
    padded[HOP:-HOP] = (halves[1:, 0] + halves[:-1, 1]).ravel()
    return padded[HOP : HOP + len(samples)]


def stretched_bins(factor: float) -> npt.NDArray[np.float64]:
    """Where the envelope at each bin of a short-time spectrum comes from, in bins."""
    half_hz, knee_hz = SAMPLE_RATE_HZ / 2, HIGHEST_FORMANT_HZ * min(factor, 1.0)
    bins_hz = np.arange(FRAME // 2 + 1) * (SAMPLE_RATE_HZ / FRAME)
    return np.interp(bins_hz, [0.0, knee_hz, half_hz], [0.0, knee_hz / factor, half_hz]) * (FRAME / SAMPLE_RATE_HZ)


def _round_up(samples: float, block: int) -> int:
    return max(1, math.ceil(samples / block)) * block


def _change_margins(samples: Samples, margin_s: tuple[float, float], rng: np.random.Generator) -> tuple[Samples, int]:
    """The samples with other margins, and by how many samples they are later."""
    before, after = (round(rng.uniform(*margin_s) * SAMPLE_RATE_HZ) for _ in range(2))
    kept = samples[max(0, -before) : len(samples) - max(0, -after)]
    if len(kept) < len(samples) // 2:
        return samples, 0
    return np.pad(kept, (max(0, before), max(0, after))), before


def _random_echo(room_s: tuple[float, float], rng: np.random.Generator) -> Samples:
    """The impulse response of a room: the direct sound, and noise that decays by 60 dB in the drawn time."""
    decay_s = rng.uniform(*room_s)
    times_s = np.arange(round(decay_s * SAMPLE_RATE_HZ), dtype=np.float32) / SAMPLE_RATE_HZ
    echo = rng.standard_normal(len(times_s), np.float32) * np.power(np.float32(10.0), -3.0 * times_s / decay_s)
    echo *= 10.0 ** (-rng.uniform(0.0, 15.0) / 20.0) / max(float(np.linalg.norm(echo)), 1e-12)
    echo[0] = 1.0
    return np.asarray(echo, np.float32)


def _random_gain(bins: int, deviation_db: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """A gain for each bin, linear in dB between ten random points spread evenly over frequency."""
    points_db = rng.normal(0.0, deviation_db, 10)
    curve_db = np.interp(np.linspace(0.0, 9.0, bins), np.arange(10), points_db)
    return np.power(np.float32(10.0), curve_db.astype(np.float32) / np.float32(20.0))


def _random_noise(spectrum: Spectrum, snr_db: tuple[float, float], rng: np.random.Generator) -> Spectrum:
    """Noise of a random colour at a random level, as a spectrum of the same length."""
    fall = np.arange(1, len(spectrum) + 1, dtype=np.float32) ** np.float32(-rng.uniform(0.0, 1.0))
    white = rng.standard_normal(2 * len(spectrum), np.float32).view(np.complex64)
    noise: Spectrum = np.multiply(white, fall, dtype=np.complex64)
    noise[0] = 0.0  # a constant is not noise, and normalising the waveform removes it
    wanted = float(np.linalg.norm(spectrum.view(np.float32))) * 10.0 ** (-rng.uniform(*snr_db) / 20.0)
    # Of the real and imaginary parts as one array: NumPy's norm of complex numbers reads each with a stride, which took
    # more time than the rest of the augmentation.
    norm = float(np.linalg.norm(noise.view(np.float32)))
    noise *= np.float32(wanted / max(norm, 1e-12))
    return noise
