"""The evaluations during a training, read from the Trainer's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BOOKKEEPING = {"runtime", "samples_per_second", "steps_per_second", "score", "model_preparation_time"}
"""What the Trainer logs in addition to the report's figures."""


@dataclass(frozen=True, kw_only=True)
class TrainingRow:
    """One evaluation during training: ``epoch`` counts passes over the data, ``step`` counts updates.

    ``figures`` are those of ``Report.metrics()``, with the validation loss as ``loss``.
    """

    training_loss: float | None
    epoch: float
    step: int
    figures: Mapping[str, Any]


def training_rows(history: Sequence[Mapping[str, Any]]) -> tuple[TrainingRow, ...]:
    """The evaluations in a Trainer's log, each with the training loss logged before it."""
    rows: list[TrainingRow] = []
    training_loss = None
    for entry in history:
        training_loss = entry.get("loss", training_loss)
        if "eval_loss" not in entry:
            continue
        figures = {key.removeprefix("eval_"): value for key, value in entry.items() if key.startswith("eval_")}
        figures = {key: value for key, value in figures.items() if key not in BOOKKEEPING}
        rows.append(TrainingRow(training_loss=training_loss, epoch=entry["epoch"], step=entry["step"], figures=figures))
    return tuple(rows)
