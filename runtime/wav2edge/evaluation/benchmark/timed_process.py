"""One process of a benchmark: loads a bundle, answers one clip again and again, prints what it saw as one JSON line.

A process of its own makes the peak memory that of one clip length, and the load that of a fresh start.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.benchmark.resident_memory import peak_memory_bytes

WARM_UP_RUNS = 3


def synthetic_clip(duration_s: float, *, seed: int = 0) -> npt.NDArray[np.float32]:
    """``[samples] float32`` of noise under a slow envelope; what a clip says does not change how long it takes."""
    samples = round(duration_s * SAMPLE_RATE_HZ)
    noise = np.random.default_rng(seed).standard_normal(samples)
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(samples) / SAMPLE_RATE_HZ)
    return (0.1 * noise * envelope).astype(np.float32)


def main() -> None:
    """Read the request from the command line as JSON, and print the measurement."""
    request = json.loads(sys.argv[1])
    clip = synthetic_clip(request["duration_s"])
    started_s = time.perf_counter()
    import wav2edge

    engine = wav2edge.load(**request["load"])
    load_s = time.perf_counter() - started_s
    latencies_s = []
    for _ in range(WARM_UP_RUNS + request["runs"]):
        started_s = time.perf_counter()
        engine(clip, rate_hz=SAMPLE_RATE_HZ)
        latencies_s.append(time.perf_counter() - started_s)
    measured = {
        "load_s": load_s,
        "latencies_s": latencies_s[WARM_UP_RUNS:],
        "peak_memory_bytes": peak_memory_bytes(),
        "variant": engine.precision,
        "device": engine.device,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
