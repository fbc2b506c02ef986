from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from wav2edge.cli.verbs import Command
from wav2edge.errors import CheckpointError, DataError, UsageError
from wav2edge_train.distillation import distill_command
from wav2edge_train.model.presets import PRESETS
from wav2edge_train.train_command import CHOICES, COMMAND
from wav2edge_train.training_options import TrainingOptions

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

QUICK = [
    "--max-steps",
    "1",
    "--eval-steps",
    "1",
    "--batch-size",
    "4",
    "--warmup-steps",
    "0",
    "--feature-pretrain-steps",
    "1",
]


@pytest.mark.parametrize("module", ["wav2edge_train.train_command", "wav2edge_train.distillation.distill_command"])
def test_help_does_not_import_pytorch(module: str) -> None:
    script = f"import sys, {module}; print(any(name in sys.modules for name in ('torch', 'transformers')))"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "False"


def test_every_option_of_training_is_on_the_command_line(parser: ArgumentParser) -> None:
    assert {choice.field for choice in CHOICES} == set(TrainingOptions.__dataclass_fields__)
    text = " ".join(parser.format_help().split())
    for choice in CHOICES:
        assert f"--{choice.field.replace('_', '-')} " in text
        assert choice.help in text


@pytest.mark.parametrize("command", [COMMAND, distill_command.COMMAND], ids=lambda command: command.name)
def test_every_example_is_a_command_that_parses(command: Command) -> None:
    parser = ArgumentParser()
    command.add_arguments(parser)
    for line in command.examples.splitlines():
        words = line.split()
        assert words[:2] == ["wav2edge", command.name]
        assert parser.parse_args(words[2:]).output is not None


def test_options_not_given_come_from_the_preset_or_the_reference_run(parser: ArgumentParser) -> None:
    logged = vars(parser.parse_args(["data", "--preset", "small", "--output", "x", "--epochs", "3"]))
    preset = PRESETS["small"].training
    options = TrainingOptions.of(preset, {choice.field: logged[choice.field] for choice in CHOICES})
    assert options.epochs == 3
    assert options.learning_rate == preset["learning_rate"]
    assert TrainingOptions.of({}) == TrainingOptions(
        learning_rate=3e-4, batch_size=8, accumulation=2, epochs=70, seed=42
    )


def test_the_result_is_strict_json_on_stdout_and_the_log_is_on_stderr(
    parser: ArgumentParser, corpus: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [str(corpus), "--preset", "tiny", "--output", str(tmp_path / "run"), "--json", *QUICK]
    assert COMMAND.run(parser.parse_args(words)) == 0
    out, err = capfd.readouterr()
    report = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert report == json.loads((tmp_path / "run" / "report.json").read_text())
    assert "step 1 of 1" in err
    assert "Traceback" not in err
    assert "it/s" not in err


def test_wrong_data_and_bases_are_typed_errors(parser: ArgumentParser, corpus: Path, tmp_path: Path) -> None:
    output = ["--output", str(tmp_path / "run")]
    with pytest.raises(DataError, match="no such data set"):
        COMMAND.run(parser.parse_args([str(tmp_path / "nowhere"), "--preset", "tiny", *output]))
    with pytest.raises(CheckpointError, match="no checkpoint there"):
        COMMAND.run(parser.parse_args([str(corpus), "--base", str(tmp_path / "nowhere"), *output]))
    with pytest.raises(UsageError, match="'tiny' starts from random weights; --base goes with syllable-onset4 only"):
        COMMAND.run(parser.parse_args([str(corpus), "--preset", "tiny", "--base", "x", *output]))
    with pytest.raises(UsageError, match="nothing to start from; give --base CHECKPOINT or --preset NAME"):
        COMMAND.run(parser.parse_args([str(corpus), *output]))
