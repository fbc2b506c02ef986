"""``frontier.png``: the points that ``auto`` walked, size and time against what they cost in accuracy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wav2edge_export.mixed_precision.frontier import WALKS, Frontier, Point
from wav2edge_export.quantization.recipes import Level

COLOURS: dict[Level, str] = {"int8": "#0072b2", "int4": "#d55e00"}
"""Of Okabe and Ito's palette, which the colour-blind tell apart."""
SIZE = "size, MB"
HORIZONTAL: dict[str, Callable[[Point], float]] = {
    SIZE: lambda point: point.size_bytes / 1e6,
    "processor time of 1 s of audio, fp32 = 1": lambda point: point.relative_time,
}
VERTICAL = {
    "wer_increase": "WER increase",
    "accuracy_drop": "accuracy drop",
    "relative_error": "largest logit error, relative",
}
"""What may be plotted upwards: what clips show, and the logits' error where there are none."""


def plot_frontier(frontier: Frontier, path: Path) -> None:
    """Draw the frontier.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    from matplotlib.figure import Figure  # here, because it is optional; no window is opened, so no pyplot

    figures = _shown(frontier)
    figure = Figure(figsize=(5 * len(HORIZONTAL), 0.8 + 3.4 * len(figures)), layout="constrained")
    rows = figure.subplots(len(figures), len(HORIZONTAL), squeeze=False, sharey="row")
    for name, row in zip(figures, rows, strict=True):
        for axes, (title, value) in zip(row, HORIZONTAL.items(), strict=True):
            if title == SIZE:  # a walk grows from point to point; its times need not
                _draw_walks(axes, frontier, name)
            _draw(axes, frontier, name, value)
            axes.set_xlabel(title)
        row[0].set_ylabel(VERTICAL[name])
    rows[0][0].legend(loc="best", fontsize=8, frameon=False)
    figure.suptitle("auto: every certified point; whiskers are 95 % intervals, dashed is the budget", fontsize=10)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _shown(frontier: Frontier) -> list[str]:
    """The figures that clips gave, or else the logits' error."""
    measured = frontier.points[0].certificate.measured()
    return [name for name in VERTICAL if name in measured and name != "relative_error"] or ["relative_error"]


def _draw_walks(axes: Any, frontier: Frontier, name: str) -> None:
    for base in WALKS:
        points = sorted((point for point in frontier.points if point.walk == base), key=HORIZONTAL[SIZE])
        upward = [point.certificate.measured()[name] for point in points]
        axes.plot([HORIZONTAL[SIZE](point) for point in points], upward, color=COLOURS[base], linewidth=0.8, alpha=0.5)


def _draw(axes: Any, frontier: Frontier, name: str, value: Callable[[Point], float]) -> None:
    for point in frontier.points:
        _draw_point(axes, point, name, value(point))
    for base in WALKS:
        axes.scatter([], [], color=COLOURS[base], label=f"from {base}")
    axes.scatter([], [], facecolors="white", edgecolors="black", label="over budget")
    if frontier.chosen is not None:
        x, y = value(frontier.chosen), frontier.chosen.certificate.measured()[name]
        axes.scatter([x], [y], marker="*", s=320, color="#f0e442", edgecolors="black", zorder=2, label="chosen")
    allowed = frontier.points[0].certificate.allowed().get(name)
    if allowed is not None:
        axes.axhline(allowed, color="black", linewidth=0.8, linestyle="--")
    axes.grid(alpha=0.2)


def _draw_point(axes: Any, point: Point, name: str, x: float) -> None:
    colour, intervals = COLOURS[point.walk], point.certificate.intervals()
    if name in intervals:
        axes.plot([x, x], intervals[name], color=colour, linewidth=0.8, alpha=0.6, zorder=1)
    face = colour if point.certificate.passed else "white"
    axes.scatter([x], [point.certificate.measured()[name]], color=face, edgecolors=colour, s=36, zorder=3)
