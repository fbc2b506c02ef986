"""The golden file: a short input and what each variant answers to it, so that any binding can test itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.engine import Engine
from wav2edge_export.quantization.recipes import RECIPES

GOLDEN_SAMPLES = SAMPLE_RATE_HZ // 2
DECIMALS = 6


def golden_document(engines: Mapping[str, Engine]) -> dict[str, Any]:
    """Input as 16-bit PCM (divide by 32,768), and each variant's outputs, text and label.

    Args:
        engines: one for each variant, by its precision.
    """
    pcm = np.round(voiced(GOLDEN_SAMPLES, seed=7) * 32767).astype(np.int16)
    samples = pcm.astype(np.float32) / np.float32(32768)
    variants = {}
    for precision, engine in engines.items():
        result = engine(pcm, rate_hz=SAMPLE_RATE_HZ)
        outputs = {
            name: np.round(values.astype(float), DECIMALS).tolist() for name, values in engine.outputs(samples).items()
        }
        variants[precision] = {
            "tolerance": RECIPES[precision].golden_tolerance,
            "text": result.text,
            "label": result.label,
            "outputs": outputs,
        }
    return {"rate_hz": SAMPLE_RATE_HZ, "pcm_int16": pcm.tolist(), "variants": variants}
