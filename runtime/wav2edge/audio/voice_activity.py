"""Voice activity from energy: how likely each frame of a recording holds speech, over a noise floor that adapts.

The score is the log-likelihood ratio of speech against noise, averaged over bands (Sohn, Kim and Sung, "A statistical
model-based voice activity detection", IEEE Signal Processing Letters 6, 1999, with the signal-to-noise ratio estimated
from the frame itself). The noise in each band is the minimum of its smoothed power over some seconds around the frame,
found in sub-windows (Martin, "Noise power spectral density estimation based on optimal smoothing and minimum
statistics", IEEE Transactions on Speech and Audio Processing 9, 2001).
"""

from __future__ import annotations

from functools import cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ

FloatArray = npt.NDArray[np.float32]

WINDOW, HOP = 512, 320
"""Samples of a short-time spectrum, 32 ms, and from one to the next, 20 ms: one frame of wav2vec2."""
BANDS = 16
LOWEST_HZ, HIGHEST_HZ = 200.0, 7_000.0
"""Below is hum and handling noise, above hardly any speech."""
GROUP = 10
"""Frames of a sub-window: five noise floors a second."""
REACH = 10
"""The floor is the minimum over so many sub-windows before and after its own: over four seconds of speech every band
has a gap."""
LEVELLED = 5
"""The floor is averaged over so many sub-windows before and after its own, so that it does not jump."""
CONTEXT = (REACH + LEVELLED + 1) * GROUP
"""Frames before and after a frame that its score depends on, at most."""
BIAS = 1.5
"""How far the mean of noise lies above the minimum of its smoothed power."""
RANGE_DB = 37.0
"""What lies further below the loudest frame around it counts as noise: the floor of a recording whose pauses are
digital silence."""
LOWEST_POWER = 1e-8
"""No floor is below the rounding of 16-bit samples."""
LEAST_RATIO = 1e-3
"""Keeps the logarithm finite: the score of a frame below the floor in every band is -30 dB."""


class Detector(Protocol):
    """Scores the frames of a recording; a score may need audio that comes later, and then comes later itself.

    Attributes:
        hop: samples from one score to the next; score ``i`` is that of the samples from ``i * hop``.
        starts_above: speech begins with a higher score.
        ends_below: speech ends with a lower score.
    """

    hop: int
    starts_above: float
    ends_below: float

    def feed(self, samples: FloatArray) -> FloatArray:
        """The next scores, ``[frames]``, after more of the recording, ``[samples]`` at 16 kHz."""
        ...

    def finish(self) -> FloatArray:
        """The scores that are left at the end of the recording, ``[frames]``; the next recording may follow."""
        ...


