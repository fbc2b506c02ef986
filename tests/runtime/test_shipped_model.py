"""The model in the repository is a small, ordinary bundle that recognises the clips next to it."""

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


def test_it_is_intact_and_agrees_with_the_original(capsys):
    assert main(["verify", str(MODELS / "words"), "--repeat"]) == 0
    assert "certificate" in capsys.readouterr().out


def test_its_certificate_covers_none_of_the_clips_next_to_it_as_the_readme_says(capsys):
    assert main(["verify", str(MODELS / "words"), "--data", str(MODELS / "clips")]) == 1
    assert "none of these 12 clips is in the certificate" in capsys.readouterr().err


def test_it_recognises_clips_of_unseen_voices(model):
    evaluation = evaluate(model, read_dataset(MODELS / "clips"))
    assert len(evaluation.results) == 12
    assert evaluation.report.classification.accuracy >= 0.9
    assert evaluation.report.word_errors.rate <= 0.1


def test_the_licence_of_its_training_recordings_is_included():
    notice = (MODELS / "LICENSE.speech").read_text(encoding="utf-8")
    assert "Copyright (c) 2019 Zhongyu Chen" in notice
    assert "shall be included in all" in notice
