from __future__ import annotations

from pathlib import Path

import pytest

from wav2edge import AudioError, DataError, Result
from wav2edge.bundle.heads import ClassificationHead, CtcHead, Heads
from wav2edge.evaluation.dataset import Utterance
from wav2edge.evaluation.evaluator import choose_split, evaluate, evaluate_dataset

CTC = CtcHead(output="logits", vocabulary=("", "|", "a"), blank_id=0)
CLASSES = ClassificationHead(output="class_logits", labels=("0", "1"))
JOINT = Heads(ctc=CTC, classification=CLASSES)


class Parrot:
    """Answers from a table; what the table lacks cannot be heard."""

    def __init__(self, answers: dict[str, tuple[str | None, str | None]], heads: Heads = JOINT) -> None:
        self.heads, self.answers = heads, answers

    def __call__(self, source: Path, /) -> Result:
        if source.name not in self.answers:
            raise AudioError(f"{source}: no such file; check the path")
        text, label = self.answers[source.name]
        return Result(duration_s=1.0, text=text, scores=None if label is None else {label: 1.0})


def row(name: str, transcription: str | None = None, label: str | None = None, split: str | None = None) -> Utterance:
    return Utterance(path=Path(name), where=f"table:{name}", transcription=transcription, label=label, split=split)


def test_both_heads_are_counted():
    parrot = Parrot({"a": ("x y", "0"), "b": ("x", "0"), "c": ("", "1")})
    found = evaluate(parrot, [row("a", "x y", "0"), row("b", "x z", "1"), row("c", "w", "1")])
    assert found.report.classification.confusion.tolist() == [[1, 0], [1, 1]]
    assert (found.report.word_errors.edits, found.report.word_errors.words) == (2, 5)
    assert [utterance.path.name for utterance, _ in found.answers] == ["a", "b", "c"]
    assert (found.report.clips, found.failures) == (3, ())


def test_a_clip_that_cannot_be_heard_is_left_out_and_named():
    found = evaluate(Parrot({"a": ("x", "0")}), [row("gone", "x", "1"), row("a", "x", "0")])
    assert [str(failure) for failure in found.failures] == ["table:gone: gone: no such file; check the path"]
    assert (found.report.clips, found.report.classification.accuracy) == (1, 1.0)


def test_every_clip_advances_the_progress_whether_heard_or_not():
    steps = []
    evaluate(Parrot({"a": ("x", "0")}), [row("a", "x"), row("gone", "x")], advance=lambda: steps.append(1))
    assert len(steps) == 2


@pytest.mark.parametrize(
    ("heads", "rows", "keys"),
    [
        (JOINT, [row("a", "x")], {"wer"}),
        (JOINT, [row("a", None, "0")], {"accuracy", "mtrix"}),
        (Heads(ctc=CTC), [row("a", "x", "0")], {"wer"}),
        (Heads(classification=CLASSES), [row("a", "x", "0")], {"accuracy", "mtrix"}),
    ],
)
def test_only_what_both_the_model_and_the_data_have_is_reported(heads, rows, keys):
    metrics = evaluate(Parrot({"a": ("x", "0")}, heads), rows).report.metrics()
    assert {"wer", "accuracy", "mtrix"} & set(metrics) == keys


def test_an_unknown_label_is_refused_with_its_row():
    with pytest.raises(DataError, match=r"^table:b: label '7' is unknown to the model, which has 0, 1$"):
        evaluate(Parrot({"a": ("x", "0")}), [row("a", "x", "0"), row("b", "x", "7")])


@pytest.mark.parametrize("heads", [Heads(ctc=CTC), Heads(classification=CLASSES), JOINT])
def test_data_without_anything_to_compare_is_refused(heads):
    with pytest.raises(DataError, match="nothing to compare: the model answers"):
        evaluate(Parrot({}, heads), [row("a")])


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
def test_the_rows_to_judge_on_are_the_test_split_or_what_comes_closest(splits, asked, chosen):
    rows = [row(str(number), split=split) for number, split in enumerate(splits)]
    assert [int(each.path.name) for each in choose_split(rows, asked)] == chosen


def test_a_data_set_on_disk_is_read_and_judged(engine, save, second, tmp_path):
    answer = engine(save("a.wav", second, subtype="FLOAT"))
    (tmp_path / "metadata.csv").write_text(f"file_name,transcription,label\na.wav,{answer.text},{answer.label}\n")
    metrics = evaluate_dataset(engine, tmp_path).report.metrics()
    assert (metrics["accuracy"], metrics["wer"]) == (1.0, 0.0)
