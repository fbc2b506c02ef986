"""The checks of a whole data set: every problem is reported, and transcripts are normalised by option."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from wav2edge.errors import DataError
from wav2edge_train.data.corpus import LISTED, Corpus, prepare_corpus
from wav2edge_train.data.data_warnings import spelling_warnings
from wav2edge_train.model.base_model import BaseModel
from wav2edge_train.training import dry_run, train
from wav2edge_train.training_options import TrainingOptions

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

CorpusMaker = Callable[..., Path]
OptionsMaker = Callable[..., TrainingOptions]
SPELLED = [(split, text, label) for split in ("train", "validation") for text, label in (("ab", "0"), ("b a", "1"))]


def respell(folder: Path, **texts: str) -> Path:
    """Replace transcriptions, without times of words; ``a="X"`` writes X for the transcription that is exactly a."""
    path = folder / "metadata.csv"
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [[name, texts.get(text.replace(" ", "_"), text), *rest[:2]] for name, text, *rest in rows]
    path.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    return folder


def prepared(folder: Path, base: BaseModel, options: TrainingOptions) -> tuple[Corpus, list[str]]:
    logged: list[str] = []
    return prepare_corpus(folder, base, options, logged.append), logged


def test_a_dry_run_lists_every_row_that_cannot_be_used(
    make_corpus: CorpusMaker, base: BaseModel, options: OptionsMaker
) -> None:
    rows = [("train", "ab", "0"), ("train", "", "1"), ("train", "ba", "1"), ("train", "c ab", "1")]
    folder = respell(make_corpus([*rows, ("validation", "ab", "7")]), c_ab="c|ab")
    (folder / "2.wav").unlink()
    logged: list[str] = []
    with pytest.raises(DataError, match=r"4 rows cannot be used, the first is .*metadata\.csv:5") as caught:
        dry_run(folder, base=base, options=options(), log=logged.append)
    assert "\n" not in str(caught.value)
    assert [line.split("metadata.csv:")[1] for line in logged] == [
        "5: the transcription holds '|', which separates words; remove it",
        "3: no transcription; write one, remove the row, or train with --heads classification",
        next(line for line in logged if "2.wav" in line).split("metadata.csv:")[1],
        "6: label '7', which the training split does not have; known are 0, 1: add clips of it to training, or remove"
        " the row",
    ]


def test_of_very_many_problems_the_first_are_listed_and_the_others_counted(
    make_corpus: CorpusMaker, base: BaseModel, options: OptionsMaker
) -> None:
    rows = [("train", "a", "0"), *[("validation", "a", "1")] * (LISTED + 3)]
    logged: list[str] = []
    with pytest.raises(DataError, match=f"{LISTED + 3} rows cannot be used"):
        prepare_corpus(make_corpus(rows), base, options(), logged.append)
    assert len(logged) == LISTED + 1
    assert logged[-1] == "problem: and 3 more"


def test_transcripts_are_lowercased_and_stripped_in_training_and_validation(
    make_corpus: CorpusMaker, base: BaseModel, options: OptionsMaker
) -> None:
    folder = respell(make_corpus(SPELLED), ab="Ab!", b_a="B a.")
    plain, _ = prepared(folder, base, options())
    assert plain.targets.vocabulary is not None
    assert plain.targets.vocabulary.tokens[:-2] == ("|", "!", ".", "A", "B", "a", "b")
    corpus, _ = prepared(folder, base, options(lowercase=True, strip_punctuation=True))
    assert corpus.targets.vocabulary is not None
    assert corpus.targets.vocabulary.tokens[:-2] == ("|", "a", "b")
    assert corpus.training.examples[1].token_ids == (2, 0, 1)
    assert corpus.transcriptions == ("ab", "b a")


def test_upper_case_and_punctuation_in_the_vocabulary_are_remarked_on(
    make_corpus: CorpusMaker, base: BaseModel, options: OptionsMaker
) -> None:
    folder = respell(make_corpus(SPELLED), ab="Ab!", b_a="B a.")
    remarks = [
        "warning: upper-case letters are tokens of their own: A, B; --lowercase folds them",
        "warning: punctuation becomes tokens: !, .; --strip-punctuation removes it",
    ]
    assert prepared(folder, base, options())[1] == remarks
    assert prepared(folder, base, options(lowercase=True))[1] == remarks[1:]
    assert prepared(folder, base, options(lowercase=True, strip_punctuation=True))[1] == []
    logged: list[str] = []
    dry_run(folder, base=base, options=options(), log=logged.append)
    assert logged[:2] == remarks


def test_an_apostrophe_inside_a_word_and_scripts_without_case_are_not_remarked_on() -> None:
    assert spelling_warnings(["don't", "北京", "é"]) == []


def test_the_normalisation_of_transcripts_is_in_the_report_and_in_the_card(
    make_corpus: CorpusMaker, base: BaseModel, options: OptionsMaker, tmp_path: Path
) -> None:
    folder = respell(make_corpus(SPELLED), ab="Ab")
    chosen = options(max_steps=1, lowercase=True)
    outcome = train(folder, tmp_path / "run", base=base, options=chosen, log=lambda line: None)
    report = json.loads((outcome.folder / "report.json").read_text())
    assert report["text_normalization"] == {"lowercase": True, "strip_punctuation": False}
    card = (outcome.folder / "README.md").read_text()
    assert "- lowercase: True\n" in card
    assert "strip_punctuation" not in card
