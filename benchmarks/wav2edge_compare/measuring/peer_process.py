"""One system in a process of its own: it loads, runs clips, and reports times and memory.

Timed is a waveform in memory to logits as numpy; each system normalises the waveform as it does for its users.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from wav2edge_compare.measuring.channel import serve
from wav2edge_compare.peers.runners import RUNNERS


def _prepare(request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Load the system and run once; it then handles ``time``, ``run`` and ``memory``."""
    clip = np.load(request["clip"])
    started_s = time.perf_counter()
    run = RUNNERS[request["runner"]](**request["arguments"])
    load_s = time.perf_counter() - started_s
    run(clip)
    ready = {"load_s": load_s, "first_output_s": time.perf_counter() - started_s}

    def timed() -> float:
        started_s = time.perf_counter()
        run(clip)
        return time.perf_counter() - started_s

    def handle(question: dict[str, Any]) -> dict[str, Any]:
        if "time" in question:
            return {"warm_up_s": timed(), "latencies_s": [timed() for _ in range(question["time"])]}
        if "run" in question:
            outputs: dict[str, Any] = run(np.load(question["run"]))
            np.savez(question["output"], **outputs)
            return {"written": question["output"]}
        # Imported only now: before the measurements, only wav2edge's own process may load wav2edge.
        from wav2edge.evaluation.benchmark.resident_memory import peak_memory_bytes

        return {"peak_memory_bytes": peak_memory_bytes()}

    return ready, handle


if __name__ == "__main__":
    serve(_prepare)
