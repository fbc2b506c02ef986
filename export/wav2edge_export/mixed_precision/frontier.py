"""The walk from few bits to many: which layers are raised first, which points are certified, and which one is chosen.

The order is that of the knapsack's greedy rule: the most divergence saved for each byte added goes first (Dantzig,
"Discrete-Variable Extremum Problems", Operations Research 5(2), 1957), which walks the lower convex hull of divergence
over size, as the mixed precision of HAWQ-V2 does with another measure of sensitivity (Dong et al., 2019,
https://arxiv.org/abs/1911.03852).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge.output.documents import json_ready
from wav2edge_export.mixed_precision.sensitivity import Sensitivity
from wav2edge_export.quantization.recipes import LEVELS, Level
from wav2edge_export.quantization.weight_matmuls import INT4_BLOCK

WALKS: tuple[Level, ...] = ("int8", "int4")
"""Where the walks begin: int8 everywhere is the fastest on a CPU, int4 everywhere is the smallest."""
PROBES = 6
"""Most points that are certified on one walk."""
BYTES_PER_WEIGHT: dict[Level, float] = {"int4": (4 + 32 / INT4_BLOCK) / 8, "int8": 1.0, "float": 4.0}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One layer raised to a level, and what that saves: divergence in nats for each byte added."""

    layer: str
    level: Level
    saved: float


def steps(sensitivities: Sequence[Sensitivity], base: Level) -> list[Step]:
    """The steps from the base everywhere to floating point everywhere, the most rewarding first."""
    found = [step for sensitivity in sensitivities for step in _climb(sensitivity, base)]
    return sorted(found, key=lambda step: -step.saved)


def _climb(sensitivity: Sensitivity, level: Level) -> Iterator[Step]:
    """The levels of one layer that are worth a stop, each the most rewarding one to be reached from the last."""
    while level != "float":
        best = max(
            (_step(sensitivity, level, higher) for higher in LEVELS[LEVELS.index(level) + 1 :]),
            key=lambda step: step.saved,
        )
        yield best
        level = best.level


def _step(sensitivity: Sensitivity, lower: Level, higher: Level) -> Step:
    saved = sensitivity.divergence(lower) - sensitivity.divergence(higher)
    added_bytes = sensitivity.layer.weights * (BYTES_PER_WEIGHT[higher] - BYTES_PER_WEIGHT[lower])
    return Step(layer=sensitivity.layer.name, level=higher, saved=saved / added_bytes)


def levels_after(taken: Sequence[Step], sensitivities: Sequence[Sensitivity], base: Level) -> dict[str, Level]:
    """The level of each layer once these steps are taken."""
    return dict.fromkeys((each.layer.name for each in sensitivities), base) | {step.layer: step.level for step in taken}


def total_divergence(levels: Mapping[str, Level], sensitivities: Sequence[Sensitivity]) -> float:
    """What a mixture ought to diverge by, in nats: the sum of what each of its layers does by itself."""
    return sum(each.divergence(levels[each.layer.name]) for each in sensitivities)


def walk(length: int, keeps_budget: Callable[[int], bool], *, probes: int = PROBES) -> None:
    """Look for the fewest steps that keep the budget, by bisection.

    The middle is the geometric one, because the first steps are the rewarding ones. All steps together are never
    certified: that is fp32 itself.

    Args:
        length: steps there are.
        keeps_budget: certifies the point after this number of steps.
        probes: how often it may be asked.
    """
    if keeps_budget(0):
        return
    low, high = 0, length
    for _ in range(probes - 1):
        if high - low < 2:
            return
        middle = min(max(round(math.sqrt((low + 1) * (high + 1))) - 1, low + 1), high - 1)
        if keeps_budget(middle):
            high = middle
        else:
            low = middle


