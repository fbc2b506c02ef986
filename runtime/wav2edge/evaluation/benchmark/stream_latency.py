"""The benchmark of cached streams: how long each chunk takes, a fresh process for each length of chunk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from wav2edge.evaluation.benchmark.environment import environment
from wav2edge.evaluation.benchmark.latency import THREADS, BenchmarkPlan, run_python
from wav2edge.output.tables import markdown_table

CHUNKS = 200


@dataclass(frozen=True, kw_only=True)
class StreamSample:
    """The chunks of one stream; ``state_bytes`` is what it keeps from chunk to chunk."""

    chunk_s: float
    latencies_s: tuple[float, ...]
    load_s: float
    state_bytes: int
    peak_memory_bytes: int

    @property
    def median_s(self) -> float:
        """Median time of a chunk."""
        return float(np.median(self.latencies_s))

    def percentile_s(self, percent: float) -> float:
        """A percentile of the time of a chunk."""
        return float(np.percentile(self.latencies_s, percent))

    @property
    def real_time_factor(self) -> float:
        """Time of all chunks per second of sound."""
        return float(np.sum(self.latencies_s)) / (self.chunk_s * len(self.latencies_s))

    def to_dict(self) -> dict[str, Any]:
        """Every chunk and its summary, as JSON-ready values."""
        summary = {"median_s": self.median_s, "p95_s": self.percentile_s(95), "p99_s": self.percentile_s(99)}
        return {**asdict(self), **summary, "real_time_factor": self.real_time_factor}


@dataclass(frozen=True, kw_only=True)
class StreamReport:
    """The measurements of one variant, and their environment."""

    variant: str
    spinning: bool
    samples: tuple[StreamSample, ...]
    environment: dict[str, object] = field(default_factory=environment)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        samples = [sample.to_dict() for sample in self.samples]
        return {**asdict(self), "samples": samples}

    def table(self) -> str:
        """The summary as a Markdown table."""
        columns = ("chunk ms", "median ms", "p95 ms", "p99 ms", "real-time factor", "state MB", "peak memory MB")
        rows = [
            [
                f"{sample.chunk_s * 1e3:g}",
                *(f"{sample.percentile_s(percent) * 1e3:.2f}" for percent in (50, 95, 99)),
                f"{sample.real_time_factor:.4f}",
                f"{sample.state_bytes / 1e6:.2f}",
                f"{sample.peak_memory_bytes / 1e6:.0f}",
            ]
            for sample in self.samples
        ]
        where = f"{self.environment['processor']}, {THREADS[self.spinning]}"
        return f"streams of {self.variant}, {where}\n\n{markdown_table(columns, rows)}"


def benchmark_streams(
    plan: BenchmarkPlan, chunks_ms: Sequence[int], *, chunks: int = CHUNKS, advance: Callable[[], None] = lambda: None
) -> StreamReport:
    """Measure the cached streams of a bundle.

    Args:
        plan: the bundle and how it is loaded.
        chunks_ms: lengths of chunks that it has.
        chunks: how many of each are timed.
        advance: called after each length.
    """
    samples = []
    for chunk_ms in chunks_ms:
        request = {"load": plan.load_arguments, "chunk_ms": chunk_ms, "chunks": chunks}
        seen = json.loads(run_python("-m", "wav2edge.evaluation.benchmark.timed_stream", json.dumps(request)))
        samples.append(StreamSample(**{**seen, "latencies_s": tuple(seen["latencies_s"])}))
        advance()
    return StreamReport(variant=str(plan.variant), spinning=plan.spinning, samples=tuple(samples))
