"""Results of archives as the lines that one process would have written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import wav2edge
from wav2edge.output.documents import strict_json

LIMIT_S = 60.0


def lines(output: Path) -> list[str]:
    """The results of an archive as JSON lines, in the order of their paths."""
    documents = sorted(wav2edge.read_archive(output), key=lambda each: each["path"])
    places = ("source", "row")
    return [strict_json({key: each[key] for key in each if key not in places}, indent=None) for each in documents]


def lines_of_one_process(cli: Callable[..., Any], bundle: Path, *inputs: object) -> list[str]:
    """The lines of ``wav2edge run``."""
    done = cli("run", bundle, *inputs, "--format", "jsonl", "--threads", 1)
    return sorted(done.out.splitlines(), key=lambda line: line.partition("path")[2])


def eventually(holds: Callable[[], Any]) -> Any:
    """Wait until something holds, and return it."""
    end_s = time.monotonic() + LIMIT_S
    while not (found := holds()):
        assert time.monotonic() < end_s, "it never came to be"
        time.sleep(0.02)
    return found


class HalfWay:
    """Kills the workers once all shards but that of a pipe are done, and fills the pipe for who does it again.

    Args:
        pipe: where a worker waits for a clip.
        others: how many shards there are besides.
        kill: ends the workers that live.
    """

    def __init__(self, pipe: Any, others: int, kill: Callable[[], None]) -> None:
        self._pipe, self._others, self._kill = pipe, others, kill
        self.deaths: list[str] = []

    def on_shard(self, report: wav2edge.ShardReport) -> None:
        """One shard less to wait for."""
        self._others -= 1
        if self._others == 0:
            self._kill()

    def on_death(self, message: str) -> None:
        """The worker is dead: what is filled in now is not read by it."""
        self.deaths.append(message)
        threading.Thread(target=self._pipe.fill, daemon=True).start()


def children() -> list[Any]:
    """Processes that this one has started with ``multiprocessing``."""
    return active_children()
