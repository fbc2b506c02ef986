"""The model in the repository is a bundle like any other, small, and answers the clips beside it."""

from pathlib import Path

import pytest

import wav2edge
from wav2edge.cli.main import main
from wav2edge.evaluation.dataset import read_dataset
from wav2edge.evaluation.evaluator import evaluate

MODELS = Path(__file__).parents[2] / "models"
LARGEST_BYTES = 4_000_000


@pytest.fixture(scope="module")
def model():
    return wav2edge.load(MODELS / "words", threads=1)


def test_it_is_small():
    assert sum(path.stat().st_size for path in (MODELS / "words").rglob("*") if path.is_file()) <= LARGEST_BYTES


def test_it_is_whole_and_still_answers_like_the_original(capsys):
    assert main(["verify", str(MODELS / "words"), "--repeat"]) == 0
    assert "certificate" in capsys.readouterr().out


def test_it_answers_clips_of_voices_that_it_never_heard(model):
    evaluation = evaluate(model, read_dataset(MODELS / "clips"))
    assert len(evaluation.answers) == 12
    assert evaluation.report.classification.accuracy >= 0.9
    assert evaluation.report.word_errors.rate <= 0.1


def test_the_notice_of_the_recordings_it_learnt_from_comes_with_it():
    notice = (MODELS / "LICENSE.speech").read_text(encoding="utf-8")
    assert "Copyright (c) 2019 Zhongyu Chen" in notice
    assert "shall be included in all" in notice
