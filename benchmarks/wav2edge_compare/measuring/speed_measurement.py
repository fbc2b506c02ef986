"""Speed: for each clip length every system is alive in its own process, and one at a time is awake."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import BenchmarkError
from wav2edge.evaluation.parity.signals import voiced
from wav2edge_compare.comparison_options import RUNS_PER_TURN
from wav2edge_compare.comparison_results import Row, SampleLog
from wav2edge_compare.measuring.measured_system import SystemUnderTest, mark_failed
from wav2edge_compare.measuring.processes import Process
from wav2edge_compare.roofline.roofs import SHAPES, int8_matmul, open_matmul

PROBE_REPEATS = 3


class MachineProbe:
    """An int8 MatMul of a transformer's size, timed while every system sleeps: how fast the machine is right now.

    Copying memory says less: in a slow phase, in which every system took 1.2 to 1.3 times as long, the copy of
    256 MB kept its rate.
    """

    def __init__(self, threads: int) -> None:
        self._matmul = int8_matmul(*SHAPES[0])
        # Spinning threads would disturb the system whose turn is next.
        self._session = open_matmul(self._matmul, threads=threads, spinning=False)

    def macs_per_s(self) -> float:
        """Multiply-accumulates per second, the best of a few runs."""
        return self._matmul.macs / min(self._run_s() for _ in range(PROBE_REPEATS))

    def _run_s(self) -> float:
        started_s = time.perf_counter()
        self._session.run(None, self._matmul.feeds)
        return time.perf_counter() - started_s


def steps(systems: int, durations: int, rounds: int) -> int:
    """How often ``advance`` is called: for each start and each turn."""
    return systems * durations * (1 + rounds)


def measure_speed(
    systems: Sequence[SystemUnderTest],
    *,
    durations_s: Sequence[float],
    rounds: int,
    threads: int,
    folder: Path,
    samples: SampleLog,
    advance: Callable[[], None],
) -> dict[float, list[float]]:
    """Fill the rows with starts, latencies and peak memory; a failing system keeps the reason and drops out.

    Args:
        systems: all of them are in memory at once.
        durations_s: clip lengths.
        rounds: turns of each system at each length.
        threads: per system.
        folder: for the clips and the processes' logs.
        samples: receives every measurement.
        advance: called after each start and each turn.

    Returns:
        For each clip length the throughput of the machine before each turn in MAC/s, see ``MachineProbe``.
    """
    probe = MachineProbe(threads)
    return {
        duration_s: _measure_length(duration_s, systems, rounds, probe, folder, samples, advance)
        for duration_s in durations_s
    }


def _measure_length(
    duration_s: float,
    systems: Sequence[SystemUnderTest],
    rounds: int,
    probe: MachineProbe,
    folder: Path,
    samples: SampleLog,
    advance: Callable[[], None],
) -> list[float]:
    """One clip length: start every system, let them take turns, then ask for peak memory."""
    clip = folder / "clip.npy"
    np.save(clip, voiced(round(duration_s * SAMPLE_RATE_HZ)))
    machine_macs_per_s: list[float] = []
    with ExitStack() as stack:
        alive: dict[str, Process] = {}
        for system in systems:
            if process := _start(system, clip, folder, duration_s, samples):
                alive[system.row.name] = stack.enter_context(process)
            advance()
        for number in range(rounds):
            # Every other round runs backwards, so that no system always follows the same one.
            for system in systems if number % 2 == 0 else systems[::-1]:
                machine_macs_per_s.append(probe.macs_per_s())
                if timed := _request(system.row, alive, duration_s, samples, time=RUNS_PER_TURN):
                    system.row.turns.setdefault(duration_s, []).append(timed["latencies_s"])
                    turn = {"system": system.row.name, "duration_s": duration_s, "round": number}
                    samples.write("turn", **turn, machine_macs_per_s=machine_macs_per_s[-1], **timed)
                advance()
        for system in systems:
            if found := _request(system.row, alive, duration_s, samples, memory=True):
                system.row.peaks_bytes[duration_s] = found["peak_memory_bytes"]
                samples.write("memory", system=system.row.name, duration_s=duration_s, **found)
    return machine_macs_per_s


def _start(system: SystemUnderTest, clip: Path, folder: Path, duration_s: float, samples: SampleLog) -> Process | None:
    """Its process, paused; None where it cannot start or has failed before."""
    if system.row.failure is not None:
        return None
    try:
        process = system.start(clip, folder, samples, duration_s=duration_s)
    except BenchmarkError as failure:
        mark_failed(system.row, f"at {duration_s:g} s: {failure}", samples)
        return None
    process.pause()
    return process


def _request(
    row: Row, alive: dict[str, Process], duration_s: float, samples: SampleLog, **question: Any
) -> dict[str, Any] | None:
    """Wake a system, send it a request, and pause it again; None where it fails or has failed before."""
    if row.name not in alive or row.failure is not None:
        return None
    try:
        reply = alive[row.name].request(**question)
    except BenchmarkError as failure:
        mark_failed(row, f"at {duration_s:g} s: {failure}", samples)
        return None
    alive[row.name].pause()
    return reply
