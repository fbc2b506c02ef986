"""The charts of a run: losses, WER and accuracy over updates, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wav2edge.evaluation.report import ClassificationReport, Report
from wav2edge_train.reporting.chart_style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    PALE,
    VERMILLION,
    draw_curves,
    new_chart,
    save_chart,
)
from wav2edge_train.reporting.training_card import TrainingRow

LOSSES = (("training", BLUE), ("validation", VERMILLION))
FIGURES = {
    "accuracy": ("accuracy", BLUE),
    "macro avg_f1-score": ("macro F1", GREEN),
    "wer": ("WER", VERMILLION),
}
"""Keys of ``Report.metrics()`` that are drawn, with their names and colours."""

LARGEST_WRITTEN = 24
"""Most classes whose counts are written into the confusion matrix; beyond it they could not be read."""


def write_charts(folder: Path, rows: Sequence[TrainingRow], final: Report) -> tuple[str, ...]:
    """Draw what there are figures for, and return the names of the files.

    Args:
        folder: where they go.
        rows: the evaluations on the way.
        final: the report of the finished model.
    """
    drawn = []
    if rows:
        drawn.append(_draw_losses(folder / "loss.png", rows))
        drawn.append(_draw_figures(folder / "accuracy.png", rows))
    if final.classification is not None:
        drawn.append(_draw_confusion(folder / "confusion.png", final.classification))
    return tuple(drawn)


def _draw_losses(path: Path, rows: Sequence[TrainingRow]) -> str:
    figure, axes = new_chart("Loss")
    pairs = [[(row.step, row.training_loss) for row in rows], [(row.step, row.figures.get("loss")) for row in rows]]
    curves = []
    for (name, colour), points in zip(LOSSES, pairs, strict=True):
        known = [(step, value) for step, value in points if value is not None]
        if known:
            curves.append((name, colour, [step for step, _ in known], [value for _, value in known]))
    draw_curves(axes, curves)
    axes.set_ylim(bottom=0)
    save_chart(figure, path)
    return path.name


def _draw_figures(path: Path, rows: Sequence[TrainingRow]) -> str:
    figure, axes = new_chart("Validation split")
    steps = [row.step for row in rows]
    shown = {key: look for key, look in FIGURES.items() if key in rows[0].figures}
    draw_curves(axes, [(*look, steps, [row.figures[key] for row in rows]) for key, look in shown.items()])
    axes.set_ylim(0, max(1.0, *(row.figures.get("wer", 0.0) for row in rows)) * 1.02)
    save_chart(figure, path)
    return path.name


def _draw_confusion(path: Path, classification: ClassificationReport) -> str:
    names, counts = classification.labels, classification.confusion
    side_in = max(3.6, min(12.0, 1.6 + 0.6 * len(names)))
    figure, axes = new_chart("Confusion matrix", width_in=side_in + 0.6, height_in=side_in)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.pcolormesh(shares[::-1], cmap="Blues", vmin=0, vmax=1, edgecolors=FAINT, linewidth=0.8)
    axes.set_aspect("equal")
    places = np.arange(len(names)) + 0.5
    axes.set_xticks(places, names, rotation=90 if max(map(len, names)) > 4 else 0)
    axes.set_yticks(places, names[::-1])
    axes.set_xlabel("heard", color=INK, fontsize=9)
    axes.set_ylabel("true", color=INK, fontsize=9)
    if len(names) <= LARGEST_WRITTEN:
        for (row, column), count in np.ndenumerate(counts):
            colour = PALE if count == 0 else "white" if shares[row, column] > 0.5 else INK
            axes.text(column + 0.5, len(names) - row - 0.5, str(count), ha="center", va="center", color=colour)
    save_chart(figure, path)
    return path.name
