from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wav2edge_train.loop.callbacks import patience_is_over
from wav2edge_train.loop.report_metrics import ReportMetrics
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.model.base_model import BaseModel
from wav2edge_train.training import train
from wav2edge_train.training_options import TrainingOptions

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
