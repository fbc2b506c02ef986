"""``golden.json``: what every graph of a bundle gave at its export for one short input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.recognizer import Recognizer
from wav2edge_export.bundle.ort_format import recipe_of

GOLDEN_SAMPLES = SAMPLE_RATE_HZ // 2
DECIMALS = 6
"""Of outputs up to ten; smaller ones have more, which the check divides by the largest of them."""


def golden_document(
    engines: Iterable[tuple[str, Recognizer]],
    streams: Iterable[tuple[str, int, Recognizer]] = (),
    *,
    shortest: int = 0,
) -> dict[str, Any]:
    """A short input as 16-bit PCM (divide by 32,768) with each variant's outputs, text, label and labels of frames.

    Args:
        engines: an engine per precision, taken one by one.
        streams: precision, chunk in milliseconds, and what hears clips in such chunks.
        shortest: samples that the model needs.
    """
    pcm = np.round(voiced(max(GOLDEN_SAMPLES, shortest), seed=7) * 32767).astype(np.int16)
    document: dict[str, Any] = {
        "rate_hz": SAMPLE_RATE_HZ,
        "pcm_int16": pcm.tolist(),
        "variants": {precision: _golden(pcm, engine, precision) for precision, engine in engines},
    }
    for precision, chunk_ms, chunked in streams:
        by_chunk = document.setdefault("streams", {}).setdefault(precision, {})
        by_chunk[str(chunk_ms)] = _golden(pcm, chunked, precision)
    return document


def _golden(pcm: npt.NDArray[np.int16], recognizer: Recognizer, precision: str) -> dict[str, Any]:
    result = recognizer(pcm, rate_hz=SAMPLE_RATE_HZ)
    outputs = recognizer.outputs(pcm.astype(np.float32) / np.float32(32768))
    stretches = result.frame_labels
    return {
        "tolerance": recipe_of(precision).golden_tolerance,
        "text": result.text,
        "label": result.label,
        **({} if stretches is None else {"frame_labels": [each.to_dict() for each in stretches]}),
        "outputs": {name: _rounded(values).tolist() for name, values in outputs.items()},
    }


def _rounded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    smaller = -np.floor(np.log10(np.abs(values).max(initial=0.0) or 1.0))
    return np.round(values.astype(float), DECIMALS + max(0, int(smaller)))
