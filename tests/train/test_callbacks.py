from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import get_scheduler

from wav2edge_train.loop import callbacks
from wav2edge_train.loop.callbacks import TimeLimit, patience_is_over
from wav2edge_train.loop.report_metrics import ReportMetrics
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.model.base_model import BaseModel
from wav2edge_train.training import train
from wav2edge_train.training_options import SCHEDULES, TrainingOptions

OptionsMaker = Callable[..., TrainingOptions]

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests


@pytest.mark.parametrize(
    ("scores", "patience", "over"),
    [
        ([0.5, 0.4, 0.4], 2, True),
        ([0.5, 0.4, 0.6], 2, False),
        ([0.5, 0.5, 0.5], 2, True),  # as good as the best is no new best
        ([0.5, 0.4], 2, False),
        ([0.9, 0.1, 0.2, 0.3], 3, True),
        ([0.9, 0.1, 0.2, 0.3], None, False),
    ],
)
def test_patience_is_over_when_that_many_evaluations_brought_no_new_best(
    scores: list[float], patience: int | None, over: bool
) -> None:
    history = [entry for score in scores for entry in ({"loss": 1.0}, {"eval_score": score})]
    assert patience_is_over(history, patience) is over


def test_a_training_stops_early_keeps_the_best_and_resuming_it_changes_nothing(
    corpus: Path,
    base: BaseModel,
    options: Callable[..., TrainingOptions],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = iter([0.3, 0.8, 0.1, 0.2, 0.9, 0.9])
    examine = ReportMetrics.__call__
    monkeypatch.setattr(ReportMetrics, "__call__", lambda *given: examine(*given) | {"score": next(scores)})
    chosen = options(max_steps=10, eval_steps=1, patience=2)
    outcome = train(corpus, tmp_path / "run", base=base, options=chosen, log=lambda line: None)
    assert [row.step for row in outcome.rows] == [1, 2, 3, 4]
    assert outcome.chosen_step == 2

    monkeypatch.setattr(JointTrainer, "training_step", lambda *_: pytest.fail("it trained further"))
    again = train(corpus, tmp_path / "run", base=base, options=chosen, resume=True, log=lambda line: None)
    assert again.report.to_dict() == outcome.report.to_dict()


class Clock:
    """What ``time.monotonic`` shows to the callbacks alone, moved on by hand: event loops wait by the true one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1_000.0
        monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: self.now_s))


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock on which each batch takes ten seconds."""
    clock, step = Clock(monkeypatch), JointTrainer.training_step

    def stepping(*given: Any) -> torch.Tensor:
        clock.now_s += 10.0
        return step(*given)

    monkeypatch.setattr(JointTrainer, "training_step", stepping)
    return clock


def test_a_training_ends_with_its_time_and_evaluates_once_more(
    corpus: Path, base: BaseModel, options: OptionsMaker, tmp_path: Path, ticking: Clock
) -> None:
    logged: list[str] = []
    chosen = replace(options(eval_steps=4, max_minutes=1.0), max_steps=None)
    outcome = train(corpus, tmp_path / "run", base=base, options=chosen, log=logged.append)
    assert [row.step for row in outcome.rows] == [4, 6]
    assert outcome.chosen_step in (4, 6)
    assert any("step 4, 0.7 of 1 minutes: " in line for line in logged)
    assert "- training_minutes: 1\n" in (tmp_path / "run" / "README.md").read_text()


def test_of_a_number_of_updates_and_a_time_the_first_that_is_reached_ends_a_training(
    corpus: Path, base: BaseModel, options: OptionsMaker, tmp_path: Path, ticking: Clock
) -> None:
    for name, max_steps, last in (("steps", 3, 3), ("time", 30, 6)):
        chosen = options(max_steps=max_steps, max_minutes=1.0, keep="last")
        outcome = train(corpus, tmp_path / name, base=base, options=chosen, log=lambda line: None)
        assert outcome.rows[-1].step == last


def test_a_resumed_training_has_the_time_that_was_left(
    corpus: Path, base: BaseModel, options: OptionsMaker, tmp_path: Path, ticking: Clock
) -> None:
    chosen = replace(options(max_minutes=1.0, keep="last"), max_steps=None)

    def interrupt(line: str) -> None:
        if "step 4," in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(corpus, tmp_path / "run", base=base, options=chosen, log=interrupt)
    ticking.now_s += 86_400.0  # a day passes
    outcome = train(corpus, tmp_path / "run", base=base, options=chosen, resume=True, log=lambda line: None)
    assert [row.step for row in outcome.rows] == [2, 4, 6]  # what followed the checkpoint of step 2 is made again

    again = train(corpus, tmp_path / "run", base=base, options=chosen, resume=True, log=lambda line: None)
    assert again.rows == outcome.rows


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_without_a_limit_the_learning_rate_is_that_of_transformers_once_it_is_warm(schedule: str) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    expected = get_scheduler(schedule, optimizer, num_warmup_steps=0, num_training_steps=40)
    found = TimeLimit(None).learning_rate(schedule, 0, 40)
    for step in range(41):
        assert found(step) == pytest.approx(expected.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        expected.step()


def test_the_learning_rate_follows_the_updates_or_the_time_whichever_is_further() -> None:
    limit = TimeLimit(100.0)
    rate = limit.learning_rate("linear", 10, 1_000)
    assert rate(5) == pytest.approx(0.5 * 0.995)  # half warm, and hardly anything is over
    limit.elapsed_s = 75.0
    assert rate(100) == pytest.approx(0.25)
    assert rate(900) == pytest.approx(0.1)
    limit.elapsed_s = 120.0
    assert rate(100) == 0.0
