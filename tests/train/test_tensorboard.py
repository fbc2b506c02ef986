from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wav2edge.errors import MissingDependencyError
from wav2edge_train.loop.tensorboard import require_tensorboard
from wav2edge_train.model.base_model import Base
from wav2edge_train.training import train
from wav2edge_train.training_options import TrainingOptions


def test_the_event_files_hold_the_losses_and_the_figures(
    corpus: Path, base: Base, options: Callable[..., TrainingOptions], tmp_path: Path
) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    outcome = train(
        corpus, tmp_path / "run", base=base, options=options(tensorboard=True, max_steps=2), say=lambda line: None
    )
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    for tag, key in (("eval/wer", "wer"), ("eval/accuracy", "accuracy"), ("eval/loss", "loss")):
        (event,) = events.Scalars(tag)
        assert (event.step, event.value) == (2, pytest.approx(outcome.rows[0].figures[key], rel=1e-6))
    assert {"train/loss", "train/ctc_loss", "train/class_loss", "train/learning_rate"} <= set(events.Tags()["scalars"])


def test_without_tensorboard_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'wav2edge\[tensorboard\]'"):
        require_tensorboard()
