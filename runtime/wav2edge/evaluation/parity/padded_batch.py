"""A batched variant in its worst case: every clip is padded to a longer and louder neighbour."""

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
    """An engine's outputs for a clip in a batch of two; they equal those of the clip alone if padding has no effect."""

    def outputs(samples: npt.NDArray[np.float32]) -> Outputs:
        peak = max(0.1, float(np.abs(samples).max()))
        neighbour = voiced(len(samples) + LONGER_SAMPLES, seed=3, amplitude=LOUDER * peak)
        _, found = engine.batch_outputs([neighbour, samples])
        return found

    return outputs
