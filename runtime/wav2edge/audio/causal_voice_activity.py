"""Voice activity from energy as sound comes: the score of a frame comes with its last sample.

The score is that of ``wav2edge.audio.voice_activity``, over a noise floor that only the past tells: the minimum of the
smoothed power of each band over the last four seconds, found in sub-windows (Martin, "Noise power spectral density
estimation based on optimal smoothing and minimum statistics", IEEE Transactions on Speech and Audio Processing 9,
2001). When noise rises, the floor follows four seconds later; until then the noise counts as speech.
"""

from __future__ import annotations

import numpy as np

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

SUB_WINDOWS = 20
"""The floor is the minimum over so many sub-windows of a fifth of a second: over four seconds of speech every band has
a gap."""
SMOOTHED = 3
"""Frames, the latest included, whose mean the power of a frame is."""
ASSUMED_POWER = 4e-6
"""The noise that is assumed before any was heard, per band: white noise at -50 dB of full scale. A stream that begins
with speech then begins with an utterance."""
ASSUMED_SUB_WINDOWS = 5
"""So long the assumption holds: a second, in which even speech has a gap."""


class CausalEnergyDetector:
    """Scores each frame of 20 ms when its window of 32 ms is complete; see ``wav2edge.audio.voice_activity.Detector``.

    Scores do not depend on how long the blocks are; memory and cost of a frame are constant.
    """

    hop = HOP
    starts_above, ends_below = 5.0, 0.0

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._samples = np.zeros(0, np.float32)
        self._recent = np.full((SMOOTHED, BANDS), LOWEST_POWER, np.float32)
        # Of each sub-window the quietest power in each band and the loudest mean; the current one is at ``_place``.
        self._quietest = np.full((SUB_WINDOWS, BANDS), np.inf, np.float32)
        self._quietest[:ASSUMED_SUB_WINDOWS] = ASSUMED_POWER
        self._loudest = np.zeros(SUB_WINDOWS, np.float32)
        self._frames = 0

    def feed(self, samples: FloatArray) -> FloatArray:
        """See ``Detector``."""
        self._samples = np.concatenate([self._samples, samples])
        frames = max(0, (len(self._samples) - WINDOW) // HOP + 1)
        if not frames:
            return np.zeros(0, np.float32)
        powers = band_powers(self._samples)
        self._samples = self._samples[frames * HOP :]
        return np.array([self._score(power) for power in powers], np.float32)

    def finish(self) -> FloatArray:
        """See ``Detector``; the last samples are padded with zeros."""
        left = len(self._samples)
        scores = self.feed(np.zeros(WINDOW - left, np.float32)) if left >= HOP else np.zeros(0, np.float32)
        self._start()
        return scores

    def _score(self, power: FloatArray) -> float:
        """The score of the next frame, from its power in each band, ``[bands]``."""
        self._recent[self._frames % SMOOTHED] = power
        smoothed = self._recent.mean(axis=0)
        place, begins = divmod(self._frames, GROUP)
        # The assumption stands at the first places, which are the last to be overwritten.
        place = (place + ASSUMED_SUB_WINDOWS) % SUB_WINDOWS
        if begins == 0:
            self._quietest[place], self._loudest[place] = smoothed, smoothed.mean()
            if self._frames == ASSUMED_SUB_WINDOWS * GROUP:
                self._quietest[:ASSUMED_SUB_WINDOWS] = np.inf
        else:
            np.minimum(self._quietest[place], smoothed, out=self._quietest[place])
            self._loudest[place] = max(self._loudest[place], smoothed.mean())
        self._frames += 1
        audible = max(LOWEST_POWER, 10.0 ** (-RANGE_DB / 10.0) * float(self._loudest.max()))
        floor = np.maximum(BIAS * self._quietest.min(axis=0), audible)
        return float(likelihoods_db(np.maximum(smoothed / floor, 1.0)))
