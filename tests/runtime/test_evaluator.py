from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wav2edge import AudioError, DataError, DeviceError, Result
from wav2edge.bundle.heads import ClassificationHead, CtcHead, Heads
from wav2edge.evaluation.dataset import Utterance
from wav2edge.evaluation.evaluator import choose_split, evaluate, evaluate_dataset
from wav2edge.evaluation.text_normalization import TextNormalization
from wav2edge.output.result import Word

CTC = CtcHead(output="logits", vocabulary=("", "|", "a"), blank_id=0)
CLASSES = ClassificationHead(output="class_logits", labels=("0", "1"))
JOINT = Heads(ctc=CTC, classification=CLASSES)


class Table:
    """Recognises clips by a table of transcripts and labels; other clips cannot be read."""

    def __init__(self, rows: dict[str, tuple[str | None, str | None]], heads: Heads = JOINT) -> None:
        self.heads, self.rows = heads, rows

    def __call__(self, source: Path, /) -> Result:
        if source.name not in self.rows:
            raise AudioError(f"{source}: no such file; check the path")
        text, label = self.rows[source.name]
        return Result(duration_s=1.0, text=text, scores=None if label is None else {label: 1.0})


def row(name: str, transcription: str | None = None, label: str | None = None, split: str | None = None) -> Utterance:
    return Utterance(path=Path(name), where=f"table:{name}", transcription=transcription, label=label, split=split)


def test_both_heads_are_counted():
    table = Table({"a": ("x y", "0"), "b": ("x", "0"), "c": ("", "1")})
    found = evaluate(table, [row("a", "x y", "0"), row("b", "x z", "1"), row("c", "w", "1")])
    assert found.report.classification.confusion.tolist() == [[1, 0], [1, 1]]
    assert (found.report.word_errors.edits, found.report.word_errors.words) == (2, 5)
    assert [utterance.path.name for utterance, _ in found.results] == ["a", "b", "c"]
    assert (found.report.clips, found.failures) == (3, ())


def test_rejected_clips_are_in_no_figure_and_lower_the_coverage():
    class Unsure(Table):
        def __call__(self, source: Path, /) -> Result:
            result = super().__call__(source)
            return result.as_rejected() if result.text == "unsure" else result

    table = Unsure({"a": ("x y", "0"), "b": ("unsure", "0"), "c": ("w", "1"), "d": ("z", "0")})
    found = evaluate(table, [row("a", "x y", "0"), row("b", "x z", "1"), row("c", "w", "1"), row("d", "w", "1")])
    assert (found.rejected, found.coverage, found.report.clips) == (1, 0.75, 3)
    assert (found.report.word_errors.edits, found.report.word_errors.words) == (1, 4)
    assert found.report.classification.accuracy == pytest.approx(2 / 3)
    assert (found.to_dict()["rejected"], found.to_dict()["coverage"]) == (1, 0.75)
    assert "rejected  1 of 4 clips, which no figure includes (coverage 0.7500)" in found.table()
    assert "coverage" not in evaluate(table, [row("a", "x y", "0")]).to_dict()


def test_word_starts_are_judged_where_a_row_tells_them():
    class Timed(Table):
        def __call__(self, source: Path, /) -> Result:
            words = (Word(text="x", start_s=0.3, end_s=0.4, confidence=1.0),)
            return replace(super().__call__(source), words=words)

    told = replace(row("a", "x"), word_starts_s=(0.25,))
    found = evaluate(Timed({"a": ("x", None), "b": ("x", None)}), [told, row("b", "x")])
    assert found.report.word_times.words == 1
    assert found.report.word_times.median_s == pytest.approx(0.05)


def test_a_clip_that_cannot_be_read_is_left_out_and_named():
    found = evaluate(Table({"a": ("x", "0")}), [row("gone", "x", "1"), row("a", "x", "0")])
    assert [str(failure) for failure in found.failures] == ["table:gone: gone: no such file; check the path"]
    assert (found.report.clips, found.report.classification.accuracy) == (1, 1.0)


def test_every_row_advances_the_progress():
    steps = []
    evaluate(Table({"a": ("x", "0")}), [row("a", "x"), row("gone", "x")], advance=lambda: steps.append(1))
    assert len(steps) == 2


