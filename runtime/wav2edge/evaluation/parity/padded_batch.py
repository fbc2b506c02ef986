"""A batched variant at its worst: every clip is padded, beside a neighbour that is longer and louder."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.parity.differences import Model, Outputs
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.engine import Engine

LONGER_SAMPLES = SAMPLE_RATE_HZ
LOUDER = 3.0


def padded_in_a_batch(engine: Engine) -> Model:
    """What an engine gives for a clip in a batch of two; without padding's influence that is its answer alone."""

    def outputs(samples: npt.NDArray[np.float32]) -> Outputs:
        peak = max(0.1, float(np.abs(samples).max()))
        neighbour = voiced(len(samples) + LONGER_SAMPLES, seed=3, amplitude=LOUDER * peak)
        _, found = engine.batch_outputs([neighbour, samples])
        return found

    return outputs
