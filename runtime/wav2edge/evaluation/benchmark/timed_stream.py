"""One process of a benchmark: loads a bundle, hears sound chunk by chunk, prints its measurements as one JSON line."""

from __future__ import annotations

import json
import sys
import time

import wav2edge
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.benchmark.resident_memory import peak_memory_bytes
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.streaming.cached import CachedUtterance
from wav2edge.inference.streaming.opening import in_chunks

WARM_UP_CHUNKS = 8


def main() -> None:
    """Read the request from the command line as JSON, and print the measurement."""
    request = json.loads(sys.argv[1])
    started_s = time.perf_counter()
    engine = wav2edge.load(**request["load"])
    session = in_chunks(engine, request["chunk_ms"]).session
    load_s = time.perf_counter() - started_s
    memory = session.begin()
    utterance = CachedUtterance(session, memory, start=0)
    advance = session.chunk_frames * session.geometry.hop
    sound = voiced((WARM_UP_CHUNKS + request["chunks"]) * advance + session.block_samples)
    latencies_s, begun_s = [], time.perf_counter()
    for _ in utterance.feed(sound):
        latencies_s.append(time.perf_counter() - begun_s)
        begun_s = time.perf_counter()
    measured = {
        "load_s": load_s,
        "chunk_s": advance / SAMPLE_RATE_HZ,
        "latencies_s": latencies_s[WARM_UP_CHUNKS:],
        "state_bytes": memory.size_bytes,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
