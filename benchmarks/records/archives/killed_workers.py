"""Archives whose worker is killed half-way, and one whose run is killed and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.records.archives.archive_commands import OTHERS, SHARD, SYSTEMS, clear, command, lines
from benchmarks.records.archives.process_time import LOOK_S, Processes, environment_of, timed


def measure(bundle: Path, clips: Path, folder: Path, expected: Sequence[str]) -> list[dict[str, Any]]:
    """A worker that is killed half-way, and a whole run that is, and resumed."""
    found, shards = [], -(-sum(1 for _ in clips.iterdir()) // SHARD)
    for name, word in zip(OTHERS, ("spawn_main", "ray::ActorWorker"), strict=True):
        output = clear(folder / "results")
        with Processes() as processes:
            words = command(bundle, clips, output, SYSTEMS[name], SHARD)
            worked = subprocess.Popen(
                words, env=environment_of(processes.mark), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            _wait_for(output, shards // 2)
            os.kill(processes.named(word)[0], signal.SIGKILL)
            _, told = worked.communicate()
        deaths = sum("its worker died" in line for line in told.splitlines())
        found.append({"killed": f"a worker, {name}", "deaths": deaths, "same_lines": lines(output) == expected})
    words = command(bundle, clips, clear(output), SYSTEMS["processes"], SHARD)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _wait_for(output, shards // 2)
        process.kill()
    before = sum(1 for _ in output.glob("*.parquet"))
    timed([*words, "--resume"])
    found.append({"killed": "the run, resumed", "done_before": before, "same_lines": lines(output) == expected})
    return found


def _wait_for(output: Path, count: int) -> None:
    while sum(1 for _ in output.glob("*.parquet")) < count:
        time.sleep(LOOK_S / 5)
