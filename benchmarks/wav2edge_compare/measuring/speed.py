"""The measurement of speed: for each clip length every system alive in its own process, one after the other awake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import BenchmarkError
from wav2edge.evaluation.parity.signals import voiced
from wav2edge_compare.comparison_options import ANSWERS_A_TURN
from wav2edge_compare.measuring.pace import Pacer
from wav2edge_compare.measuring.processes import Process, start
from wav2edge_compare.reporting.results import Recorder, Row

CHILD = "wav2edge_compare.measuring.peer_process"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A system that is ready to be measured: its row, how it is loaded, and with what."""

    row: Row
    runner: str
    arguments: dict[str, Any]
    log_probabilities: bool = False

    def start(self, clip: Path, folder: Path) -> tuple[Process, dict[str, Any], float]:
        """Its process, loaded and with its first answer to ``clip`` given; see ``processes.start``."""
        request = {"runner": self.runner, "arguments": self.arguments, "clip": str(clip)}
        return start(CHILD, request, log=folder / f"{self.row.name}.log")


def steps(contenders: int, durations: int, rounds: int) -> int:
    """How often ``advance`` is called at most: each start, and each turn."""
    return contenders * durations * (1 + rounds)


def measure_speed(
    contenders: Sequence[Contender],
    *,
    durations_s: Sequence[float],
    rounds: int,
    threads: int,
    folder: Path,
    recorder: Recorder,
    advance: Callable[[], None],
) -> dict[float, list[float]]:
    """Fill the rows with starts, latencies and peak memory; a system that fails keeps the reason and drops out.

    Args:
        contenders: the systems; all of them are in memory at once.
        durations_s: clip lengths.
        rounds: turns of each system at each length.
        threads: of each system.
        folder: for the clips and for what the processes say.
        recorder: told every measurement.
        advance: called after each start and each turn.

    Returns:
        For each clip length the pace of the machine before each turn, see ``Pacer``, in multiply-accumulates a second.
    """
    pacer = Pacer(threads)
    paces: dict[float, list[float]] = {duration_s: [] for duration_s in durations_s}
    for duration_s in durations_s:
        clip = folder / "clip.npy"
        np.save(clip, voiced(round(duration_s * SAMPLE_RATE_HZ)))
        with ExitStack() as stack:
            alive: dict[str, Process] = {}
            for contender in contenders:
                if process := _start(contender, clip, folder, duration_s, recorder):
                    alive[contender.row.name] = stack.enter_context(process)
                advance()
            for number in range(rounds):
                # Every other round runs backwards, so that no system always follows the same one.
                for contender in contenders if number % 2 == 0 else contenders[::-1]:
                    pace = pacer.macs_per_s()
                    paces[duration_s].append(pace)
                    if timed := _ask(contender.row, alive, duration_s, recorder, time=ANSWERS_A_TURN):
                        contender.row.turns.setdefault(duration_s, []).append(timed["latencies_s"])
                        turn = {"system": contender.row.name, "duration_s": duration_s, "round": number}
                        recorder.write("turn", **turn, pace_macs_per_s=pace, **timed)
                    advance()
            for contender in contenders:
                if found := _ask(contender.row, alive, duration_s, recorder, memory=True):
                    contender.row.peaks_bytes[duration_s] = found["peak_memory_bytes"]
                    recorder.write("memory", system=contender.row.name, duration_s=duration_s, **found)
    return paces


def _start(contender: Contender, clip: Path, folder: Path, duration_s: float, recorder: Recorder) -> Process | None:
    """Its process, paused; None where it cannot start, or has failed before."""
    row = contender.row
    if row.failure is not None:
        return None
    try:
        process, ready, cold_start_s = contender.start(clip, folder)
    except BenchmarkError as failure:
        drop(row, f"at {duration_s:g} s: {failure}", recorder)
        return None
    process.pause()
    row.loads_s.append(ready["load_s"])
    row.cold_starts_s.append(cold_start_s)
    recorder.write("start", system=row.name, duration_s=duration_s, cold_start_s=cold_start_s, **ready)
    return process


def _ask(
    row: Row, alive: dict[str, Process], duration_s: float, recorder: Recorder, **question: Any
) -> dict[str, Any] | None:
    """Wake a system, ask it, and pause it again; None where it fails, or has failed before."""
    if row.name not in alive or row.failure is not None:
        return None
    try:
        answer = alive[row.name].ask(**question)
    except BenchmarkError as failure:
        drop(row, f"at {duration_s:g} s: {failure}", recorder)
        return None
    alive[row.name].pause()
    return answer


def drop(row: Row, reason: str, recorder: Recorder) -> None:
    """A system failed: its row keeps the reason, and it is not asked again."""
    row.failure = reason
    recorder.write("failure", system=row.name, reason=reason)
