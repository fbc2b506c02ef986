"""The card that a training run writes: what the Hub reads, hyper-parameters, the confusion matrix, and the charts."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from matplotlib.font_manager import fontManager
from matplotlib.image import imread

from tests.train.reference_run import FINAL, SECOND_CLASS_ONE_OFF, WORDS, cells, report
from wav2edge.evaluation.rates import WordErrors
from wav2edge.evaluation.report import ClassificationReport, Report
from wav2edge_train.data.clips import ClipDataset, Targets
from wav2edge_train.data.corpus import Corpus
from wav2edge_train.loop.training_run import Run
from wav2edge_train.model.base_model import BaseModel
from wav2edge_train.reporting import run_report
from wav2edge_train.reporting.card_metadata import license_of
from wav2edge_train.reporting.charts import write_charts
from wav2edge_train.reporting.run_report import TrainingOutcome, write_report_and_card
from wav2edge_train.reporting.training_card import Card
from wav2edge_train.reporting.training_rows import TrainingRow
from wav2edge_train.training_options import TrainingOptions


def card_text(rows: tuple[TrainingRow, ...], **fields: Any) -> str:
    return Card(
        **{
            "name": "whistles",
            "base": "facebook/wav2vec2-large-xlsr-53",
            "pretrained": True,
            "license_name": "apache-2.0",
            "data": "corpus",
            "clips": {"training": 388, "evaluation": 97},
            "options": TrainingOptions(),
            "precision": "fp16",
            "rows": rows,
            "final": report(SECOND_CLASS_ONE_OFF, 194 / WORDS, 0.1349),
            **fields,
        }
    ).text()


def test_the_hub_s_own_reader_finds_the_figures_in_the_metadata_block(rows: tuple[TrainingRow, ...]) -> None:
    data = ModelCard(card_text(rows)).data
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "apache-2.0",
        "transformers",
        "automatic-speech-recognition",
    )
    assert data.base_model == "facebook/wav2vec2-large-xlsr-53"
    assert data.metrics == ["accuracy", "f1", "precision", "recall", "wer"]
    found = {result.metric_type: (result.task_type, result.metric_value) for result in data.eval_results}
    assert found == {
        "accuracy": ("audio-classification", 0.9897),
        "f1": ("audio-classification", 0.9912),
        "precision": ("audio-classification", 0.9907),
        "recall": ("audio-classification", 0.9919),
        "wer": ("automatic-speech-recognition", 0.2258),
    }
    for result in data.eval_results:
        assert (result.dataset_type, result.dataset_name, result.dataset_split) == (
            "audiofolder",
            "corpus",
            "validation",
        )


@pytest.mark.parametrize(
    ("card", "found"),
    [
        ("---\nlicense: mit\n---\n# Base", "mit"),
        ("# Base, and no metadata", None),
        ("---\nlicense: [mit, apache-2.0]\n---\n", None),
        ("---\nlicense: {broken\n---\n", None),
        (None, None),
    ],
)
def test_the_license_is_that_of_the_card_of_the_base_and_is_left_open_where_that_names_none(
    rows: tuple[TrainingRow, ...], tmp_path: Path, card: str | None, found: str | None
) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert license_of(str(tmp_path)) == found
    assert ModelCard(card_text(rows, license_name=found)).data.license == found


def test_a_model_from_random_weights_names_no_base(rows: tuple[TrainingRow, ...]) -> None:
    assert ModelCard(card_text(rows, base="small", pretrained=False)).data.base_model is None
    assert ModelCard(card_text(rows, base="/home/me/xlsr")).data.base_model is None


def test_the_card_has_figures_and_hyper_parameters_in_the_form_of_the_reference_card(
    rows: tuple[TrainingRow, ...],
) -> None:
    card = card_text(rows)
    assert FINAL in card
    hyperparameters = card.split("during training:\n")[1].split("\n\n")[0].splitlines()
    assert hyperparameters[:11] == [
        "- learning_rate: 0.0003",
        "- train_batch_size: 8",
        "- eval_batch_size: 8",
        "- seed: 42",
        "- gradient_accumulation_steps: 2",
        "- total_train_batch_size: 16",
        "- optimizer: Adam with betas=(0.9,0.999) and epsilon=1e-08",
        "- lr_scheduler_type: linear",
        "- lr_scheduler_warmup_steps: 200",
        "- num_epochs: 70",
        "- mixed_precision_training: Native AMP",
    ]
    assert "[facebook/wav2vec2-large-xlsr-53](https://huggingface.co/facebook/wav2vec2-large-xlsr-53)" in card
    assert "patience" not in card
    chosen = TrainingOptions(class_balance="balanced", freeze_layers=6, patience=3)
    assert "- class_balance: balanced\n- freeze_layers: 6\n- patience: 3\n" in card_text(rows, options=chosen)
    assert "- num_devices: 2\n- gradient_accumulation_steps: 2\n- total_train_batch_size: 32" in card_text(
        rows, devices=2
    )


def test_the_confusion_matrix_is_a_table_that_can_be_read(rows: tuple[TrainingRow, ...]) -> None:
    lines = card_text(rows).split("### Confusion matrix\n\n")[1].split("\n\n")[0].splitlines()
    assert cells("\n".join(lines)) == [
        ["true \\ predicted", "0", "1", "2", "3"],
        ["**0**", "26", "0", "0", "0"],
        ["**1**", "0", "30", "1", "0"],
        ["**2**", "0", "0", "26", "0"],
        ["**3**", "0", "0", "0", "14"],
    ]
    assert len(set(map(len, lines))) == 1


def test_the_card_names_the_chosen_step_and_shows_the_charts(rows: tuple[TrainingRow, ...]) -> None:
    card = card_text(rows, chosen_step=1600, charts=("loss.png", "confusion.png"))
    assert "The weights are those of step 1600" in card
    assert "![loss](loss.png)" in card
    assert "![confusion](confusion.png)" in card


def test_only_charts_with_figures_are_drawn(rows: tuple[TrainingRow, ...], tmp_path: Path) -> None:
    logged: list[str] = []
    drawn = write_charts(tmp_path, rows, report(SECOND_CLASS_ONE_OFF, 0.2, 0.1), logged.append)
    assert drawn == ("loss.png", "accuracy.png", "confusion.png")
    for name in drawn:
        pixels = imread(tmp_path / name)
        assert min(pixels.shape[:2]) >= 400
        assert pixels.std() > 0.02, f"{name} is blank"
    only_transcribed = Report(clips=1, word_errors=WordErrors(edits=3, words=2))
    assert write_charts(tmp_path, [], only_transcribed, logged.append) == ()
    assert logged == []


def test_classes_of_any_name_are_drawn_and_letters_without_a_font_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fontManager, "ttflist", [font for font in fontManager.ttflist if font.name == "DejaVu Sans"])
    names = ("$5_{", "a$\\frac$", "猫", "n\nl", "x" * 300)
    every = Report(clips=5, classification=ClassificationReport.of(names, names, names))
    logged: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert write_charts(tmp_path, [], every, logged.append) == ("confusion.png",)
    (line,) = logged
    assert line.startswith("warning: the charts lack 猫, for no installed font has it")


def test_charts_that_cannot_be_drawn_cost_neither_report_nor_card(
    rows: tuple[TrainingRow, ...],
    base: BaseModel,
    targets: Targets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("no chart")

    monkeypatch.setattr(run_report, "write_charts", fail)
    clips = ClipDataset([], base.geometry)
    corpus = Corpus(targets=targets, training=clips, validation=clips, transcriptions=())
    run = Run(base=base, corpus=corpus, options=TrainingOptions())
    outcome = TrainingOutcome(folder=tmp_path, report=report(SECOND_CLASS_ONE_OFF, 0.2, 0.1), rows=rows)
    with pytest.raises(RuntimeError, match="no chart"):
        write_report_and_card(outcome, run, "corpus", print)
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "README.md"}
