"""The reference card, model_syllable_onSet4, its figures reproduced from its confusion matrices and word counts."""

from __future__ import annotations

import ast

import pytest
from sklearn.metrics import classification_report
from transformers.modelcard import make_markdown_table

from tests.train.reference_run import CARD, FINAL, SECOND_CLASS_ONE_OFF, WORDS, cells, epoch_of, report
from wav2edge_train.reporting.training_card import card_figures, figure_lines, rounded, title, training_table
from wav2edge_train.reporting.training_rows import TrainingRow

LABEL_COLUMNS = [f"{label} {part}" for label in "0123" for part in ("Precision", "Recall", "F1-score", "Support")]
AVERAGE_COLUMNS = [
    f"{name} avg {part}" for name in ("Macro", "Weighted") for part in ("Precision", "Recall", "F1-score", "Support")
]
COLUMNS = ["Training Loss", "Epoch", "Step", "Validation Loss", *LABEL_COLUMNS, "Accuracy", *AVERAGE_COLUMNS]
COLUMNS += ["Wer", "Mtrix"]


def test_the_final_figures_are_those_of_the_reference_card_in_name_order_and_rounding() -> None:
    assert figure_lines(report(SECOND_CLASS_ONE_OFF, 194 / WORDS, 0.13491)) == FINAL


def test_the_table_has_the_columns_of_the_reference_card_in_its_order(rows: tuple[TrainingRow, ...]) -> None:
    header, *body = cells(training_table(rows))
    assert header == COLUMNS
    assert len(body) == 16


def test_each_row_of_the_table_is_that_of_the_reference_card(rows: tuple[TrainingRow, ...]) -> None:
    header, *body = cells(training_table(rows))
    for expected, row in zip(CARD, body, strict=True):
        training_loss, epoch, step, loss, accuracy, macro_f1, wer, mtrix = expected
        found = dict(zip(header, row, strict=True))
        assert found["Training Loss"] == str(training_loss)
        assert found["Epoch"] == str(epoch)
        assert found["Step"] == str(step)
        assert found["Validation Loss"] == str(loss)
        assert float(found["Accuracy"]) == accuracy
        assert float(found["Macro avg F1-score"]) == macro_f1
        assert float(found["Wer"]) == wer
        assert found["Mtrix"] == mtrix
        assert [found[f"{label} Support"] for label in "0123"] == ["26", "31", "26", "14"]


def test_the_epochs_come_from_49_batches_in_pairs() -> None:
    assert [round(epoch_of(step), 2) for _, _, step, *_ in CARD] == [epoch for _, epoch, *_ in CARD]


def test_every_wer_of_the_reference_card_is_a_count_over_859_words() -> None:
    for *_, wer, _ in CARD:
        assert round(round(wer * WORDS) / WORDS, 4) == wer


def test_figures_are_those_of_scikit_learn() -> None:
    for *_, loss, _, _, wer, mtrix in CARD:
        confusion = [row[1:] for row in ast.literal_eval(mtrix)[1:]]
        pairs = [
            (true, predicted) for true in range(4) for predicted in range(4) for _ in range(confusion[true][predicted])
        ]
        truth, predicted = zip(*pairs, strict=True)
        theirs = classification_report(truth, predicted, labels=range(4), output_dict=True, zero_division=0)
        accuracy = theirs.pop("accuracy")
        ours = report(mtrix, wer, loss).metrics()
        assert ours["accuracy"] == pytest.approx(accuracy)
        for row, figures in theirs.items():
            for column, value in figures.items():
                assert ours[f"{row}_{column}"] == pytest.approx(value), (row, column)


def test_the_table_holds_what_transformers_would_put_there(rows: tuple[TrainingRow, ...]) -> None:
    def line(row: TrainingRow) -> dict[str, object]:
        leading = dict(
            zip(COLUMNS, (row.training_loss, round(row.epoch, 2), row.step, row.figures["loss"]), strict=False)
        )
        return leading | {title(key): value for key, value in card_figures(row.figures).items() if key != "loss"}

    theirs = make_markdown_table([line(row) for row in rows])
    assert cells(training_table(rows)) == cells(theirs)


def test_the_confusion_matrix_is_written_as_the_reference_card_writes_it() -> None:
    numbers = {"labels": ["0", "1"], "counts": [[2, 1], [0, 4]]}
    words = {"labels": ["no", "yes"], "counts": [[0, 1], [0, 0]]}
    assert card_figures({"confusion_matrix": numbers}) == {"mtrix": [[0, 1], [0, 2, 1], [1, 0, 4]]}
    assert card_figures({"confusion_matrix": words}) == {"mtrix": [["no", "yes"], ["no", 0, 1], ["yes", 0, 0]]}
    assert card_figures({"wer": 0.5}) == {"wer": 0.5}


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.5, "0.5"), (0.96, "0.96"), (26 / 27, "0.9630"), (97, "97"), (1.0, "1.0"), ([[0, 1]], "[[0, 1]]")],
)
def test_figures_are_rounded_as_the_reference_card_rounds(value: object, written: str) -> None:
    assert rounded(value) == written


def test_a_run_without_evaluations_has_a_line_instead_of_a_table() -> None:
    assert training_table([]) == "No evaluation ran."