@pytest.mark.parametrize(
    ("heads", "rows", "keys"),
    [
        (JOINT, [row("a", "x")], {"wer"}),
        (JOINT, [row("a", None, "0")], {"accuracy", "confusion_matrix"}),
        (Heads(ctc=CTC), [row("a", "x", "0")], {"wer"}),
        (Heads(classification=CLASSES), [row("a", "x", "0")], {"accuracy", "confusion_matrix"}),
    ],
)
def test_only_what_both_the_model_and_the_data_have_is_reported(heads, rows, keys):
    metrics = evaluate(Table({"a": ("x", "0")}, heads), rows).report.metrics()
    assert {"wer", "accuracy", "confusion_matrix"} & set(metrics) == keys


def test_a_row_with_an_unknown_label_fails_and_is_in_no_figure():
    table = Table({"a": ("x", "0"), "b": ("y", "0")})
    found = evaluate(table, [row("a", "x", "0"), row("b", "x", "7")])
    assert [str(failure) for failure in found.failures] == [
        "table:b: label '7' is unknown to the model, which has 0, 1"
    ]
    assert (found.report.clips, found.report.classification.accuracy, found.report.word_errors.rate) == (1, 1.0, 0.0)
    assert found.to_dict()["failures"] == [str(found.failures[0])]
    assert found.table().splitlines()[-1] == "failed    1 of 2 rows"


def test_labels_do_not_matter_to_a_model_without_classes():
    found = evaluate(Table({"a": ("x", None)}, Heads(ctc=CTC)), [row("a", "x", "7")])
    assert (found.failures, found.report.word_errors.rate) == ((), 0.0)


def test_where_every_row_fails_there_is_no_report():
    with pytest.raises(DataError, match=r"^all 2 rows failed; the first: table:gone: gone: no such file"):
        evaluate(Table({}), [row("gone", "x"), row("b", "x", "7")])


def test_a_device_that_fails_on_every_row_is_a_device_error():
    class Broken(Table):
        def __call__(self, source: Path, /) -> Result:
            raise DeviceError("the device failed")

    with pytest.raises(DeviceError, match=r"^table:a: the device failed$"):
        evaluate(Broken({}), [row("a", "x")])


@pytest.mark.parametrize(
    ("normalization", "share"),
    [
        (None, "3 of 4"),
        (TextNormalization(lowercase=True), "1 of 2"),
        (TextNormalization(lowercase=True, strip_punctuation=True), None),
    ],
)
def test_edits_that_are_only_case_or_punctuation_are_remarked(normalization, share):
    table = Table({"a": ("bei jing", None), "b": ("shang hang", None)}, Heads(ctc=CTC))
    found = evaluate(table, [row("a", "Bei Jing."), row("b", "Shang hai")], normalization=normalization)
    remark = f"word edits that are differences in case or punctuation only: {share};"
    assert [each.partition(" see ")[0] for each in found.remarks] == ([] if share is None else [remark])


@pytest.mark.parametrize("heads", [Heads(ctc=CTC), Heads(classification=CLASSES), JOINT])
def test_data_without_anything_to_compare_is_refused(heads):
    with pytest.raises(DataError, match="nothing to compare: the model has"):
        evaluate(Table({}, heads), [row("a")])


@pytest.mark.parametrize(
    ("splits", "asked", "chosen"),
    [
        (["train", "validation", "test"], None, [2]),
        (["train", "validation"], None, [1]),
        (["train", None], None, [0, 1]),
        (["train", "test"], "train", [0]),
        (["train", "validation"], "dev", [1]),
    ],
)
def test_the_rows_are_those_of_the_test_split_or_of_the_closest_to_it(splits, asked, chosen):
    rows = [row(str(number), split=split) for number, split in enumerate(splits)]
    assert [int(each.path.name) for each in choose_split(rows, asked)] == chosen


def test_a_data_set_on_disk_is_read_and_evaluated(engine, save, second, tmp_path):
    expected = engine(save("a.wav", second, subtype="FLOAT"))
    (tmp_path / "metadata.csv").write_text(f"file_name,transcription,label\na.wav,{expected.text},{expected.label}\n")
    metrics = evaluate_dataset(engine, tmp_path).report.metrics()
    assert (metrics["accuracy"], metrics["wer"]) == (1.0, 0.0)
