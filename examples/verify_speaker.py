"""Does the same person speak in a recording as in those that a person enrolled with?

    wav2edge export microsoft/wavlm-base-plus-sv --output speaker
    python examples/verify_speaker.py speaker new.wav enrolled-1.wav enrolled-2.wav

The bundle must give embeddings: export any x-vector checkpoint, such as this one. Which threshold is right depends on
the model, the microphones and the rooms; find yours on recordings where you know who speaks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np

import wav2edge

THRESHOLD = 0.86
"""Cosine similarity from which on two voices are taken for one: a value to begin with, and no more."""


def voice(results: Iterable[wav2edge.Result]) -> np.ndarray:
    """The direction of a voice: the mean of the embeddings, each brought to the length 1 before and after.

    Args:
        results: of recordings of one person.

    Returns:
        ``[size]``, of length 1.

    Raises:
        ValueError: the model gives no embeddings.
    """
    embeddings = [result.embedding for result in results]
    if None in embeddings:
        raise ValueError("this bundle gives no embeddings; export an x-vector checkpoint")
    rows = np.array(embeddings)
    mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
    return mean / np.linalg.norm(mean)


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of the angle between two voices, from -1 to 1."""
    return float(first @ second)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: python examples/verify_speaker.py BUNDLE RECORDING ENROLLED ...")
    bundle, recording, *enrolled = sys.argv[1:]
    engine = wav2edge.load(bundle)
    found = similarity(voice([engine(recording)]), voice(engine.map(enrolled)))
    print(f"{'same speaker' if found >= THRESHOLD else 'another speaker'}  ({found:.3f})")
