"""The parent process of a benchmark: plans, starts one process per measurement, and summarises."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import BenchmarkError, UsageError
from wav2edge.evaluation.benchmark.environment import environment
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.output.tables import markdown_table

DURATIONS_S = (0.3, 1.0, 3.0, 10.0)
"""Clip lengths that are measured, but for those that a model cannot answer to."""

THREADS = {False: "threads sleep between calls", True: "threads spin between calls"}
"""What a table says of ``spinning``."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkPlan:
    """What to measure: ``runs`` timed runs per clip length, after a warm-up; ``spinning`` as of ``wav2edge.load``."""

    bundle: Path
    durations_s: Sequence[float] = DURATIONS_S
    runs: int = 30
    cold_starts: int = 5
    device: str = "cpu"
    threads: int | None = None
    variant: str | None = None
    spinning: bool = False

    def __post_init__(self) -> None:
        if not self.durations_s or min(self.durations_s) <= 0:
            raise UsageError("clip lengths must be positive seconds, one or more")
        if self.runs < 1 or self.cold_starts < 1:
            raise UsageError("runs and cold starts must be at least 1")

    @property
    def steps(self) -> int:
        """Processes that will be started."""
        return len(self.durations_s) + self.cold_starts

    @property
    def load_arguments(self) -> dict[str, Any]:
        """The arguments of ``wav2edge.load``."""
        return {
            "bundle": str(self.bundle),
            "device": self.device,
            "threads": self.threads,
            "variant": self.variant,
            "spinning": self.spinning,
        }


@dataclass(frozen=True, kw_only=True)
class LatencySample:
    """The timed runs of one clip length, in one process."""

    duration_s: float
    latencies_s: tuple[float, ...]
    load_s: float
    peak_memory_bytes: int

    @property
    def median_s(self) -> float:
        """Median latency."""
        return float(np.median(self.latencies_s))

    @property
    def p95_s(self) -> float:
        """95th percentile of the latency."""
        return float(np.percentile(self.latencies_s, 95))

    @property
    def real_time_factor(self) -> float:
        """Median latency per second of audio."""
        return self.median_s / self.duration_s


@dataclass(frozen=True, kw_only=True)
class BenchmarkReport:
    """The measurements and their environment."""

    variant: str
    device: str
    spinning: bool
    samples: tuple[LatencySample, ...]
    cold_starts_s: tuple[float, ...]
    environment: dict[str, object] = field(default_factory=environment)

    @property
    def load_s(self) -> float:
        """Median time of ``wav2edge.load`` in a fresh process, the import of ONNX Runtime included."""
        return float(np.median([sample.load_s for sample in self.samples]))

    @property
    def cold_start_s(self) -> float:
        """Median time of the whole command ``wav2edge run`` on one clip of one second."""
        return float(np.median(self.cold_starts_s))

    def to_dict(self) -> dict[str, Any]:
        """Every sample and its summary, as JSON-ready values."""
        summaries = [
            {
                **asdict(sample),
                "median_s": sample.median_s,
                "p95_s": sample.p95_s,
                "real_time_factor": sample.real_time_factor,
            }
            for sample in self.samples
        ]
        return {**asdict(self), "samples": summaries, "load_s": self.load_s, "cold_start_s": self.cold_start_s}

    def table(self) -> str:
        """The summary as a Markdown table."""
        rows = [
            [
                f"{sample.duration_s:g}",
                f"{sample.median_s * 1e3:.2f}",
                f"{sample.p95_s * 1e3:.2f}",
                f"{sample.real_time_factor:.4f}",
                f"{sample.peak_memory_bytes / 1e6:.0f}",
            ]
            for sample in self.samples
        ]
        return (
            f"variant {self.variant} on {self.device}, {self.environment['processor']}, {THREADS[self.spinning]}\n\n"
            f"{markdown_table(('clip s', 'median ms', 'p95 ms', 'real-time factor', 'peak memory MB'), rows)}\n\n"
            f"load {self.load_s:.3f} s, cold start of the whole command {self.cold_start_s:.3f} s"
        )


def benchmark(plan: BenchmarkPlan, *, advance: Callable[[], None] = lambda: None) -> BenchmarkReport:
    """Measure a bundle; ``advance`` is called after each process."""
    samples, seen = [], {}
    for duration_s in plan.durations_s:
        seen = _measure(plan, duration_s)
        samples.append(
            LatencySample(
                duration_s=duration_s,
                latencies_s=tuple(seen["latencies_s"]),
                load_s=seen["load_s"],
                peak_memory_bytes=seen["peak_memory_bytes"],
            )
        )
        advance()
    return BenchmarkReport(
        variant=seen["variant"],
        device=seen["device"],
        spinning=plan.spinning,
        samples=tuple(samples),
        cold_starts_s=_cold_starts(plan, advance),
    )


def _measure(plan: BenchmarkPlan, duration_s: float) -> dict[str, Any]:
    request = {"load": plan.load_arguments, "duration_s": duration_s, "runs": plan.runs}
    measured: dict[str, Any] = json.loads(
        run_python("-m", "wav2edge.evaluation.benchmark.timed_process", json.dumps(request))
    )
    return measured


def _cold_starts(plan: BenchmarkPlan, advance: Callable[[], None]) -> tuple[float, ...]:
    import soundfile

    options = ["--device", plan.device]
    options += [] if plan.threads is None else ["--threads", str(plan.threads)]
    options += [] if plan.variant is None else ["--variant", plan.variant]
    times_s = []
    with tempfile.TemporaryDirectory() as folder:
        clip = str(Path(folder) / "clip.wav")
        soundfile.write(clip, voiced(SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
        for _ in range(plan.cold_starts):
            started_s = time.perf_counter()
            run_python("-m", "wav2edge", "run", str(plan.bundle), clip, *options)
            times_s.append(time.perf_counter() - started_s)
            advance()
    return tuple(times_s)


def run_python(*arguments: str) -> str:
    """What a fresh interpreter prints.

    Raises:
        BenchmarkError: it failed; with the last line of its standard error.
    """
    finished = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if finished.returncode:
        reason = finished.stderr.strip().splitlines()
        raise BenchmarkError(f"a process of the benchmark failed: {reason[-1] if reason else 'no message'}")
    return finished.stdout