@dataclass(frozen=True, kw_only=True)
class Point:
    """One mixture that was certified.

    ``walk`` is where it comes from, ``raised`` the steps taken, ``levels`` the level of each layer, ``divergence`` the
    sum of what each costs by itself, in nats. ``relative_time`` is the processor time of one second of audio in units
    of the fp32 graph's, measured in turns with it.
    """

    walk: Level
    raised: int
    levels: Mapping[str, Level]
    divergence: float
    size_bytes: int
    relative_time: float
    certificate: Certificate

    @property
    def counts(self) -> dict[Level, int]:
        """Layers at each level."""
        counted = Counter(self.levels.values())
        return {level: counted[level] for level in LEVELS}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, the certificate's figures among them."""
        written: dict[str, Any] = {
            "walk": self.walk,
            "raised": self.raised,
            "layers": self.counts,
            "divergence_nats": self.divergence,
            "size_bytes": self.size_bytes,
            "relative_time": self.relative_time,
            "measured": self.certificate.measured(),
            "intervals": self.certificate.intervals(),
            "passed": self.certificate.passed,
            "violations": list(self.certificate.violations),
            "levels": dict(self.levels),
        }
        return {name: json_ready(value) for name, value in written.items()}


TIE = 1.05
"""Times within this factor are a tie: closer than that they are not measured, see ``mixed_precision.search``."""


def _fast(point: Point) -> tuple[float, float]:
    # Steps of the logarithm and not distances, which are no order: a point that was passed over, whose graph is gone,
    # could become the best one again compared with a later point.
    return math.floor(math.log(point.relative_time, TIE)), point.size_bytes


def _small(point: Point) -> tuple[float, float]:
    return point.size_bytes, point.relative_time


RANKS: dict[str, Callable[[Point], tuple[float, float]]] = {"fast": _fast, "small": _small}
"""What each preference takes first: the least of these."""


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """Every point that was certified, in that order, and the sensitivities that gave the order of the layers.

    ``prefer`` names the rank by which a point is chosen, ``clips_description`` the clips the layers were compared on;
    ``fp32_size_bytes`` and ``fp32_time_s`` are of the fp32 graph.
    """

    prefer: str
    clips_description: str
    sensitivities: Sequence[Sensitivity]
    points: Sequence[Point]
    fp32_size_bytes: int
    fp32_time_s: float

    @property
    def chosen(self) -> Point | None:
        """The preferred point of those within their budget; None where there is none."""
        return min((each for each in self.points if each.certificate.passed), key=RANKS[self.prefer], default=None)

    @property
    def nearest(self) -> Point:
        """The chosen point, else the one with the least predicted divergence from fp32."""
        return self.chosen or min(self.points, key=lambda point: point.divergence)

    def table(self) -> str:
        """The points as Markdown, which a terminal reads as well; ``logits`` is their largest relative error."""
        lines = [
            "|   | from | layers int4/int8/float | size MB | time, fp32 = 1 |    WER | accuracy | logits | verdict |",
            "|---|------|------------------------|--------:|---------------:|-------:|---------:|-------:|---------|",
        ]
        return "\n".join([*lines, *(self._row(point) for point in self.points)])

    def _row(self, point: Point) -> str:
        figures, clips = point.certificate.measured(), point.certificate.clips
        rates = clips.rates if clips else {}
        wer, accuracy = (f"{rates[name].variant:.4f}" if name in rates else "-" for name in ("WER", "accuracy"))
        mark = "*" if point is self.chosen else " "
        verdict = "within budget" if point.certificate.passed else "; ".join(point.certificate.violations)
        layers = "/".join(map(str, point.counts.values()))
        return (
            f"| {mark} | {point.walk:4} | {layers:22} | {point.size_bytes / 1e6:7.2f} | {point.relative_time:14.3f}"
            f" | {wer:>6} | {accuracy:>8} | {figures['relative_error']:6.4f} | {verdict} |"
        )

    def to_dict(self) -> dict[str, Any]:
        """The whole walk as JSON-ready values."""
        return {
            "clips": self.clips_description,
            "prefer": self.prefer,
            "fp32": {"size_bytes": self.fp32_size_bytes, "time_s": self.fp32_time_s},
            "chosen": None if self.chosen is None else list(self.points).index(self.chosen),
            "points": [point.to_dict() for point in self.points],
            "sensitivities": [
                {"layer": each.layer.name, "weights": each.layer.weights, "divergence_nats": dict(each.divergences)}
                for each in self.sensitivities
            ],
        }
