"""A profiled session: every run of every clip length as the nodes that ONNX Runtime timed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.benchmark.timed_process import WARM_UP_RUNS
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.many_clips import pad_together
from wav2edge.inference.sessions.device import open_session
from wav2edge_compare.roofline.operators import PARENTS, Node

RUN, NODE = "model_run", "Node"
"""The event that ends a run, and the category of its nodes."""


@dataclass(frozen=True, kw_only=True)
class ProfiledRun:
    """One run: its duration as a whole, and its nodes."""

    duration_s: float
    nodes: tuple[Node, ...]

    def of_class(self, name: str) -> list[Node]:
        """Nodes of one operator class."""
        return [node for node in self.nodes if node.operator_class == name]


def profile_runs(
    graph: Path,
    durations_s: Sequence[float],
    *,
    threads: int | None,
    runs: int,
    between: Callable[[], None] = lambda: None,
) -> dict[float, list[ProfiledRun]]:
    """Run clips of each length with the engine's session settings, threads spinning as in the comparison.

    Returns:
        For each clip length the runs after the warm-up. ``between`` is called after each length.
    """
    with tempfile.TemporaryDirectory() as folder:
        session, _ = open_session(graph, threads=threads, spinning=True, profile=Path(folder) / "profile")
        for duration_s in durations_s:
            feeds = _feeds(session, duration_s)
            for _ in range(WARM_UP_RUNS + runs):
                session.run(None, feeds)
            between()
        events = json.loads(Path(session.end_profiling()).read_bytes())
    found = list(_runs(events))
    each = WARM_UP_RUNS + runs
    return {
        duration_s: found[place * each + WARM_UP_RUNS : (place + 1) * each]
        for place, duration_s in enumerate(durations_s)
    }


def _feeds(session: Any, duration_s: float) -> dict[str, Any]:
    """One clip, with a mask where the graph is batched."""
    feeds = pad_together([voiced(round(duration_s * SAMPLE_RATE_HZ))])
    return {each.name: feeds[each.name] for each in session.get_inputs()}


def _runs(events: Sequence[Mapping[str, Any]]) -> Iterator[ProfiledRun]:
    """Events are written as they end, so a run follows its nodes."""
    nodes: list[Node] = []
    for event in events:
        if event.get("cat") == NODE and event["args"]["op_name"] not in PARENTS:
            nodes.append(Node.of(event))
        elif event["name"] == RUN:
            yield ProfiledRun(duration_s=event["dur"] / 1e6, nodes=tuple(nodes))
            nodes = []
