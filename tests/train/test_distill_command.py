from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path

import pytest

from tests.train.conftest import quick_options
from wav2edge.cli.verbs import missing_extra
from wav2edge.errors import CheckpointError, UsageError
from wav2edge_train.distillation.distill_command import COMMAND, DEFAULTS, DISTILLATION_CHOICES, STUDENT_CHOICES
from wav2edge_train.distillation.distillation_trainer import DistillationTrainer
from wav2edge_train.model.base_model import checkpoint_base_model
from wav2edge_train.training import TrainingOutcome, train
from wav2edge_train.training_options import DistillationOptions, TrainingOptions

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

QUICK = ["--max-steps", "1", "--eval-steps", "1", "--batch-size", "4", "--warmup-steps", "0"]


def test_every_option_is_on_the_command_line_with_its_default(parser: ArgumentParser) -> None:
    assert {choice.field for choice in DISTILLATION_CHOICES} == set(DistillationOptions.__dataclass_fields__)
    student = {choice.field for choice in STUDENT_CHOICES}
    assert student == set(TrainingOptions.__dataclass_fields__) - {"feature_pretrain_steps"}
    assert set(DEFAULTS) <= student
    text = " ".join(parser.format_help().split())
    for field, value in DEFAULTS.items():
        assert f"--{field.replace('_', '-')}" in text
        assert f"(default: {value})" in text
    assert TrainingOptions.of(DEFAULTS)


def test_the_result_is_strict_json_with_the_comparison_in_it(
    parser: ArgumentParser,
    run: tuple[TrainingOutcome, list[str]],
    corpus: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = [str(run[0].folder), str(corpus), "--prune-ffn", "0.5", "--output", str(tmp_path / "student"), "--json"]
    assert COMMAND.run(parser.parse_args([*words, *QUICK])) == 0
    out, err = capfd.readouterr()
    document = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert document["comparison"] == json.loads((tmp_path / "student" / "comparison.json").read_text())
    assert document["comparison"]["large"]["name"] == "whistles"
    assert "step 1 of 1" in err
    assert "Traceback" not in err


def test_a_dry_run_runs_the_teacher_too_and_writes_nothing(
    parser: ArgumentParser,
    run: tuple[TrainingOutcome, list[str]],
    corpus: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[int] = []
    teacher_losses = DistillationTrainer._teacher_losses
    monkeypatch.setattr(
        DistillationTrainer, "_teacher_losses", lambda self, *batch: runs.append(1) or teacher_losses(self, *batch)
    )
    monkeypatch.chdir(tmp_path)
    words = [str(run[0].folder), str(corpus), "--prune-ffn", "0.5", "--dry-run", "--json", "--batch-size", "4"]
    assert COMMAND.run(parser.parse_args([*words, "--accumulation", "1"])) == 0
    expected = json.loads(capfd.readouterr().out)
    assert len(runs) == 3  # one for each update
    assert expected["updates"] == 60  # three batches, twenty epochs
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="no folder for the new checkpoint; give --output DIR"):
        COMMAND.run(parser.parse_args(words[:4]))


def test_a_student_as_large_as_its_teacher_and_a_missing_teacher_are_refused(
    parser: ArgumentParser, corpus: Path, tmp_path: Path
) -> None:
    words = [str(tmp_path / "nowhere"), str(corpus), "--output", str(tmp_path / "student")]
    with pytest.raises(UsageError, match="give --encoder-layers N, --prune-ffn SHARE, or both"):
        COMMAND.run(parser.parse_args(words))
    with pytest.raises(CheckpointError, match="no checkpoint there"):
        COMMAND.run(parser.parse_args([*words, "--encoder-layers", "1"]))


def test_a_missing_package_is_named_with_an_extra_that_exists() -> None:
    error = missing_extra("distill", ModuleNotFoundError("no torch", name="torch"))
    assert "run: pip install 'wav2edge[train]'" in str(error)


def test_a_student_that_streams_may_be_as_large_as_its_teacher(
    parser: ArgumentParser, run: tuple[TrainingOutcome, list[str]], corpus: Path, tmp_path: Path
) -> None:
    words = [str(run[0].folder), str(corpus), "--streaming", "--output", str(tmp_path / "student")]
    assert COMMAND.run(parser.parse_args([*words, *QUICK])) == 0
    config = json.loads((tmp_path / "student" / "config.json").read_text())
    assert config["streaming"]["delay_frames"] == 12
    assert config["num_hidden_layers"] == json.loads((run[0].folder / "config.json").read_text())["num_hidden_layers"]


def test_what_is_trained_on_without_streaming_does_not_say_that_it_streams(
    run: tuple[TrainingOutcome, list[str]], corpus: Path, tmp_path: Path
) -> None:
    streams, whole = tmp_path / "streams", tmp_path / "whole"
    base = checkpoint_base_model(str(run[0].folder))
    train(corpus, streams, base=base, options=quick_options(streaming=True), log=str)
    assert json.loads((streams / "config.json").read_text())["streaming"] is not None
    train(corpus, whole, base=checkpoint_base_model(str(streams)), options=quick_options(), log=str)
    assert json.loads((whole / "config.json").read_text()).get("streaming") is None
