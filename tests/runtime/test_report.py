from __future__ import annotations

import json

import numpy as np
import pytest

from wav2edge.evaluation.report import COLUMNS, ClassificationReport, Report, make_report

LABELS = ("0", "1", "2", "3")


def draw(seed: int, *, clips: int = 97, truth_from: int = 4, heard_from: int = 4) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(LABELS[:truth_from], clips)
    heard = np.where(rng.random(clips) < 0.7, truth, rng.choice(LABELS[:heard_from], clips))
    return truth.tolist(), heard.tolist()


# A label that is never said, one that is never heard, and clips of which none is right.
DRAWS = {
    **{f"seed {seed}": draw(seed) for seed in range(4)},
    "a label without clips": draw(9, truth_from=3),
    "a label never heard": draw(10, heard_from=2),
    "one clip": (["2"], ["2"]),
    "all wrong": (["0", "1", "2"], ["1", "2", "0"]),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_report_is_that_of_scikit_learn(name):
    metrics = pytest.importorskip("sklearn.metrics")
    truth, heard = DRAWS[name]
    expected = metrics.classification_report(truth, heard, labels=LABELS, output_dict=True, zero_division=0)
    accuracy = metrics.accuracy_score(truth, heard)
    report = ClassificationReport.of(LABELS, truth, heard)
    rows = report.rows()
    assert list(rows) == [*LABELS, "macro avg", "weighted avg"]
    for row, values in rows.items():
        assert values == pytest.approx([expected[row][column] for column in COLUMNS]), row
    assert report.accuracy == pytest.approx(accuracy)
    assert report.macro_f1 == pytest.approx(expected["macro avg"]["f1-score"])


@pytest.mark.parametrize("name", DRAWS)
def test_the_confusion_matrix_is_that_of_scikit_learn(name):
    metrics = pytest.importorskip("sklearn.metrics")
    truth, heard = DRAWS[name]
    report = ClassificationReport.of(LABELS, truth, heard)
    np.testing.assert_array_equal(report.confusion, metrics.confusion_matrix(truth, heard, labels=LABELS))


def test_the_matrix_is_written_as_the_reference_card_writes_it():
    truth, heard = ["0", "0", "1", "3"], ["0", "1", "1", "3"]
    mtrix = ClassificationReport.of(LABELS, truth, heard).mtrix()
    assert mtrix == [[0, 1, 2, 3], [0, 1, 1, 0, 0], [1, 0, 1, 0, 0], [2, 0, 0, 0, 0], [3, 0, 0, 0, 1]]
    assert json.dumps(mtrix[0]) == "[0, 1, 2, 3]"


def test_labels_that_are_words_stay_words_in_the_matrix():
    assert ClassificationReport.of(("no", "yes"), ["no"], ["yes"]).mtrix() == [
        ["no", "yes"],
        ["no", 0, 1],
        ["yes", 0, 0],
    ]


def test_the_figures_stand_under_the_reference_cards_keys_in_its_order():
    report = make_report(
        labels=("0", "1"), label_pairs=[("0", "0"), ("1", "0")], transcription_pairs=[("a b", "a c")], loss=0.5
    )
    expected = ["loss"]
    expected += [f"{label}_{column}" for label in ("0", "1") for column in COLUMNS]
    expected += ["accuracy"]
    expected += [f"{average}_{column}" for average in ("macro avg", "weighted avg") for column in COLUMNS]
    expected += ["wer", "mtrix"]
    assert list(report.metrics()) == expected
    assert report.metrics()["wer"] == 0.5
    assert list(report.to_dict())[-3:] == ["clips", "word_edits", "words"]


def test_supports_are_whole_numbers():
    figures = make_report(labels=LABELS, label_pairs=list(zip(*draw(0), strict=True))).metrics()
    supports = [value for name, value in figures.items() if name.endswith("support")]
    assert len(supports) == 6
    assert [type(value) for value in supports] == [int] * 6


def test_the_report_survives_strict_json():
    report = make_report(labels=LABELS, label_pairs=[], transcription_pairs=[])
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["accuracy"] == 0.0


def test_a_head_that_was_not_evaluated_leaves_no_trace():
    assert make_report(transcription_pairs=[("a", "a")]).metrics() == {"wer": 0.0}
    assert "wer" not in make_report(labels=("x",), label_pairs=[("x", "x")]).metrics()


def test_the_table_holds_every_figure_a_person_looks_for():
    report = make_report(
        labels=LABELS, label_pairs=list(zip(*draw(0), strict=True)), transcription_pairs=[("a b c", "a x")], loss=0.1349
    )
    table = report.table()
    for words in ("precision", "macro avg", "weighted avg", "true \\ heard", "accuracy", "macro F1"):
        assert words in table
    assert "WER       0.6667   (2 of 3 words)" in table
    assert "loss      0.1349" in table
    assert table.splitlines()[-1] == "clips     97"


def test_an_empty_report_still_counts_its_clips():
    assert Report(clips=0).table() == "clips     0"