class EnergyDetector:
    """Scores by ``speech_scores_db``, block by block; they do not depend on how long the blocks are.

    Args:
        step_s: scores are computed for so much audio at once. Short steps answer sooner and cost more.
    """

    hop = HOP
    starts_above, ends_below = 5.0, 0.0

    def __init__(self, *, step_s: float = 20.0) -> None:
        self._step = max(1, round(step_s * SAMPLE_RATE_HZ / HOP / GROUP)) * GROUP
        self._start()

    def _start(self) -> None:
        self._samples = np.zeros(0, np.float32)
        self._powers = np.zeros((0, BANDS), np.float32)
        self._known = 0  # scored frames at the head of the powers, which serve as context

    def feed(self, samples: FloatArray) -> FloatArray:
        """See ``Detector``; a score comes with the 3.2 s after its frame, or up to a step later."""
        self._samples = np.concatenate([self._samples, samples])
        frames = max(0, (len(self._samples) - WINDOW) // HOP + 1)
        if frames:
            self._powers = np.concatenate([self._powers, band_powers(self._samples)])
            self._samples = self._samples[frames * HOP :]
        ready = (len(self._powers) - self._known - CONTEXT) // self._step * self._step
        return self._take(self._known + ready) if ready > 0 else np.zeros(0, np.float32)

    def finish(self) -> FloatArray:
        """See ``Detector``."""
        if not len(self._powers) and len(self._samples):
            self._powers = band_powers(np.pad(self._samples, (0, max(0, WINDOW - len(self._samples)))))
        scores = self._take(len(self._powers))
        self._start()
        return scores

    def _take(self, end: int) -> FloatArray:
        """The scores of the frames up to ``end``; powers that no later score needs are dropped."""
        scores = speech_scores_db(self._powers)[self._known : end]
        unneeded = max(0, end - CONTEXT) // GROUP * GROUP
        self._powers, self._known = self._powers[unneeded:], end - unneeded
        return scores


def band_powers(samples: FloatArray) -> FloatArray:
    """Mean power density in each band: ``[samples]`` at 16 kHz to ``[frames, bands]``."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * _window()
    spectra = np.fft.rfft(windows, axis=1)
    edges = _band_edges()
    powers = (spectra.real**2 + spectra.imag**2)[:, : edges[-1]] / WINDOW
    return np.asarray(np.add.reduceat(powers, edges[:-1], axis=1) / np.diff(edges), np.float32)


def speech_scores_db(powers: FloatArray) -> FloatArray:
    """The likelihood ratio of speech against noise of each frame in dB: ``[frames, bands]`` to ``[frames]``.

    With the ratio of power to noise ``g`` of a band, the log-likelihood ratio is ``g - log(g) - 1``, and the score is
    ``10 log10`` of its mean over the bands: below -5 for most noise, 10 to 40 for speech.
    """
    if not len(powers):
        return np.zeros(0, np.float32)
    smoothed = _mean_around(powers, 1)
    ratios = np.maximum(smoothed / np.repeat(_noise_floor(smoothed), GROUP, axis=0)[: len(powers)], 1.0)
    return likelihoods_db(ratios)


def likelihoods_db(ratios: FloatArray) -> FloatArray:
    """The score of each frame in dB, from its ratios of power to noise, ``[frames, bands]`` and 1 or more."""
    likelihood = (ratios - np.log(ratios) - 1.0).mean(axis=-1)
    return np.asarray(10.0 * np.log10(likelihood + LEAST_RATIO), np.float32)


def _noise_floor(powers: FloatArray) -> FloatArray:
    """The noise in each sub-window: ``[frames, bands]`` to ``[sub-windows, bands]``."""
    starts = np.arange(0, len(powers), GROUP)
    quietest = np.minimum.reduceat(powers, starts, axis=0)
    loudest = np.maximum.reduceat(powers.mean(axis=1), starts)[:, None]
    floor = BIAS * _windows_around(quietest, REACH).min(axis=-1)
    heard = 10.0 ** (-RANGE_DB / 10.0) * _windows_around(loudest, REACH).max(axis=-1)
    return _mean_around(np.maximum(np.maximum(floor, heard), np.float32(LOWEST_POWER)), LEVELLED)


def _mean_around(values: FloatArray, reach: int) -> FloatArray:
    return np.asarray(_windows_around(values, reach).mean(axis=-1), np.float32)


def _windows_around(values: FloatArray, reach: int) -> FloatArray:
    """Each row with ``reach`` rows before and after it, the outermost ones repeated: ``[rows, columns, window]``."""
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)


@cache
def _window() -> FloatArray:
    return np.hanning(WINDOW).astype(np.float32)


@cache
def _band_edges() -> npt.NDArray[np.intp]:
    """First bin of each band and the end of the last, evenly spaced in mel (O'Shaughnessy, 1987): ``[bands + 1]``."""
    lowest, highest = (2595.0 * np.log10(1.0 + edge_hz / 700.0) for edge_hz in (LOWEST_HZ, HIGHEST_HZ))
    edges_hz = 700.0 * (10.0 ** (np.linspace(lowest, highest, BANDS + 1) / 2595.0) - 1.0)
    return np.round(edges_hz * WINDOW / SAMPLE_RATE_HZ).astype(np.intp)
