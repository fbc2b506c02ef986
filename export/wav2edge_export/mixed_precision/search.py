"""``auto``: compares the layers, walks from few bits to many, and takes the best mixture that keeps its budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.engine import Engine
from wav2edge.inference.sessions.cpu import TARGETS, Target
from wav2edge.output.documents import write_json
from wav2edge.output.progress import Progress
from wav2edge_export.bundle.certification import Certifier
from wav2edge_export.mixed_precision.frontier import (
    PROBES,
    WALKS,
    Frontier,
    Point,
    Step,
    levels_after,
    steps,
    total_divergence,
    walk,
)
from wav2edge_export.mixed_precision.frontier_plot import plot_frontier
from wav2edge_export.mixed_precision.selectable_precision import SelectablePrecisionGraph
from wav2edge_export.mixed_precision.sensitivity import Layer, Sensitivity, layers_of, measure_sensitivities
from wav2edge_export.quantization.recipes import QUANTIZED, RECIPES, Level, VariantBuilder
from wav2edge_export.quantization.weight_matmuls import quantize_matmuls, weight_matmuls

SEARCH_MACS = 4e13
"""Multiply-accumulates that comparing the layers may take, ten minutes on two cores: it sets the number of clips, so
that a large model is searched with a few and a small one with many, and alike on every machine."""
FEWEST_CLIPS, MOST_CLIPS = 4, 64
TYPICAL_CLIP_S = 2.0
FEWEST_TURNS, TIMED_S = 10, 1.0
"""How often a point and the fp32 graph are timed in turns: so often at least, and for so long."""
SEARCHED = (
    f"layers compared on {{clips}}; taken with --prefer {{prefer}} of at most {len(WALKS) * PROBES} points,"
    " certified on the same clips as here"
)
"""What the certificate says about the search; the braces are for the clips and the preference."""
PRECISION = "auto"
FRONTIER, PLOT = "frontier.json", "frontier.png"


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search.

    Attributes:
        builder: has the fp32 graph, and opens what is made of it.
        certifier: certifies each point, and has the clips to compare the layers on.
        macs_per_s: multiply-accumulates for one second of audio.
        prefer: the rank by which a point is chosen, see ``frontier.RANKS``.
        log: gets one line per step.
    """

    builder: VariantBuilder
    certifier: Certifier
    macs_per_s: int
    prefer: str
    log: Callable[[str], None]

    @property
    def path(self) -> Path:
        """Where the chosen graph goes."""
        return self.builder.path(PRECISION)

    @cached_property
    def fp32(self) -> Engine:
        """The engine that every point is timed against."""
        return self.builder.open(self.builder.source)

    @property
    def target(self) -> Target:
        """The kind of processor that int8 MatMuls are made for."""
        return TARGETS[self.builder.target]

    def certify(self, engine: Engine, levels: Mapping[str, Level]) -> Certificate:
        """The certificate of a mixture, with a note on how it was found."""
        note = SEARCHED.format(clips=self.certifier.clips.description, prefer=self.prefer)
        return self.certifier.certify(engine, PRECISION, RECIPES[PRECISION].budget, parts=levels, note=note)

    def run(self) -> Frontier:
        """Search; the graph of the frontier's nearest point is then at ``path``."""
        layers = layers_of(weight_matmuls(self.builder.source))
        trail = _Trail(search=self, layers=layers, sensitivities=self._compare(layers))
        for base in WALKS:
            ladder = steps(trail.sensitivities, base)
            walk(len(ladder), partial(trail.keeps_budget, base, ladder))
        trail.kept.replace(self.path)
        return trail.frontier()

    def _compare(self, layers: Sequence[Layer]) -> list[Sensitivity]:
        """The divergence that each layer costs at each level, on as many clips as the model's weight allows."""
        runs = 1 + len(layers) * len(QUANTIZED)
        most = int(SEARCH_MACS / (runs * self.macs_per_s * TYPICAL_CLIP_S))
        shortest = self.certifier.geometry.shortest(self.certifier.heads.fewest_frames)
        clips = self.certifier.clips.search_clips(min(max(most, FEWEST_CLIPS), MOST_CLIPS), shortest=shortest)
        self.log(f"auto: comparing {len(layers)} layers on {len(clips)} {self.certifier.clips.description}")
        matmuls = [matmul for layer in layers for matmul in layer.matmuls]
        heads = self.certifier.heads
        graph = SelectablePrecisionGraph(self.builder.source, matmuls, heads.outputs, target=self.target)
        with Progress("comparing layers", len(clips)) as progress:
            return measure_sensitivities(graph, layers, clips, heads, advance=progress.advance)


