"""Voice activity in a live stream: the scores of ``wav2edge.audio.voice_activity``, over a noise floor from the past.

The noise in each band is the minimum of its smoothed power over the last seconds, found in sub-windows (Martin, "Noise
power spectral density estimation based on optimal smoothing and minimum statistics", IEEE Transactions on Speech and
Audio Processing 9, 2001). Where the past says nothing of the noise, at the beginning of a stream and in digital
silence, a level is assumed. A frame's score comes with the audio of its window, 12 ms after the frame ends.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from wav2edge.audio.voice_activity import (
    BANDS,
    BIAS,
    GROUP,
    HOP,
    LOWEST_POWER,
    RANGE_DB,
    WINDOW,
    FloatArray,
    band_powers,
    likelihoods_db,
)

SMOOTHED = 3
"""A frame's power is averaged with those of the frames before it, so many in all: 60 ms."""
PAST = 15
"""The floor is the minimum over so many sub-windows before its own, 3 s: so long does louder noise pass for speech, and
so soon a held vowel for noise."""
ASSUMED_POWER = 4e-6
"""The power density of white noise of 50 dB below full scale. Speech is louder, the noise of most microphones is
not."""
ASSUMED_FOR = 5
"""Sub-windows for which a stream that has begun is held to the assumed floor, 1 s: by then speech has had a gap."""


class CausalEnergyDetector:
    """Scores each frame as soon as it is heard; see ``wav2edge.audio.voice_activity.Detector``.

    Scores are on the scale of ``EnergyDetector``. Neither time nor memory grows with the length of the stream.
    """

    hop, ahead = HOP, WINDOW - HOP
    starts_above, ends_below = 5.0, 0.0

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._samples = np.zeros(0, np.float32)
        self._before = np.zeros((0, BANDS), np.float32)  # the powers of the last frames
        self._floor = _NoiseFloor()

    def feed(self, samples: FloatArray) -> FloatArray:
        """See ``Detector``; a score comes as soon as the window of its frame is complete."""
        self._samples = np.concatenate([self._samples, samples])
        frames = max(0, (len(self._samples) - WINDOW) // HOP + 1)
        if not frames:
            return np.zeros(0, np.float32)
        powers = band_powers(self._samples)
        self._samples = self._samples[frames * HOP :].copy()
        return self._scores_db(powers)

    def finish(self) -> FloatArray:
        """See ``Detector``; the last samples are padded with zeros."""
        left = len(self._samples)
        scores = self.feed(np.zeros(WINDOW - left, np.float32)) if left >= HOP else np.zeros(0, np.float32)
        self._start()
        return scores

    def _scores_db(self, powers: FloatArray) -> FloatArray:
        """The scores of the next frames: ``[frames, bands]`` to ``[frames]``."""
        before = self._before if len(self._before) else np.repeat(powers[:1], SMOOTHED - 1, axis=0)
        powers = np.concatenate([before, powers])
        self._before = powers[-(SMOOTHED - 1) :].copy()
        smoothed = np.asarray(_windows(powers).mean(axis=-1), np.float32)
        # A window half in digital silence has a power that is neither that of the silence nor that of the noise.
        silent = _windows(powers.mean(axis=1)).min(axis=-1) <= LOWEST_POWER
        return likelihoods_db(np.maximum(smoothed / self._floor.under(smoothed, silent), 1.0))


class _NoiseFloor:
    """The noise under each frame, from that frame and those of the last seconds."""

    def __init__(self) -> None:
        # One row for each sub-window, used in turn; what has not been heard yet has no say.
        self._quietest = np.full((PAST + 1, BANDS), np.inf, np.float32)
        self._quietest[:ASSUMED_FOR] = ASSUMED_POWER
        self._loudest = np.zeros((PAST + 1, 1), np.float32)
        self._frame = 0  # the next one's place in the rows

    def under(self, powers: FloatArray, silent: npt.NDArray[np.bool_]) -> FloatArray:
        """The noise under the next frames, whose powers are ``[frames, bands]``; ``silent`` are ``[frames]``."""
        heard = np.where(silent[:, None], np.float32(ASSUMED_POWER), powers)
        levels = powers.mean(axis=1, keepdims=True)
        ends = range(GROUP - self._frame % GROUP, len(powers), GROUP)
        parts = [self._follow(heard[a:b], levels[a:b]) for a, b in pairwise([0, *ends, len(powers)])]
        return np.concatenate(parts)

    def _follow(self, heard: FloatArray, levels: FloatArray) -> FloatArray:
        """The noise under frames of one sub-window: ``[frames, bands]``, with levels ``[frames, 1]``, to the same."""
        row, begun = divmod(self._frame, GROUP)
        if not begun:
            self._quietest[row], self._loudest[row] = np.inf, 0.0
        quietest = np.minimum(np.minimum.accumulate(heard), self._quietest.min(axis=0))
        loudest = np.maximum(np.maximum.accumulate(levels), self._loudest.max())
        self._quietest[row] = np.minimum(self._quietest[row], heard.min(axis=0))
        self._loudest[row] = np.maximum(self._loudest[row], levels.max())
        self._frame = (self._frame + len(heard)) % ((PAST + 1) * GROUP)
        floor = np.maximum(np.float32(BIAS) * quietest, np.float32(10.0 ** (-RANGE_DB / 10.0)) * loudest)
        return np.asarray(np.maximum(floor, np.float32(LOWEST_POWER)))


def _windows(values: FloatArray) -> FloatArray:
    """Each row with those before it that it is smoothed with: ``[rows, ...]`` to ``[rows, ..., SMOOTHED]``."""
    return np.lib.stride_tricks.sliding_window_view(values, SMOOTHED, axis=0)
