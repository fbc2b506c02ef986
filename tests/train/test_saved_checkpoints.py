"""Killed runs are resumed to the figures and weights of an unbroken run, and only with the same settings."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.train.conftest import quick_options, small_config
from wav2edge.errors import TrainingError
from wav2edge_train.data.vocabulary import make_feature_extractor
from wav2edge_train.loop.saved_checkpoints import (
    CHECKPOINTS,
    MARK,
    SETTINGS,
    last_complete_checkpoint,
    saved_checkpoints,
)
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.model.base_model import BaseModel
from wav2edge_train.training import TrainingOutcome, train
from wav2edge_train.training_options import TrainingOptions

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.train import test_saved_checkpoints
from wav2edge_train.loop.trainer import JointTrainer
corpus, output, name, count = sys.argv[1:]
method, left = getattr(JointTrainer, name), int(count)
def killed(*arguments, **keywords):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return method(*arguments, **keywords)
setattr(JointTrainer, name, killed)
test_saved_checkpoints.run_training(Path(corpus), Path(output))
"""
FULL = """
import resource, sys
from wav2edge.cli import main
from wav2edge_train.loop.trainer import JointTrainer
save = JointTrainer._save_checkpoint
def cramped(self, *arguments):
    if self.state.global_step > 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    save(self, *arguments)
JointTrainer._save_checkpoint = cramped
sys.exit(main(sys.argv[1:]))
"""


def everything_random() -> TrainingOptions:
    """Two updates an epoch, the second of a single batch; SpecAugment and dropout are on as well."""
    return quick_options(
        max_steps=7, accumulation=2, feature_pretrain_steps=2, augmentation="light", keep="best", warmup_steps=3
    )


def thin_base() -> BaseModel:
    return BaseModel(name="thin", config=small_config(), extractor=make_feature_extractor(layer_norm=True))


def run_training(corpus: Path, output: Path, *, resume: bool = False) -> tuple[TrainingOutcome, list[str]]:
    logged: list[str] = []
    outcome = train(corpus, output, base=thin_base(), options=everything_random(), resume=resume, log=logged.append)
    return outcome, logged


