from __future__ import annotations

import json

import numpy as np
import pytest

from wav2edge.evaluation.report import COLUMNS, ClassificationReport, Report, make_report
from wav2edge.evaluation.text_normalization import TextNormalization

LABELS = ("0", "1", "2", "3")


def draw(seed: int, *, clips: int = 97, truth_from: int = 4, predicted_from: int = 4) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(LABELS[:truth_from], clips)
    predicted = np.where(rng.random(clips) < 0.7, truth, rng.choice(LABELS[:predicted_from], clips))
    return truth.tolist(), predicted.tolist()


# A label without clips, one that is never predicted, and clips of which none is right.
DRAWS = {
    **{f"seed {seed}": draw(seed) for seed in range(4)},
    "a label without clips": draw(9, truth_from=3),
    "a label never predicted": draw(10, predicted_from=2),
    "one clip": (["2"], ["2"]),
    "all wrong": (["0", "1", "2"], ["1", "2", "0"]),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_figures_are_those_of_scikit_learn(name):
    metrics = pytest.importorskip("sklearn.metrics")
    truth, predicted = DRAWS[name]
    expected = metrics.classification_report(truth, predicted, labels=LABELS, output_dict=True, zero_division=0)
    accuracy = metrics.accuracy_score(truth, predicted)
    report = ClassificationReport.of(LABELS, truth, predicted)
    rows = report.rows()
    assert list(rows) == [*LABELS, "macro avg", "weighted avg"]
    for row, values in rows.items():
        assert values == pytest.approx([expected[row][column] for column in COLUMNS]), row
    assert report.accuracy == pytest.approx(accuracy)
    assert report.macro_f1 == pytest.approx(expected["macro avg"]["f1-score"])


@pytest.mark.parametrize("name", DRAWS)
def test_the_confusion_matrix_is_that_of_scikit_learn(name):
    metrics = pytest.importorskip("sklearn.metrics")
    truth, predicted = DRAWS[name]
    report = ClassificationReport.of(LABELS, truth, predicted)
    np.testing.assert_array_equal(report.confusion, metrics.confusion_matrix(truth, predicted, labels=LABELS))


def test_the_confusion_matrix_in_json_holds_the_labels_and_the_counts_per_true_label():
    report = make_report(labels=("no", "yes"), label_pairs=[("no", "yes"), ("no", "no"), ("no", "yes")])
    assert report.to_dict()["confusion_matrix"] == {"labels": ["no", "yes"], "counts": [[1, 2], [0, 0]]}
    assert "mtrix" not in json.dumps(report.to_dict()).replace("confusion_matrix", "")


def test_the_figures_stand_under_the_reference_cards_keys_in_its_order():
    report = make_report(
        labels=("0", "1"), label_pairs=[("0", "0"), ("1", "0")], transcription_pairs=[("a b", "a c")], loss=0.5
    )
    expected = ["loss"]
    expected += [f"{label}_{column}" for label in ("0", "1") for column in COLUMNS]
    expected += ["accuracy"]
    expected += [f"{average}_{column}" for average in ("macro avg", "weighted avg") for column in COLUMNS]
    expected += ["wer", "confusion_matrix"]
    assert list(report.metrics()) == expected
    assert report.metrics()["wer"] == 0.5
    assert list(report.to_dict())[-4:] == ["clips", "word_edits", "words", "text_normalization"]


def test_a_class_that_is_called_like_an_average_keeps_its_figures():
    labels = ("macro avg", "class macro avg", "weighted avg", "accuracy")
    report = make_report(labels=labels, label_pairs=[("macro avg", "macro avg"), ("class macro avg", "accuracy")])
    figures = report.metrics()
    assert list(report.classification.rows()) == [
        *("class macro avg", "class class macro avg", "class weighted avg", "accuracy"),
        *("macro avg", "weighted avg"),
    ]
    assert (figures["class macro avg_support"], figures["macro avg_support"]) == (1, 2)
    assert (figures["class macro avg_recall"], figures["macro avg_recall"], figures["accuracy"]) == (1.0, 0.25, 0.5)


def test_supports_are_whole_numbers():
    figures = make_report(labels=LABELS, label_pairs=list(zip(*draw(0), strict=True))).metrics()
    supports = [value for name, value in figures.items() if name.endswith("support")]
    assert len(supports) == 6
    assert [type(value) for value in supports] == [int] * 6


def test_the_report_survives_strict_json():
    report = make_report(labels=LABELS, label_pairs=[], transcription_pairs=[])
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["accuracy"] == 0.0


def test_a_head_that_was_not_evaluated_has_no_figures():
    assert make_report(transcription_pairs=[("a", "a")]).metrics() == {"wer": 0.0}
    assert "wer" not in make_report(labels=("x",), label_pairs=[("x", "x")]).metrics()


def test_the_table_shows_every_figure():
    report = make_report(
        labels=LABELS, label_pairs=list(zip(*draw(0), strict=True)), transcription_pairs=[("a b c", "a x")], loss=0.1349
    )
    table = report.table()
    for words in ("precision", "macro avg", "weighted avg", "true \\ predicted", "accuracy", "macro F1"):
        assert words in table
    assert "WER       0.6667   (2 of 3 words)" in table
    assert "loss      0.1349" in table
    assert table.splitlines()[-1] == "clips     97"


def test_an_empty_report_still_counts_its_clips():
    assert Report(clips=0).table() == "clips     0"


def test_references_and_hypotheses_are_normalised_and_the_report_says_how():
    pairs = [("Bei Jing.", "bei jing"), ("Shang, hai", "shang hang")]
    assert make_report(transcription_pairs=pairs).metrics()["wer"] == 1.0
    normalization = TextNormalization(lowercase=True, strip_punctuation=True)
    report = make_report(transcription_pairs=pairs, normalization=normalization)
    assert report.metrics()["wer"] == 0.25
    assert report.to_dict()["text_normalization"] == {"lowercase": True, "strip_punctuation": True}
    assert "text      lowercased, punctuation removed" in report.table()
