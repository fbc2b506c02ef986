"""The reference card, model_syllable_onSet4, reproduced from its confusion matrices and word counts."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard
from matplotlib.image import imread
from sklearn.metrics import classification_report
from transformers.modelcard import make_markdown_table

from wav2edge.evaluation.report import ClassificationReport, Report
from wav2edge.evaluation.wer import WordErrors
from wav2edge_train.reporting.card_metadata import license_of
from wav2edge_train.reporting.charts import write_charts
from wav2edge_train.reporting.training_card import Card, card_figures, figure_lines, rounded, title, training_table
from wav2edge_train.reporting.training_rows import TrainingRow, training_rows
from wav2edge_train.training_options import TrainingOptions

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
LABEL_COLUMNS = [f"{label} {part}" for label in "0123" for part in ("Precision", "Recall", "F1-score", "Support")]
AVERAGE_COLUMNS = [
    f"{name} avg {part}" for name in ("Macro", "Weighted") for part in ("Precision", "Recall", "F1-score", "Support")
]
COLUMNS = ["Training Loss", "Epoch", "Step", "Validation Loss", *LABEL_COLUMNS, "Accuracy", *AVERAGE_COLUMNS]
COLUMNS += ["Wer", "Mtrix"]

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


@pytest.fixture(scope="module")
def rows() -> tuple[TrainingRow, ...]:
    """The rows as they come out of a Trainer's log of that run."""
    history: list[dict[str, object]] = []
    for training_loss, _, step, loss, _, _, wer, mtrix in CARD:
        figures = report(mtrix, wer, loss).metrics()
        history.append({"loss": training_loss, "grad_norm": 1.0, "epoch": epoch_of(step), "step": step})
        timing = {"eval_runtime": 1.0, "eval_score": 0.5, "epoch": epoch_of(step), "step": step}
        history.append({f"eval_{key}": value for key, value in figures.items()} | timing)
    return training_rows(history)


def cells(table: str) -> list[list[str]]:
    lines = [line.strip().strip("|").split("|") for line in table.splitlines()]
    return [[cell.strip() for cell in line] for line in (lines[0], *lines[2:])]


def test_the_final_figures_are_the_cards_in_name_order_and_rounding() -> None:
    assert figure_lines(report(SECOND_CLASS_ONE_OFF, 194 / WORDS, 0.13491)) == FINAL


def test_the_table_has_the_cards_columns_in_its_order(rows: tuple[TrainingRow, ...]) -> None:
    header, *body = cells(training_table(rows))
    assert header == COLUMNS
    assert len(body) == 16


def test_each_row_of_the_table_is_the_cards(rows: tuple[TrainingRow, ...]) -> None:
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


def test_every_wer_of_the_card_is_a_count_over_859_words() -> None:
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
def test_figures_are_rounded_as_the_card_rounds(value: object, written: str) -> None:
    assert rounded(value) == written


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
def test_the_license_is_that_of_the_bases_card_and_is_left_open_where_that_names_none(
    rows: tuple[TrainingRow, ...], tmp_path: Path, card: str | None, found: str | None
) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert license_of(str(tmp_path)) == found
    assert ModelCard(card_text(rows, license_name=found)).data.license == found


def test_a_model_from_random_weights_names_no_base(rows: tuple[TrainingRow, ...]) -> None:
    assert ModelCard(card_text(rows, base="small", pretrained=False)).data.base_model is None
    assert ModelCard(card_text(rows, base="/home/me/xlsr")).data.base_model is None


def test_the_card_has_figures_and_hyper_parameters_in_the_cards_form(rows: tuple[TrainingRow, ...]) -> None:
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
    drawn = write_charts(tmp_path, rows, report(SECOND_CLASS_ONE_OFF, 0.2, 0.1))
    assert drawn == ("loss.png", "accuracy.png", "confusion.png")
    for name in drawn:
        pixels = imread(tmp_path / name)
        assert min(pixels.shape[:2]) >= 400
        assert pixels.std() > 0.02, f"{name} is blank"
    only_transcribed = Report(clips=1, word_errors=WordErrors(edits=3, words=2))
    assert write_charts(tmp_path, [], only_transcribed) == ()


def test_a_run_without_evaluations_has_a_line_instead_of_a_table() -> None:
    assert training_table([]) == "No evaluation ran."