@dataclass(kw_only=True)
class _Trail:
    """The points certified so far; the graph of the nearest one is kept next to the path."""

    search: Search
    layers: Sequence[Layer]
    sensitivities: Sequence[Sensitivity]
    points: list[Point] = field(default_factory=list)
    fp32_times_s: list[float] = field(default_factory=list)

    @property
    def kept(self) -> Path:
        """Where the graph of the nearest point is."""
        return self.search.path.with_suffix(".kept")

    def keeps_budget(self, base: Level, ladder: Sequence[Step], taken: int) -> bool:
        """Make and certify the point that so many steps lead to."""
        levels = levels_after(ladder[:taken], self.sensitivities, base)
        by_matmul = {matmul.name: levels[layer.name] for layer in self.layers for matmul in layer.matmuls}
        quantize_matmuls(self.search.builder.source, self.search.path, by_matmul, target=self.search.target)
        engine = self.search.builder.open(self.search.path)
        relative_time = self._relative_time(engine)
        point = Point(
            walk=base,
            raised=taken,
            levels=levels,
            divergence=total_divergence(levels, self.sensitivities),
            size_bytes=self.search.path.stat().st_size,
            relative_time=relative_time,
            certificate=self.search.certify(engine, levels),
        )
        self.points.append(point)
        self._log(point)
        if self.frontier().nearest is point:
            self.search.path.replace(self.kept)
        return point.certificate.passed

    def frontier(self) -> Frontier:
        """Of the points so far."""
        return Frontier(
            prefer=self.search.prefer,
            clips_description=self.search.certifier.clips.description,
            sensitivities=self.sensitivities,
            points=tuple(self.points),
            fp32_size_bytes=self.search.builder.source.stat().st_size,
            fp32_time_s=float(np.median(self.fp32_times_s)),
        )

    def _relative_time(self, engine: Engine) -> float:
        """The processor time of one second of audio over that of the fp32 graph, taken in turns.

        Under whatever else this machine does at the time it stays within 5 %, where the latency doubles.
        """
        clip, started_s = voiced(SAMPLE_RATE_HZ, seed=1), time.monotonic()
        turns: list[tuple[float, float]] = []
        while len(turns) <= FEWEST_TURNS or time.monotonic() - started_s < TIMED_S:
            turns.append((_time_s(engine, clip), _time_s(self.search.fp32, clip)))
        found_s, fp32_s = (float(np.median(times_s)) for times_s in zip(*turns[1:], strict=True))  # one warms up
        self.fp32_times_s.append(fp32_s)
        return found_s / fp32_s

    def _log(self, point: Point) -> None:
        counts = ", ".join(f"{count} {level}" for level, count in point.counts.items() if count)
        self.search.log(
            f"auto: point {len(self.points)} of {len(WALKS) * PROBES} at most, layers: {counts};"
            f" {point.size_bytes / 1e6:.2f} MB, {point.relative_time:.2f} of the time of fp32;"
            f" {point.certificate.summary}"
        )


def _time_s(engine: Engine, clip: npt.NDArray[np.float32]) -> float:
    started_s = time.process_time()
    engine.outputs(clip)
    return time.process_time() - started_s


def write_frontier(frontier: Frontier, folder: Path, *, log: Callable[[str], None]) -> None:
    """Log the frontier as a table, and write it into the bundle as JSON and, where Matplotlib is there, as a plot."""
    for line in frontier.table().splitlines():
        log(line)
    write_json(folder / FRONTIER, frontier.to_dict())
    try:
        plot_frontier(frontier, folder / PLOT)
    except ImportError as error:
        log(f"no {PLOT}: {error.name} is not installed; for the plot run: pip install matplotlib")
