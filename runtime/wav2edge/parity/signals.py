"""The synthetic half of the parity grid: lengths from one frame to half a minute, and signals that break things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wav2edge.geometry import SAMPLE_RATE_HZ, ConvGeometry

FloatSamples = npt.NDArray[np.float32]

LENGTHS_S = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class GridCase:
    """``samples: [samples] float32`` at 16 kHz, and what they are called in the certificate."""

    name: str
    samples: FloatSamples


def voiced(samples: int, *, seed: int = 0, amplitude: float = 0.3) -> FloatSamples:
    """Speech-like sound: a gliding harmonic voice in syllable-long bursts, over faint noise."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(samples) / SAMPLE_RATE_HZ
    pitch_hz = 120 + 30 * np.sin(2 * np.pi * 0.7 * time_s + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    voice = np.sum([np.sin(order * phase) / order for order in range(1, 12)], axis=0)
    bursts = np.clip(np.sin(2 * np.pi * 3.5 * time_s + rng.uniform(0, 6)) + 0.4, 0, 1)
    sound = voice * bursts + 0.02 * rng.standard_normal(samples)
    return np.asarray(amplitude * sound / max(1e-9, np.abs(sound).max()), np.float32)


def parity_grid(geometry: ConvGeometry, *, longest_s: float = LENGTHS_S[-1]) -> Iterator[GridCase]:
    """Lengths at the edges of a frame and up to ``longest_s``, then hard signals of one second."""
    field, hop = geometry.receptive_field, geometry.hop
    edges = (field, field + 1, field + hop - 1, field + hop, SAMPLE_RATE_HZ + hop - 1)
    lengths = sorted({*edges, *(round(s * SAMPLE_RATE_HZ) for s in LENGTHS_S if s <= longest_s)})
    for samples in lengths:
        if samples >= field:
            yield GridCase(name=f"{samples} samples", samples=voiced(samples, seed=samples))
    second = voiced(SAMPLE_RATE_HZ, seed=1)
    noise = np.random.default_rng(2).standard_normal(SAMPLE_RATE_HZ).astype(np.float32)
    hard = {
        "silence": np.zeros_like(second),
        "clipping": np.clip(20 * second, -1, 1),
        "tiny amplitude": 1e-4 * second,
        "unscaled integers": 32768 * second,
        "offset": second + np.float32(0.5),
        "white noise": 0.1 * noise,
    }
    for name, signal in hard.items():
        yield GridCase(name=name, samples=np.ascontiguousarray(signal, np.float32))
