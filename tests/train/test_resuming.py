"""Runs that are killed, and go on to the figures and weights of a run that nobody killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.train.conftest import quick_options, small_config
from wav2edge_train.data.vocabulary import make_feature_extractor
from wav2edge_train.loop.saved_checkpoints import MARK, last_whole_step, saved_steps
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.model.base_model import Base
from wav2edge_train.training import CHECKPOINTS, TrainingOutcome, train
from wav2edge_train.training_options import TrainingOptions

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.train import test_resuming
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
test_resuming.go(Path(corpus), Path(output))
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
        max_steps=7, accumulation=2, hearing_steps=2, augmentation="light", keep="best", warmup_steps=3
    )


def go(corpus: Path, output: Path, *, resume: bool = False) -> tuple[TrainingOutcome, list[str]]:
    base = Base(name="thin", config=small_config(), extractor=make_feature_extractor(layer_norm=True))
    said: list[str] = []
    return train(corpus, output, base=base, options=everything_random(), resume=resume, say=said.append), said


@pytest.fixture(scope="module")
def unbroken(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingOutcome:
    return go(corpus, tmp_path_factory.mktemp("unbroken") / "run")[0]


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


def test_a_run_killed_at_any_step_and_moved_ends_like_an_unbroken_one(
    corpus: Path, unbroken: TrainingOutcome, tmp_path: Path
) -> None:
    batch = random.randint(1, 10)  # another one each time; all eleven must hold
    kill(corpus, tmp_path / "run", "training_step", batch)
    resumed, said = go(corpus, (tmp_path / "run").rename(tmp_path / "moved"), resume=True)
    step = (batch - 1) // 3 * 2  # three batches, two updates an epoch, which are saved
    assert said[0].endswith(f"checkpoint-{step}" if step else "no step was saved yet, from the start"), batch
    assert_same(resumed, unbroken)


def test_a_step_that_was_not_written_to_its_end_is_passed_over(
    corpus: Path, unbroken: TrainingOutcome, tmp_path: Path
) -> None:
    kill(corpus, tmp_path / "run", "_save_rng_state", 2)
    assert (tmp_path / "run" / CHECKPOINTS / "checkpoint-4" / "model.safetensors").is_file()
    resumed, said = go(corpus, tmp_path / "run", resume=True)
    assert "checkpoint-4: passed over, it was not written to its end" in said[0]
    assert said[1].endswith("checkpoint-2")
    assert_same(resumed, unbroken)


def test_processes_that_prepare_batches_change_nothing(
    corpus: Path, unbroken: TrainingOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wav2edge_train.loop.arguments.loaders", lambda: 2)
    assert_same(go(corpus, tmp_path / "run")[0], unbroken)


def test_a_finished_run_is_resumed_without_another_step(
    corpus: Path, unbroken: TrainingOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: values.clone() for name, values in load_file(unbroken.folder / "model.safetensors").items()}
    (unbroken.folder / "model.safetensors").write_bytes(b"killed while this was written")
    monkeypatch.setattr(JointTrainer, "training_step", lambda *_: pytest.fail("it trained on"))
    resumed, _ = go(corpus, unbroken.folder, resume=True)
    assert resumed.report.to_dict() == unbroken.report.to_dict()
    assert resumed.rows == unbroken.rows
    after = load_file(unbroken.folder / "model.safetensors")
    assert all(torch.equal(after[name], values) for name, values in before.items())


def test_a_full_disk_is_one_line_and_the_step_before_stays(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    words = ["train", str(corpus), "--preset", "tiny", "--output", str(output), "--max-steps", "2", "--eval-steps", "1"]
    command = [sys.executable, "-c", FULL, *words, "--hearing-steps", "0"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 1, finished.stderr
    assert "checkpoint-2: cannot be written" in finished.stderr.splitlines()[-1]
    assert "make room there, then go on with --resume" in finished.stderr.splitlines()[-1]
    assert "Traceback" not in finished.stderr
    assert list(saved_steps(output / CHECKPOINTS)) == [1]
    assert last_whole_step(output / CHECKPOINTS, pytest.fail) == output / CHECKPOINTS / "checkpoint-1"


def test_only_the_last_and_the_best_step_are_kept(unbroken: TrainingOutcome) -> None:
    steps = saved_steps(unbroken.folder / CHECKPOINTS)
    assert set(steps) == {7, unbroken.chosen_step}
    assert all((folder / MARK).is_file() for folder in steps.values())
