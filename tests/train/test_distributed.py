"""Two processes on one machine, started by torchrun, train one model; and a small model trains on one thread."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from wav2edge.errors import DataError, TrainingError
from wav2edge_train.loop.distributed import is_first_process, rank_zero_output, threads_for
from wav2edge_train.loop.saved_checkpoints import CHECKPOINTS, MARK

ROOT = Path(__file__).parents[2]
SCRIPT = """
import hashlib, json, os, sys
from pathlib import Path
from wav2edge.cli import main
from wav2edge_train import training
from wav2edge_train.loop import trainer
from wav2edge_train.loop.trainer import JointTrainer

seen = {"batches": []}
train, pretrain, step = training.train, training.pretrain_feature_encoder, JointTrainer.training_step

def pretraining(model, *arguments, **keywords):
    pretrain(model, *arguments, **keywords)
    weights = b"".join(w.detach().numpy().tobytes() for w in model.wav2vec2.feature_extractor.parameters())
    seen["features"] = hashlib.sha256(weights).hexdigest()

def stepping(self, *arguments):
    loss = step(self, *arguments)
    seen["batches"].append([int(self.state.epoch), self._indices.tolist()])
    return loss

def training_(*arguments, **keywords):
    outcome = train(*arguments, **keywords)
    seen["report"] = outcome.report.to_dict()
    seen["rows"] = [[row.training_loss, row.step, dict(row.figures)] for row in outcome.rows]
    Path(sys.argv[1], os.environ["RANK"] + ".json").write_text(json.dumps(seen))
    return outcome

trainer.keep_only = lambda *_: None  # a test resumes from an earlier step
training.train, training.pretrain_feature_encoder, JointTrainer.training_step = training_, pretraining, stepping
sys.exit(main(sys.argv[2:]))
"""


def torchrun(corpus: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Train with two processes; each writes its figures into the folder, and the output is ``run`` in it."""
    (folder / "script.py").write_text(SCRIPT)
    options = ["--max-steps", "4", "--eval-steps", "2", "--feature-pretrain-steps", "2", "--batch-size", "3"]
    words = ["train", str(corpus), "--preset", "tiny", *options, "--output", str(folder / "run"), "--json", *more]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, str(folder / "script.py"), str(folder), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def together(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], str, str, Path]:
    folder = tmp_path_factory.mktemp("together")
    finished = torchrun(corpus, folder)
    assert finished.returncode == 0, finished.stderr
    ranks = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    return ranks, finished.stdout, finished.stderr, folder / "run"


@pytest.mark.slow
def test_every_process_has_the_same_pretrained_features_and_figures(
    together: tuple[list[dict[str, Any]], str, str, Path],
) -> None:
    (first, second), *_ = together
    assert first["features"] == second["features"]
    assert first["rows"] == second["rows"]
    assert first["report"] == second["report"]
    assert first["report"]["clips"] == 6


@pytest.mark.slow
def test_the_processes_share_the_clips_and_augment_them_anew_each_epoch(
    together: tuple[list[dict[str, Any]], str, str, Path],
) -> None:
    (first, second), *_ = together
    for epoch in (0, 1):
        clips = [
            index for rank in (first, second) for number, batch in rank["batches"] if number == epoch for index in batch
        ]
        assert sorted(clips) == list(range(12))


@pytest.mark.slow
def test_only_the_first_process_logs_and_writes(together: tuple[list[dict[str, Any]], str, str, Path]) -> None:
    (first, _), out, err, folder = together
    assert json.loads(out) == first["report"] == json.loads((folder / "report.json").read_text())
    assert err.count("step 2 of 4: loss") == 1
    assert err.count("12 clips to train on") == 1
    assert "fp32 on cpu, 2 processes" in err
    assert "- num_devices: 2" in (folder / "README.md").read_text()


@pytest.mark.slow
def test_processes_resume_together_to_the_same_weights(
    together: tuple[list[dict[str, Any]], str, str, Path], corpus: Path, tmp_path: Path
) -> None:
    *_, folder = together
    shutil.copytree(folder / CHECKPOINTS, tmp_path / "run" / CHECKPOINTS)
    (tmp_path / "run" / CHECKPOINTS / "checkpoint-4" / MARK).unlink()  # as if killed while it was written
    finished = torchrun(corpus, tmp_path, "--resume")
    assert finished.returncode == 0, finished.stderr
    assert "checkpoint-4: skipping incomplete checkpoint" in finished.stderr
    assert "resuming from" in finished.stderr
    assert (tmp_path / "run/model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert (tmp_path / "run/report.json").read_text() == (folder / "report.json").read_text()


@pytest.mark.slow
def test_processes_with_a_time_limit_end_at_the_same_update(corpus: Path, tmp_path: Path) -> None:
    limits = ["--max-minutes", "0.05", "--max-steps", "100000", "--eval-steps", "100000"]
    finished = torchrun(corpus, tmp_path, *limits)
    assert finished.returncode == 0, finished.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first["rows"] == second["rows"]
    assert len(first["batches"]) == len(second["batches"]) == first["rows"][0][1] < 100_000


def test_a_later_process_is_silent_except_for_errors_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()
    with pytest.raises(SystemExit, match="1"), rank_zero_output():
        raise DataError(print("the same again"))
    with pytest.raises(TrainingError, match="only here"), rank_zero_output():
        raise TrainingError("only here")
    assert capsys.readouterr().out == ""
    monkeypatch.delenv("RANK")
    with rank_zero_output():
        print("alone")
    assert capsys.readouterr().out == "alone\n"


def test_a_small_model_trains_on_one_thread_and_a_large_one_on_all_and_both_restore_the_number() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_for(nn.Linear(10, 10)):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with threads_for(nn.Linear(1, 10_000_000, bias=False)):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
