"""The roofline of a graph: roofs and runs measured in one process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path

from wav2edge.errors import UsageError
from wav2edge.inference.sessions.device import physical_cores
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
    """Measure where a graph spends its time and how near each operator class comes to its roof.

    Williams, Waterman and Patterson, "Roofline", Communications of the ACM 52(4), 2009. The roofs are measured before
    the runs and after each clip length, and the highest is taken.

    Args:
        graph: an ONNX file of a bundle, any variant.
        durations_s: clip lengths.
        threads: threads per run; None for the physical cores.
        runs: per clip length after the warm-up; the median one is reported.
        advance: called after each measurement of the roofs, one more than there are clip lengths.

    Raises:
        UsageError: no clip length or no run, or a length that is not positive.
        BundleError: the graph cannot be loaded.
    """
    if not durations_s or min(durations_s) <= 0 or runs < 1:
        raise UsageError("clip lengths must be positive, and at least one length and one run are needed")
    measured: list[Roofs] = []

    def measure() -> None:
        measured.append(measure_roofs(threads=threads))
        advance()

    measure()
    profiled = profile_runs(graph, durations_s, threads=threads, runs=runs, between=measure)
    roofs = reduce(Roofs.best, measured)
    samples = tuple(attribute(duration_s, profiled[duration_s], roofs) for duration_s in durations_s)
    return Roofline(graph=graph.name, threads=threads or physical_cores(), roofs=roofs, samples=samples)
