"""The roofline of a graph: roofs and runs measured in one process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path

from wav2edge.errors import UsageError
from wav2edge.inference.device import physical_cores
from wav2edge_compare.roofline.attribution import Roofline, attribute
from wav2edge_compare.roofline.profiling import profile_runs
from wav2edge_compare.roofline.roofs import Roofs, measure_roofs

RUNS = 9


def roofline(
    graph: Path,
    durations_s: Sequence[float],
    threads: int | None = None,
    *,
    runs: int = RUNS,
    advance: Callable[[], None] = lambda: None,
) -> Roofline:
    """Say where the time of a graph goes and how near each operator class comes to its roof.

    Williams, Waterman and Patterson, "Roofline", Communications of the ACM 52(4), 2009. The roofs are measured before
    the runs and after those of each clip length, and the highest count.

    Args:
        graph: an ONNX file of a bundle, any variant.
        durations_s: clip lengths.
        threads: threads of one answer; the physical cores without a number.
        runs: of each clip length after the warm-up; the median one is reported.
        advance: called after each measurement of the roofs, of which there is one more than clip lengths.

    Raises:
        UsageError: there is nothing to measure.
        BundleError: the graph cannot be loaded.
    """
    if not durations_s or min(durations_s) <= 0 or runs < 1:
        raise UsageError("clip lengths are positive seconds, one or more, and runs at least 1")
    seen: list[Roofs] = []

    def look_up() -> None:
        seen.append(measure_roofs(threads=threads))
        advance()

    look_up()
    profiled = profile_runs(graph, durations_s, threads=threads, runs=runs, between=look_up)
    roofs = reduce(Roofs.best, seen)
    samples = tuple(attribute(duration_s, profiled[duration_s], roofs) for duration_s in durations_s)
    return Roofline(graph=graph.name, threads=threads or physical_cores(), roofs=roofs, samples=samples)
