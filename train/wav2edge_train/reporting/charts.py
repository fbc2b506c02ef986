"""The charts of a run: losses, WER and accuracy over updates, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wav2edge.evaluation.report import ClassificationReport, Report
from wav2edge.output.plot.lettering import lettering, plain, quiet, width_of
from wav2edge_train.reporting.training_rows import TrainingRow

INK, PALE, FAINT = "#1d2430", "#8b95a5", "#d9dee6"
BLUE, VERMILLION, GREEN = "#0072b2", "#d55e00", "#009e73"
"""From the palette of Okabe and Ito, which colour-blind readers can tell apart."""

LOSSES = (("training", BLUE), ("validation", VERMILLION))
FIGURES = {
    "accuracy": ("accuracy", BLUE),
    "macro avg_f1-score": ("macro F1", GREEN),
    "wer": ("WER", VERMILLION),
}
"""Keys of ``Report.metrics()`` that are drawn, with their names and colours."""

LARGEST_WRITTEN = 24
"""With more classes, counts in the confusion matrix would be too small to read."""
LONGEST_NAME = 24
"""Letters of a class that are written."""
NAMED = 8
"""How many letters without a font a line names."""


def write_charts(
    folder: Path, rows: Sequence[TrainingRow], final: Report, log: Callable[[str], None]
) -> tuple[str, ...]:
    """Draw every chart that has figures, and return the file names.

    Args:
        folder: where the charts are written.
        rows: the evaluations during training.
        final: the report of the finished model.
        log: gets a line where no installed font has the letters of the classes.
    """
    names = () if final.classification is None else final.classification.labels
    with quiet(), lettering(set(plain("".join(names)))) as lacking:
        if lacking:
            log(
                f"warning: the charts lack {''.join(sorted(lacking)[:NAMED])}, for no installed font has it; install"
                " one that does, such as Noto Sans CJK for Chinese"
            )
        return _write_charts(folder, rows, final)


def _write_charts(folder: Path, rows: Sequence[TrainingRow], final: Report) -> tuple[str, ...]:
    drawn = []
    if rows:
        drawn.append(_draw_losses(folder / "loss.png", rows))
        drawn.append(_draw_figures(folder / "accuracy.png", rows))
    if final.classification is not None:
        drawn.append(_draw_confusion(folder / "confusion.png", final.classification))
    return tuple(drawn)


def _draw_losses(path: Path, rows: Sequence[TrainingRow]) -> str:
    figure, axes = _new_chart("Loss")
    pairs = [[(row.step, row.training_loss) for row in rows], [(row.step, row.figures.get("loss")) for row in rows]]
    curves = []
    for (name, colour), points in zip(LOSSES, pairs, strict=True):
        known = [(step, value) for step, value in points if value is not None]
        if known:
            curves.append((name, colour, [step for step, _ in known], [value for _, value in known]))
    _draw_curves(axes, curves)
    axes.set_ylim(bottom=0)
    _save_chart(figure, path)
    return path.name


def _draw_figures(path: Path, rows: Sequence[TrainingRow]) -> str:
    figure, axes = _new_chart("Validation split")
    steps = [row.step for row in rows]
    shown = {key: style for key, style in FIGURES.items() if key in rows[0].figures}
    _draw_curves(axes, [(*style, steps, [row.figures[key] for row in rows]) for key, style in shown.items()])
    axes.set_ylim(0, max(1.0, *(row.figures.get("wer", 0.0) for row in rows)) * 1.02)
    _save_chart(figure, path)
    return path.name


def _draw_confusion(path: Path, classification: ClassificationReport) -> str:
    names, counts = [_short(plain(name)) for name in classification.labels], classification.confusion
    side_in = max(3.6, min(12.0, 1.6 + 0.6 * len(names)))
    figure, axes = _new_chart("Confusion matrix", width_in=side_in + 0.6, height_in=side_in)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.pcolormesh(shares[::-1], cmap="Blues", vmin=0, vmax=1, edgecolors=FAINT, linewidth=0.8)
    axes.set_aspect("equal")
    ticks = np.arange(len(names)) + 0.5
    axes.set_xticks(ticks, names, rotation=90 if max(map(width_of, names)) > 4 else 0)
    axes.set_yticks(ticks, names[::-1])
    axes.set_xlabel("predicted", color=INK, fontsize=9)
    axes.set_ylabel("true", color=INK, fontsize=9)
    if len(names) <= LARGEST_WRITTEN:
        for (row, column), count in np.ndenumerate(counts):
            colour = PALE if count == 0 else "white" if shares[row, column] > 0.5 else INK
            axes.text(column + 0.5, len(names) - row - 0.5, str(count), ha="center", va="center", color=colour)
    _save_chart(figure, path)
    return path.name


def _short(name: str) -> str:
    """The name of a class, of which a long one would leave no room for the matrix."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _new_chart(title: str, *, width_in: float = 8.0, height_in: float = 4.2) -> tuple[Figure, Axes]:
    """An empty chart without a frame; no window is opened."""
    figure = Figure(figsize=(width_in, height_in), dpi=150, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold", pad=12)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(INK)
    axes.tick_params(colors=INK, length=0, labelsize=9)
    return figure, axes


def _draw_curves(axes: Axes, curves: Sequence[tuple[str, str, Sequence[int], Sequence[float]]]) -> None:
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


def _save_chart(figure: Figure, path: Path) -> None:
    """Write a PNG, with the same bytes for the same chart."""
    figure.savefig(path, metadata={"Software": None})
