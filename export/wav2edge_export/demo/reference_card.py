"""The figures of the reference card of ``model_syllable_onSet4``, to compare with those of a demo run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wav2edge.evaluation.rates import WordErrors
from wav2edge.evaluation.report import ClassificationReport, Report
from wav2edge_train.reporting.training_card import card_figures

REFERENCE = Report(
    clips=97,
    classification=ClassificationReport(
        labels=("0", "1", "2", "3"),
        confusion=np.array([[26, 0, 0, 0], [0, 30, 1, 0], [0, 0, 26, 0], [0, 0, 0, 14]]),
    ),
    word_errors=WordErrors(edits=194, words=859),
    loss=0.1349,
)
"""facebook/wav2vec2-large-xlsr-53 (315 M parameters) after 1,680 updates on a GPU; recorded speech, 97 clips."""


def beside_reference(report: Report) -> str:
    """A table of a report's figures with the reference card's own in the next column."""
    ours, theirs = card_figures(report.metrics()), card_figures(REFERENCE.metrics())
    width = max(map(len, theirs))
    lines = [f"{'':{width}}   this run   the card"]
    lines += [
        f"{name:{width}}  {_cell(ours.get(name))}  {_cell(value)}"
        for name, value in theirs.items()
        if isinstance(value, (int, float))
    ]
    lines += [f"{'mtrix':{width}}  this run: {ours.get('mtrix')}", f"{'':{width}}  the card: {theirs['mtrix']}"]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:9.4f}"
    return f"{'-' if value is None else value:>9}"


def shortfalls(report: Report, *, least_accuracy: float, most_wer: float) -> Iterator[str]:
    """What a report misses of a bar."""
    if report.classification is None or report.classification.accuracy < least_accuracy:
        yield f"accuracy below {least_accuracy:g}"
    if report.word_errors is None or report.word_errors.rate > most_wer:
        yield f"WER above {most_wer:g}"
