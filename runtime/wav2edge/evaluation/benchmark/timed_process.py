"""One process of a benchmark: loads a bundle, recognises one clip repeatedly, prints its measurements as one JSON line.

In a process of its own, the peak memory belongs to one clip length, and the load to a fresh start.
"""

from __future__ import annotations

import json
import sys
import time

import wav2edge
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.benchmark.resident_memory import peak_memory_bytes
from wav2edge.evaluation.parity.signals import voiced

WARM_UP_RUNS = 3


def main() -> None:
    """Read the request from the command line as JSON, and print the measurement."""
    request = json.loads(sys.argv[1])
    clip = voiced(round(request["duration_s"] * SAMPLE_RATE_HZ))  # the latency depends on its length only
    started_s = time.perf_counter()
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
