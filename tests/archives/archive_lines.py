"""Results of archives as the lines that one process would have written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import wav2edge
from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.ctc import FloatArray
from wav2edge.decoding.hypothesis import Greedy, Hypothesis
from wav2edge.output.documents import strict_json

LIMIT_S = 60.0
LONG_FRAMES = 80
"""More than any of the clips has but the long one."""


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


@dataclass(frozen=True)
class Gate:
    """A decoder for which a worker waits with a long clip until a file is there."""

    opened: Path

    def decode(self, logits: FloatArray, head: CtcHead) -> list[Hypothesis]:
        """The best path, at last."""
        if len(logits) > LONG_FRAMES:
            eventually(self.opened.exists)
        return Greedy().decode(logits, head)


class HalfWay:
    """Kills the workers once all shards but that of a long clip are done, and opens the gate for who does it again.

    Args:
        gate: where a worker waits with a clip.
        others: how many shards there are besides.
        kill: ends the workers that live.
    """

    def __init__(self, gate: Gate, others: int, kill: Callable[[], None]) -> None:
        self._gate, self._others, self._kill = gate, others, kill
        self.deaths: list[str] = []

    def on_shard(self, report: wav2edge.ShardReport) -> None:
        """One shard less to wait for."""
        self._others -= 1
        if self._others == 0:
            self._kill()

    def on_death(self, message: str) -> None:
        """The worker is dead: it does not see the gate open."""
        self.deaths.append(message)
        self._gate.opened.touch()


def children() -> list[Any]:
    """Processes that this one has started with ``multiprocessing``."""
    return active_children()
