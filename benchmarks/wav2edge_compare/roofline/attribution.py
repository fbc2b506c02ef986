"""The nodes of one run summed up by operator class, each class with its roof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from wav2edge.evaluation.benchmark.environment import environment
from wav2edge.output.tables import markdown_table
from wav2edge_compare.roofline.operators import ATTENTION, FP32, INT4, INT8, MATMUL_CLASSES, OPERATORS, OTHER, Node
from wav2edge_compare.roofline.profiling import ProfiledRun
from wav2edge_compare.roofline.roofs import Roofs

BETWEEN = "between operators"
"""Time of a run outside its nodes: the overhead of ONNX Runtime and of profiling."""
ROOFS = {
    INT8: "int8_macs_per_s",
    INT4: "int8_macs_per_s",  # 4-bit weights are widened and multiplied in int8
    FP32: "fp32_macs_per_s",
    ATTENTION: "fp32_macs_per_s",
}
"""Class -> its roof; for classes that only move bytes it is memory."""
MEMORY = "memory_bytes_per_s"
TABLE_MATMULS = 6
"""Shapes that a table shows; the record holds all."""
NOTE = (
    "a class that only moves bytes is compared with the memory copy, and can exceed it where its bytes stay in a cache"
)


@dataclass(frozen=True, kw_only=True)
class ClassTime:
    """One operator class in one run. ``work`` and ``roof`` are in ``unit``: multiply-accumulates or bytes."""

    name: str
    nodes: int
    duration_s: float
    share: float
    unit: str
    work: float
    roof_per_s: float | None

    @property
    def rate_per_s(self) -> float | None:
        """Work per second; None where nothing was counted."""
        return self.work / self.duration_s if self.work and self.duration_s else None

    @property
    def roof_share(self) -> float | None:
        """The rate as a share of the roof."""
        return self.rate_per_s / self.roof_per_s if self.rate_per_s and self.roof_per_s else None

    @property
    def bound_s(self) -> float:
        """Duration of the work at the roof."""
        return self.work / self.roof_per_s if self.roof_per_s else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Figures as JSON-ready values."""
        return {**asdict(self), "rate_per_s": self.rate_per_s, "roof_share": self.roof_share, "bound_s": self.bound_s}


@dataclass(frozen=True, kw_only=True)
class RooflineSample:
    """The median run of one clip length by operator class, the longest first; the shares sum to one.

    ``matmuls`` are the MatMuls of these classes by shape.
    """

    clip_s: float
    duration_s: float
    classes: tuple[ClassTime, ...]
    matmuls: tuple[ClassTime, ...]

    @property
    def bound_s(self) -> float:
        """Duration of the run with every class at its roof."""
        return sum(each.bound_s for each in self.classes)

    def to_dict(self) -> dict[str, Any]:
        """Figures as JSON-ready values."""
        return {
            "clip_s": self.clip_s,
            "duration_s": self.duration_s,
            "bound_s": self.bound_s,
            "classes": [each.to_dict() for each in self.classes],
            "matmuls": [each.to_dict() for each in self.matmuls],
        }


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """A graph's samples, and the roofs measured in the same process."""

    graph: str
    threads: int
    roofs: Roofs
    samples: tuple[RooflineSample, ...]
    environment: dict[str, object] = field(default_factory=environment)

    def to_dict(self) -> dict[str, Any]:
        """Every figure and the environment as JSON-ready values."""
        return {
            "graph": self.graph,
            "threads": self.threads,
            "roofs": asdict(self.roofs),
            "samples": [sample.to_dict() for sample in self.samples],
            "note": NOTE,
            "environment": self.environment,
        }

    def table(self) -> str:
        """Markdown tables for each clip length, aligned for a terminal."""
        roofs = self.roofs
        parts = [
            f"{self.graph}, {self.threads} threads, {self.environment['processor']}. Roofs: int8"
            f" {roofs.int8_macs_per_s / 1e9:.1f} GMAC/s, fp32 {roofs.fp32_macs_per_s / 1e9:.1f} GMAC/s, memory"
            f" {roofs.memory_bytes_per_s / 1e9:.1f} GB/s; {NOTE}."
        ]
        for sample in self.samples:
            parts += [
                f"**{sample.clip_s:g} s clip**: {sample.duration_s * 1e3:.1f} ms, {sample.bound_s * 1e3:.1f} ms if"
                " every class were at its roof",
                _table("class", sample.classes),
                _table("rows x terms x columns", sample.matmuls[:TABLE_MATMULS]),
            ]
        return "\n\n".join(parts)


def _table(title: str, times: Sequence[ClassTime]) -> str:
    header = [title, "nodes", "ms", "share", "work", "achieved", "roof", "share of roof"]
    return markdown_table(header, (_cells(each) for each in times))


def _cells(each: ClassTime) -> list[str]:
    return [
        each.name,
        str(each.nodes),
        f"{each.duration_s * 1e3:.3f}",
        f"{each.share:.1%}",
        _shown(each.work, each.unit),
        _shown(each.rate_per_s, f"{each.unit}/s"),
        _shown(each.roof_per_s, f"{each.unit}/s"),
        "-" if each.roof_share is None else f"{each.roof_share:.1%}",
    ]


def _shown(value: float | None, unit: str) -> str:
    return "-" if not value else f"{value / 1e9:.{2 if unit.endswith('/s') else 3}f} G{unit}"


def attribute(clip_s: float, runs: Sequence[ProfiledRun], roofs: Roofs) -> RooflineSample:
    """Sum up the median run, one actual run, so that its parts belong together."""
    run = sorted(runs, key=lambda run: run.duration_s)[len(runs) // 2]
    found = [_class_time(name, name, run.of_class(name), run, roofs) for name in (*OPERATORS, OTHER)]
    between_s = run.duration_s - sum(each.duration_s for each in found)
    between = ClassTime(
        name=BETWEEN,
        nodes=0,
        duration_s=between_s,
        share=between_s / run.duration_s,
        unit="B",
        work=0,
        roof_per_s=None,
    )
    used = [each for each in found if each.nodes]
    return RooflineSample(
        clip_s=clip_s,
        duration_s=run.duration_s,
        classes=_longest_first([*used, between]),
        matmuls=_longest_first(_by_shape(run, roofs)),
    )


def _longest_first(times: Sequence[ClassTime]) -> tuple[ClassTime, ...]:
    return tuple(sorted(times, key=lambda each: each.duration_s, reverse=True))


def _by_shape(run: ProfiledRun, roofs: Roofs) -> list[ClassTime]:
    groups: dict[tuple[str, tuple[int, int, int]], list[Node]] = {}
    for node in run.nodes:
        if node.shape is not None:
            groups.setdefault((node.operator_class, node.shape), []).append(node)
    return [
        _class_time(f"{name} {' x '.join(map(str, shape))}", name, nodes, run, roofs)
        for (name, shape), nodes in groups.items()
    ]


def _class_time(title: str, name: str, nodes: Sequence[Node], run: ProfiledRun, roofs: Roofs) -> ClassTime:
    duration_s = sum(node.duration_s for node in nodes)
    multiplies = name in MATMUL_CLASSES
    return ClassTime(
        name=title,
        nodes=len(nodes),
        duration_s=duration_s,
        share=duration_s / run.duration_s,
        unit="MAC" if multiplies else "B",
        work=sum(node.macs if multiplies else node.bytes_moved for node in nodes),
        roof_per_s=getattr(roofs, ROOFS.get(name, MEMORY)),
    )
