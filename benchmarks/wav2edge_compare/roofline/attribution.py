"""The nodes of one run, summed up by operator class, beside the roof that each class stands under."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from wav2edge.evaluation.benchmark.environment import environment
from wav2edge_compare.roofline.operators import ATTENTION, FP32, INT4, INT8, OPERATORS, OTHER, PRODUCTS, Node
from wav2edge_compare.roofline.profiling import ProfiledRun
from wav2edge_compare.roofline.roofs import Roofs

BETWEEN = "between operators"
"""What a run takes beyond its nodes: ONNX Runtime's own, and that of profiling."""
ROOFS = {
    INT8: "int8_macs_per_s",
    INT4: "int8_macs_per_s",  # 4-bit weights are widened and multiplied in eight bits
    FP32: "fp32_macs_per_s",
    ATTENTION: "fp32_macs_per_s",
}
"""Class -> its roof; classes that do not multiply stand under that of memory."""
MEMORY = "memory_bytes_per_s"
MOST_PRODUCTS = 6
"""Shapes that a table shows; the record holds all."""
NOTE = (
    "a class that only moves bytes stands under the copy of memory, and may be over it where its bytes stay in a cache"
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
        """Work a second; None where nothing was counted."""
        return self.work / self.duration_s if self.work and self.duration_s else None

    @property
    def roof_share(self) -> float | None:
        """The rate in units of the roof."""
        return self.rate_per_s / self.roof_per_s if self.rate_per_s and self.roof_per_s else None

    @property
    def bound_s(self) -> float:
        """How long the work takes at the roof."""
        return self.work / self.roof_per_s if self.roof_per_s else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Figures as JSON-ready values."""
        return {**asdict(self), "rate_per_s": self.rate_per_s, "roof_share": self.roof_share, "bound_s": self.bound_s}


@dataclass(frozen=True, kw_only=True)
class RooflineSample:
    """The median run of one clip length, by operator class, the longest first; the shares sum to one.

    ``products`` are the classes of products once more, by their shapes.
    """

    clip_s: float
    duration_s: float
    classes: tuple[ClassTime, ...]
    products: tuple[ClassTime, ...]

    @property
    def bound_s(self) -> float:
        """How long the run would take with every class at its roof."""
        return sum(each.bound_s for each in self.classes)

    def to_dict(self) -> dict[str, Any]:
        """Figures as JSON-ready values."""
        return {
            "clip_s": self.clip_s,
            "duration_s": self.duration_s,
            "bound_s": self.bound_s,
            "classes": [each.to_dict() for each in self.classes],
            "products": [each.to_dict() for each in self.products],
        }


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """A graph's samples, and the roofs measured among them in the same process."""

    graph: str
    threads: int
    roofs: Roofs
    samples: tuple[RooflineSample, ...]
    environment: dict[str, object] = field(default_factory=environment)

    def to_dict(self) -> dict[str, Any]:
        """Every figure, and where it was measured, as JSON-ready values."""
        return {
            "graph": self.graph,
            "threads": self.threads,
            "roofs": asdict(self.roofs),
            "samples": [sample.to_dict() for sample in self.samples],
            "note": NOTE,
            "environment": self.environment,
        }

    def table(self) -> str:
        """One Markdown table a clip length, which a terminal reads as well."""
        roofs = self.roofs
        lines = [
            f"{self.graph}, {self.threads} threads, {self.environment['processor']}",
            f"roofs: 8-bit {roofs.int8_macs_per_s / 1e9:.1f} GMAC/s, fp32 {roofs.fp32_macs_per_s / 1e9:.1f} GMAC/s,"
            f" memory {roofs.memory_bytes_per_s / 1e9:.1f} GB/s; {NOTE}",
        ]
        for sample in self.samples:
            lines += [
                "",
                f"{sample.clip_s:g} s clip: {sample.duration_s * 1e3:.1f} ms,"
                f" {sample.bound_s * 1e3:.1f} ms if every class were at its roof",
                "",
                *_rows("class", sample.classes),
                "",
                *_rows("rows x terms x columns", sample.products[:MOST_PRODUCTS]),
            ]
        return "\n".join(lines)


def _rows(title: str, times: Sequence[ClassTime]) -> Iterator[str]:
    yield f"| {title:32} | nodes |       ms |  share |         work |      achieved |          roof | of roof |"
    yield f"|{'-' * 34}|------:|---------:|-------:|-------------:|--------------:|--------------:|--------:|"
    for each in times:
        of_roof = "-" if each.roof_share is None else f"{each.roof_share:.1%}"
        yield (
            f"| {each.name:32} | {each.nodes:5d} | {each.duration_s * 1e3:8.3f} | {each.share:6.1%}"
            f" | {_shown(each.work, each.unit):>12} | {_shown(each.rate_per_s, f'{each.unit}/s'):>13}"
            f" | {_shown(each.roof_per_s, f'{each.unit}/s'):>13} | {of_roof:>7} |"
        )


def _shown(value: float | None, unit: str) -> str:
    return "-" if not value else f"{value / 1e9:.{2 if unit.endswith('/s') else 3}f} G{unit}"


def attribute(clip_s: float, runs: Sequence[ProfiledRun], roofs: Roofs) -> RooflineSample:
    """Sum up the median run: a run that happened, so that its parts belong together."""
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
        products=_longest_first(_by_shape(run, roofs)),
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
    multiplies = name in PRODUCTS
    return ClassTime(
        name=title,
        nodes=len(nodes),
        duration_s=duration_s,
        share=duration_s / run.duration_s,
        unit="MAC" if multiplies else "B",
        work=sum(node.macs if multiplies else node.bytes_moved for node in nodes),
        roof_per_s=getattr(roofs, ROOFS.get(name, MEMORY)),
    )
