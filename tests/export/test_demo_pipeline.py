"""The demo's own bookkeeping: what it may empty, what it shows, and when it admits that it fell short."""

import numpy as np
import pytest

from wav2edge.cli import main
from wav2edge.evaluation.rates import WordErrors
from wav2edge.evaluation.report import ClassificationReport, Report
from wav2edge_export.demo.reference_card import REFERENCE, beside_reference, shortfalls
from wav2edge_train.reporting.training_card import card_figures


def report(accuracy_of_100=100, edits=0):
    confusion = np.array([[accuracy_of_100, 100 - accuracy_of_100], [0, 0]])
    return Report(
        clips=100,
        classification=ClassificationReport(labels=("0", "1"), confusion=confusion),
        word_errors=WordErrors(edits=edits, words=1000),
    )


def test_the_figures_of_the_reference_card_follow_from_its_confusion_matrix_and_its_word_errors():
    figures = card_figures(REFERENCE.metrics())
    assert round(figures["accuracy"], 4) == 0.9897
    assert round(figures["wer"], 4) == 0.2258
    assert round(figures["macro avg_f1-score"], 4) == 0.9912
    assert figures["mtrix"] == [[0, 1, 2, 3], [0, 26, 0, 0, 0], [1, 0, 30, 1, 0], [2, 0, 0, 26, 0], [3, 0, 0, 0, 14]]


def test_the_demos_figures_stand_next_to_those_of_the_reference_card():
    rows = {line.split("  ")[0].strip(): line for line in beside_reference(REFERENCE).splitlines()}
    assert rows["wer"].split()[-2:] == ["0.2258", "0.2258"]
    assert rows["3_support"].split()[-2:] == ["14", "14"]


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (report(), []),
        (report(accuracy_of_100=95, edits=100), []),
        (report(accuracy_of_100=94), ["accuracy below 0.95"]),
        (report(edits=101), ["WER above 0.1"]),
        (Report(clips=0), ["accuracy below 0.95", "WER above 0.1"]),
    ],
)
def test_a_demo_that_falls_short_of_its_bar_says_so(found, missed):
    assert list(shortfalls(found, least_accuracy=0.95, most_wer=0.10)) == missed


def test_the_demo_never_empties_a_folder_it_did_not_make(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "was not made by a demo" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
