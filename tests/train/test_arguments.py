from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from wav2edge.errors import MissingDependencyError, UsageError
from wav2edge_train.loop.arguments import dataloader_workers, require_tensorboard, resolve_precision
from wav2edge_train.model.base_model import BaseModel
from wav2edge_train.training import train
from wav2edge_train.training_options import TrainingOptions

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests


def test_the_event_files_hold_the_losses_and_the_figures(
    corpus: Path, base: BaseModel, options: Callable[..., TrainingOptions], tmp_path: Path
) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    outcome = train(
        corpus, tmp_path / "run", base=base, options=options(tensorboard=True, max_steps=2), log=lambda line: None
    )
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    for tag, key in (("eval/wer", "wer"), ("eval/accuracy", "accuracy"), ("eval/loss", "loss")):
        (event,) = events.Scalars(tag)
        assert (event.step, event.value) == (2, pytest.approx(outcome.rows[0].figures[key], rel=1e-6))
    assert {"train/loss", "train/ctc_loss", "train/class_loss", "train/learning_rate"} <= set(events.Tags()["scalars"])


def test_without_tensorboard_one_line_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'wav2edge\[tensorboard\]'"):
        require_tensorboard()


def test_the_precision_fits_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_precision("auto") == "fp32"
    with pytest.raises(UsageError, match="needs a CUDA GPU"):
        resolve_precision("fp16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for bf16, expected in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda bf16=bf16: bf16)
        assert resolve_precision("auto") == expected
    with pytest.raises(UsageError, match="Ampere"):
        resolve_precision("bf16")


@pytest.mark.parametrize(("cores", "processes", "workers"), [(1, 1, 1), (2, 1, 1), (8, 1, 7), (64, 1, 8), (16, 4, 3)])
def test_a_gpu_is_fed_by_the_cores_that_do_not_train_and_a_cpu_feeds_itself(
    cores: int, processes: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wav2edge_train.loop.arguments.physical_cores", lambda: cores)
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    for has_gpu, expected in ((True, workers), (False, 0)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda has_gpu=has_gpu: has_gpu)
        assert dataloader_workers() == expected