@pytest.fixture(scope="module")
def unbroken(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingOutcome:
    return run_training(corpus, tmp_path_factory.mktemp("unbroken") / "run")[0]


def kill(corpus: Path, output: Path, method: str, count: int) -> None:
    """Train in another process, which kills itself when a method of the Trainer is called for that time."""
    command = [sys.executable, "-c", KILLED, str(corpus), str(output), method, str(count)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == -signal.SIGKILL, finished.stderr


def assert_same(found: TrainingOutcome, expected: TrainingOutcome) -> None:
    assert found.rows == expected.rows
    assert found.report.to_dict() == expected.report.to_dict()
    assert found.chosen_step == expected.chosen_step
    weights = load_file(found.folder / "model.safetensors")
    for name, values in load_file(expected.folder / "model.safetensors").items():
        assert torch.equal(weights[name], values), name


@pytest.mark.slow
def test_a_run_killed_at_any_step_and_moved_ends_like_an_unbroken_one(
    corpus: Path, unbroken: TrainingOutcome, tmp_path: Path
) -> None:
    batch = random.randint(1, 10)  # another one each time; all eleven must hold
    kill(corpus, tmp_path / "run", "training_step", batch)
    resumed, logged = run_training(corpus, (tmp_path / "run").rename(tmp_path / "moved"), resume=True)
    step = (batch - 1) // 3 * 2  # three batches, two updates an epoch, which are saved
    assert logged[0].endswith(f"checkpoint-{step}" if step else "no checkpoint was saved yet, starting over"), batch
    assert_same(resumed, unbroken)


@pytest.mark.slow
def test_an_incomplete_checkpoint_is_skipped(corpus: Path, unbroken: TrainingOutcome, tmp_path: Path) -> None:
    kill(corpus, tmp_path / "run", "_save_rng_state", 2)
    assert (tmp_path / "run" / CHECKPOINTS / "checkpoint-4" / "model.safetensors").is_file()
    resumed, logged = run_training(corpus, tmp_path / "run", resume=True)
    assert "checkpoint-4: skipping incomplete checkpoint" in logged[0]
    assert logged[1].endswith("checkpoint-2")
    assert_same(resumed, unbroken)


def test_dataloader_workers_change_nothing(
    corpus: Path, unbroken: TrainingOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wav2edge_train.loop.arguments.dataloader_workers", lambda: 2)
    assert_same(run_training(corpus, tmp_path / "run")[0], unbroken)


def test_a_finished_run_is_resumed_without_another_step(
    corpus: Path, unbroken: TrainingOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: values.clone() for name, values in load_file(unbroken.folder / "model.safetensors").items()}
    (unbroken.folder / "model.safetensors").write_bytes(b"killed while this was written")
    monkeypatch.setattr(JointTrainer, "training_step", lambda *_: pytest.fail("it trained further"))
    resumed, _ = run_training(corpus, unbroken.folder, resume=True)
    assert resumed.report.to_dict() == unbroken.report.to_dict()
    assert resumed.rows == unbroken.rows
    after = load_file(unbroken.folder / "model.safetensors")
    assert all(torch.equal(after[name], values) for name, values in before.items())


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_previous_checkpoint_stays(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    words = ["train", str(corpus), "--preset", "tiny", "--output", str(output), "--max-steps", "2", "--eval-steps", "1"]
    command = [sys.executable, "-c", FULL, *words, "--feature-pretrain-steps", "0"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 1, finished.stderr
    assert "checkpoint-2: cannot be written" in finished.stderr.splitlines()[-1]
    assert "make room there, then continue with --resume" in finished.stderr.splitlines()[-1]
    assert "Traceback" not in finished.stderr
    assert list(saved_checkpoints(output / CHECKPOINTS)) == [1]
    assert last_complete_checkpoint(output / CHECKPOINTS, pytest.fail) == output / CHECKPOINTS / "checkpoint-1"


def test_only_the_last_and_the_best_checkpoint_are_kept(unbroken: TrainingOutcome) -> None:
    steps = saved_checkpoints(unbroken.folder / CHECKPOINTS)
    assert set(steps) == {7, unbroken.chosen_step}
    assert all((folder / MARK).is_file() for folder in steps.values())


@pytest.fixture(scope="module")
def two_updates(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run of two updates."""
    output = tmp_path_factory.mktemp("two_updates") / "run"
    return train(corpus, output, base=thin_base(), options=quick_options(max_steps=2), log=lambda line: None).folder


@pytest.fixture
def started(two_updates: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(two_updates, tmp_path / "run"))


def test_other_data_another_base_and_other_options_are_refused_by_name(
    corpus: Path, started: Path, make_corpus: Callable[..., Path]
) -> None:
    chosen = quick_options(max_steps=2)
    other = make_corpus([("train", "ab", "0"), ("train", "b a", "1"), ("validation", "ab", "0")])
    clips = r"training clips 2 \(sha256 \w+\), was 12 .*; validation clips 1"
    with pytest.raises(TrainingError, match=clips) as caught:
        train(other, started, base=thin_base(), options=chosen, resume=True)
    assert "vocabulary | a b [UNK] [PAD], was | a b c [UNK] [PAD]" in str(caught.value)
    assert "repeat the command that started it, or give another --output" in str(caught.value)
    assert "\n" not in str(caught.value)
    deeper = replace(thin_base(), name="deeper", config=small_config(num_hidden_layers=2))
    with pytest.raises(TrainingError, match="base deeper, was thin; architecture "):
        train(corpus, started, base=deeper, options=chosen, resume=True)
    with pytest.raises(TrainingError, match=r"holds another run: learning_rate 0\.001, was 0\.0003; repeat"):
        train(corpus, started, base=thin_base(), options=replace(chosen, learning_rate=1e-3), resume=True)


def test_a_longer_training_is_resumed_and_the_change_is_logged(corpus: Path, started: Path) -> None:
    logged: list[str] = []
    longer = quick_options(max_steps=4, patience=9)
    outcome = train(corpus, started, base=thin_base(), options=longer, resume=True, log=logged.append)
    assert logged[1:3] == [
        "resuming with a changed option: max_steps 4, was 2",
        "resuming with a changed option: patience 9, was not set",
    ]
    assert [row.step for row in outcome.rows] == [2, 4]
    logged.clear()
    train(corpus, started, base=thin_base(), options=longer, resume=True, log=logged.append)
    assert not any("changed option" in line for line in logged)


def test_a_run_without_its_settings_cannot_be_resumed(corpus: Path, started: Path) -> None:
    (started / CHECKPOINTS / SETTINGS).write_text("{")
    with pytest.raises(TrainingError, match=r"no readable checkpoints/run\.json"):
        train(corpus, started, base=thin_base(), options=quick_options(max_steps=2), resume=True)
