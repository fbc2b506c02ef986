"""The synthetic signals of a certificate: lengths from one frame to half a minute, and hard signals of one second.

A device must generate the signals that the original was given, to the last bit, or the outputs could not be compared.
Sines and normal numbers differ between processors and between versions of numpy, so everything up to the last division
is integer arithmetic, and the random numbers are the raw words of PCG64, a stream that numpy guarantees.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry

FloatSamples = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

PHASE_BITS, SINE_BITS = 32, 12
TURN = 1 << PHASE_BITS
"""One period of an oscillator."""
PEAK = 32767
SINE: Integers = np.round(PEAK * np.sin(2 * np.pi * np.arange(1 << SINE_BITS) / (1 << SINE_BITS))).astype(np.int64)
"""One period of a sine; rounding removes the last bit, in which processors differ."""
NOISE_DEVIATION = 37_837
"""Standard deviation of the sum of four uniform 16-bit numbers: 65,536 / sqrt(3)."""

LENGTHS_S = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class SyntheticSignal:
    """``samples: [samples] float32`` at 16 kHz, and their name in the certificate."""

    name: str
    samples: FloatSamples

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def sha256(self) -> str:
        """Digest of the samples as little-endian float32."""
        return hashlib.sha256(self.samples.astype("<f4").tobytes()).hexdigest()


def voiced(samples: int, *, seed: int = 0, amplitude: float = 0.3) -> FloatSamples:
    """A speech-like signal: a gliding harmonic voice in bursts of syllable length, over faint noise.

    Returns:
        ``[samples] float32`` with the peak ``amplitude``; the same on every machine.
    """
    raw = np.random.PCG64(seed).random_raw(samples + 2)
    glide_start, burst_start = (raw[:2] % TURN).astype(np.int64)
    time = np.arange(samples, dtype=np.int64)
    glide = _sine(_step(0.7) * time + glide_start)
    phase = np.cumsum(_step(120) + _step(30) * glide // PEAK)
    voice = np.sum([_sine(order * phase) // order for order in range(1, 12)], axis=0)
    bursts = np.clip(_sine(_step(3.5) * time + burst_start) + 2 * PEAK // 5, 0, PEAK)
    sound = voice * bursts + _noise(raw[2:]) * (PEAK * PEAK // 50 // NOISE_DEVIATION)
    return np.asarray(amplitude * (sound / max(1, np.abs(sound).max())), np.float32)


def _step(frequency_hz: float) -> int:
    """Phase increment of an oscillator per sample."""
    return round(TURN * frequency_hz / SAMPLE_RATE_HZ)


def _sine(phase: Integers) -> Integers:
    return np.take(SINE, (phase >> PHASE_BITS - SINE_BITS) & len(SINE) - 1)


def _noise(raw: npt.NDArray[np.uint64]) -> Integers:
    """Nearly normal noise: the sum of the four 16-bit quarters of each random word, minus its mean."""
    quarters = [(raw >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48)]
    return np.asarray(np.sum(quarters, axis=0), np.int64) - 2 * 0xFFFF


def synthetic_signals(
    geometry: ConvGeometry, *, longest_s: float = LENGTHS_S[-1], fewest_frames: int = 1
) -> Iterator[SyntheticSignal]:
    """Lengths at the edges of a frame and up to ``longest_s``, then hard signals of one second.

    ``fewest_frames`` are those that the model needs.
    """
    shortest, hop = geometry.shortest(fewest_frames), geometry.hop
    edges = (shortest, shortest + 1, shortest + hop - 1, shortest + hop, SAMPLE_RATE_HZ + hop - 1)
    lengths = sorted({*edges, *(round(s * SAMPLE_RATE_HZ) for s in LENGTHS_S if s <= longest_s)})
    for samples in lengths:
        if samples >= shortest:
            yield SyntheticSignal(name=f"{samples} samples", samples=voiced(samples, seed=samples))
    second = voiced(SAMPLE_RATE_HZ, seed=1)
    noise = _noise(np.random.PCG64(2).random_raw(SAMPLE_RATE_HZ)) / NOISE_DEVIATION
    hard = {
        "silence": np.zeros_like(second),
        "clipping": np.clip(20 * second, -1, 1),
        "tiny amplitude": 1e-4 * second,
        "unscaled integers": 32768 * second,
        "offset": second + np.float32(0.5),
        "white noise": 0.1 * noise,
    }
    for name, signal in hard.items():
        yield SyntheticSignal(name=name, samples=np.ascontiguousarray(signal, np.float32))
