"""The run behind the reference card, model_syllable_onSet4: its evaluations, and reports with the same counts."""

from __future__ import annotations

import ast

import numpy as np

from wav2edge.evaluation.rates import WordErrors
from wav2edge.evaluation.report import ClassificationReport, Report
from wav2edge_train.reporting.training_rows import TrainingRow, training_rows

WORDS = 859
NOTHING = "[[0, 1, 2, 3], [0, 0, 0, 26, 0], [1, 0, 0, 31, 0], [2, 3, 0, 23, 0], [3, 5, 0, 9, 0]]"
SECOND_CLASS_ONE_OFF = "[[0, 1, 2, 3], [0, 26, 0, 0, 0], [1, 0, 30, 1, 0], [2, 0, 0, 26, 0], [3, 0, 0, 0, 14]]"
THREE_OFF = "[[0, 1, 2, 3], [0, 26, 0, 0, 0], [1, 0, 29, 2, 0], [2, 0, 1, 25, 0], [3, 0, 0, 0, 14]]"
CARD = (  # training loss, epoch, step, validation loss, accuracy, macro F1, WER, confusion
    (1.6602, 4.16, 100, 1.5639, 0.2371, 0.1, 0.9732, NOTHING),
    (1.616, 8.33, 200, 1.4203, 0.2371, 0.1, 0.9732, NOTHING),
    (1.2107, 12.49, 300, 1.1249, 0.2371, 0.1, 0.9732, NOTHING),
    (1.1283, 16.65, 400, 1.0201, 0.2371, 0.1, 0.9732, NOTHING),
    (0.8868, 20.82, 500, 0.8944, 0.2371, 0.1, 0.9732, NOTHING),
    (0.8863, 24.98, 600, 0.9316, 0.2371, 0.1, 0.9732, NOTHING),
    (0.9019, 29.16, 700, 0.8688, 0.5052, 0.3459, 0.9732, NOTHING.replace("[0, 0, 0, 26, 0]", "[0, 26, 0, 0, 0]")),
    (0.7977, 33.33, 800, 0.8014, 0.9691, 0.9736, 1.0, THREE_OFF),
    (0.729, 37.49, 900, 0.8163, 0.9588, 0.9644, 1.0, THREE_OFF.replace("29, 2", "30, 1").replace("1, 25", "3, 23")),
    (0.6526, 41.65, 1000, 0.6691, 0.9691, 0.9736, 0.7055, THREE_OFF),
    (
        0.6633,
        45.82,
        1100,
        0.3445,
        0.9794,
        0.9822,
        0.5017,
        THREE_OFF.replace("29, 2", "31, 0").replace("1, 25", "2, 24"),
    ),
    (
        0.1913,
        49.98,
        1200,
        0.2455,
        0.9691,
        0.9686,
        0.3946,
        THREE_OFF.replace("29, 2", "30, 1").replace("25, 0", "24, 1"),
    ),
    (0.2024, 54.16, 1300, 0.1865, 0.9794, 0.9824, 0.3423, THREE_OFF.replace("1, 25", "0, 26")),
    (0.1212, 58.33, 1400, 0.1485, 0.9897, 0.9912, 0.2957, SECOND_CLASS_ONE_OFF),
    (0.108, 62.49, 1500, 0.1348, 0.9897, 0.9912, 0.2433, SECOND_CLASS_ONE_OFF),
    (0.1058, 66.65, 1600, 0.1328, 0.9897, 0.9912, 0.2224, SECOND_CLASS_ONE_OFF),
)
FINAL = """\
- Loss: 0.1349
- 0 Precision: 1.0
- 0 Recall: 1.0
- 0 F1-score: 1.0
- 0 Support: 26
- 1 Precision: 1.0
- 1 Recall: 0.9677
- 1 F1-score: 0.9836
- 1 Support: 31
- 2 Precision: 0.9630
- 2 Recall: 1.0
- 2 F1-score: 0.9811
- 2 Support: 26
- 3 Precision: 1.0
- 3 Recall: 1.0
- 3 F1-score: 1.0
- 3 Support: 14
- Accuracy: 0.9897
- Macro avg Precision: 0.9907
- Macro avg Recall: 0.9919
- Macro avg F1-score: 0.9912
- Macro avg Support: 97
- Weighted avg Precision: 0.9901
- Weighted avg Recall: 0.9897
- Weighted avg F1-score: 0.9897
- Weighted avg Support: 97
- Wer: 0.2258
- Mtrix: [[0, 1, 2, 3], [0, 26, 0, 0, 0], [1, 0, 30, 1, 0], [2, 0, 0, 26, 0], [3, 0, 0, 0, 14]]"""


def report(mtrix: str, wer: float, loss: float) -> Report:
    """A report with the confusion matrix, WER and loss of one evaluation."""
    confusion = np.array([row[1:] for row in ast.literal_eval(mtrix)[1:]], np.int64)
    return Report(
        clips=97,
        classification=ClassificationReport(labels=("0", "1", "2", "3"), confusion=confusion),
        word_errors=WordErrors(edits=round(wer * WORDS), words=WORDS),
        loss=loss,
    )


def epoch_of(step: int) -> float:
    """49 batches an epoch in pairs: 24 updates, and the odd batch waits for the next epoch."""
    epochs, updates = divmod(step, 49 // 2)
    return epochs + 2 * updates / 49 if updates else epochs - 1 + 48 / 49


def rows_of_the_log() -> tuple[TrainingRow, ...]:
    """The rows as they come out of a Trainer's log of that run."""
    history: list[dict[str, object]] = []
    for training_loss, _, step, loss, _, _, wer, mtrix in CARD:
        figures = report(mtrix, wer, loss).metrics()
        history.append({"loss": training_loss, "grad_norm": 1.0, "epoch": epoch_of(step), "step": step})
        timing = {"eval_runtime": 1.0, "eval_score": 0.5, "epoch": epoch_of(step), "step": step}
        history.append({f"eval_{key}": value for key, value in figures.items()} | timing)
    return training_rows(history)


def cells(table: str) -> list[list[str]]:
    """The cells of a Markdown table: its header, then its rows."""
    lines = [line.strip().strip("|").split("|") for line in table.splitlines()]
    return [[cell.strip() for cell in line] for line in (lines[0], *lines[2:])]
