"""One system in a process of its own: loads, answers, and says what it saw.

What is timed is a waveform in memory to logits as numpy, each system normalising the waveform as it does for a user.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from wav2edge_compare.measuring.channel import converse
from wav2edge_compare.peers.runners import RUNNERS


def _begin(request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Load the system and answer once; then ``time``, ``answer`` and ``memory`` may be asked."""
    clip = np.load(request["clip"])
    started_s = time.perf_counter()
    run = RUNNERS[request["runner"]](**request["arguments"])
    load_s = time.perf_counter() - started_s
    run(clip)
    ready = {"load_s": load_s, "first_answer_s": time.perf_counter() - started_s}

    def timed() -> float:
        started_s = time.perf_counter()
        run(clip)
        return time.perf_counter() - started_s

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        if "time" in question:
            return {"warm_up_s": timed(), "latencies_s": [timed() for _ in range(question["time"])]}
        if "answer" in question:
            outputs: dict[str, Any] = run(np.load(question["answer"]))
            np.savez(question["to"], **outputs)
            return {"written": question["to"]}
        # Not before: only wav2edge shall have loaded wav2edge.
        from wav2edge.evaluation.benchmark.resident_memory import peak_memory_bytes

        return {"peak_memory_bytes": peak_memory_bytes()}

    return ready, answer


if __name__ == "__main__":
    converse(_begin)
