"""How charts look: colours that the colour-blind tell apart, light lines, and the last value beside each name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

INK, PALE, FAINT = "#1d2430", "#8b95a5", "#d9dee6"
BLUE, VERMILLION, GREEN = "#0072b2", "#d55e00", "#009e73"
"""Of Okabe and Ito's palette."""


def new_chart(title: str, *, width_in: float = 8.0, height_in: float = 4.2) -> tuple[Figure, Axes]:
    """An empty chart without a frame; no window is opened."""
    figure = Figure(figsize=(width_in, height_in), dpi=150, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold", pad=12)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(INK)
    axes.tick_params(colors=INK, length=0, labelsize=9)
    return figure, axes


def draw_curves(axes: Axes, curves: Sequence[tuple[str, str, Sequence[int], Sequence[float]]]) -> None:
    """Lines over updates, each named with its last value; a curve is (name, colour, steps, values)."""
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("update", color=INK, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0, 1.03 * max(max(steps) for _, _, steps, _ in curves))
    for name, colour, steps, values in curves:
        axes.plot(
            steps, values, color=colour, linewidth=1.8, marker="o", markersize=3, label=f"{name} {values[-1]:.4g}"
        )
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(curves), frameon=False, fontsize=9, labelcolor=INK)


def save_chart(figure: Figure, path: Path) -> None:
    """Write it as PNG, the same bytes for the same chart."""
    figure.savefig(path, metadata={"Software": None})
