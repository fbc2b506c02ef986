"""A system that is ready to be measured: its row in the results, and how its process is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wav2edge_compare.comparison_results import Row, SampleLog
from wav2edge_compare.measuring.processes import Process, start

PEER_PROCESS = "wav2edge_compare.measuring.peer_process"


@dataclass(frozen=True, kw_only=True)
class SystemUnderTest:
    """``arguments`` are those of the runner; ``log_probabilities``: it returns them instead of logits."""

    row: Row
    runner: str
    arguments: dict[str, Any]
    log_probabilities: bool = False

    def start(self, clip: Path, folder: Path, samples: SampleLog, **fields: float) -> Process:
        """Start its process, run ``clip`` once, and keep load time and cold start in the row.

        Args:
            clip: an ``.npy`` file.
            folder: for the process's log.
            samples: receives the measurement.
            **fields: written with it, such as the clip length.

        Raises:
            BenchmarkError: the system cannot be loaded, or fails on the clip.
        """
        request = {"runner": self.runner, "arguments": self.arguments, "clip": str(clip)}
        process, ready, cold_start_s = start(PEER_PROCESS, request, log=folder / f"{self.row.name}.log")
        self.row.loads_s.append(ready["load_s"])
        self.row.cold_starts_s.append(cold_start_s)
        samples.write("start", system=self.row.name, **fields, cold_start_s=cold_start_s, **ready)
        return process


def mark_failed(row: Row, reason: str, samples: SampleLog) -> None:
    """Keep the reason in the row; the system is not measured any further."""
    row.failure = reason
    samples.write("failure", system=row.name, reason=reason)
