"""Callbacks of the Trainer: early stopping, and the lines on the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState

from wav2edge.output.progress import Progress
from wav2edge_train.loop.report_metrics import ReportMetrics

SCORE = "eval_score"
"""The Trainer's log key for the score that selects the best checkpoint."""
ELAPSED = "elapsed_s"
"""The log key for the seconds of a training with a time limit."""


def patience_is_over(history: Sequence[Mapping[str, Any]], patience: int | None) -> bool:
    """Whether the last ``patience`` evaluations in a Trainer's log brought no new best; None never stops."""
    scores = [entry[SCORE] for entry in history if SCORE in entry]
    if patience is None or len(scores) <= patience:
        return False
    return max(scores[-patience:]) <= max(scores[:-patience])


class EarlyStopping(TrainerCallback):
    """Ends the training after ``patience`` evaluations without a new best.

    It reads only the log, which is saved with each checkpoint, so a resumed run stops where an unbroken one does.
    """

    def __init__(self, patience: int | None) -> None:
        self._patience = patience

    def on_evaluate(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After each evaluation."""
        if patience_is_over(state.log_history, self._patience):
            control.should_training_stop = True


def elapsed_s(history: Sequence[Mapping[str, Any]]) -> float:
    """Seconds that a training with a time limit had taken at the end of a Trainer's log."""
    return max((entry.get(ELAPSED, 0.0) for entry in history), default=0.0)


class TimeLimit(TrainerCallback):
    """Ends the updates after some minutes; the time before an interruption is read from the log."""

    def __init__(self, minutes: float) -> None:
        self._limit_s, self._before_s, self._started_s = minutes * 60, 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Of training, those before an interruption included."""
        return self._before_s + time.monotonic() - self._started_s

    @property
    def share(self) -> float:
        """How much of the time is over, from 0 to 1."""
        return min(1.0, self.seconds / self._limit_s)

    def over_in(self, history: Sequence[Mapping[str, Any]]) -> bool:
        """Whether time was over at the end of a Trainer's log."""
        return elapsed_s(history) >= self._limit_s

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The clock starts with the updates."""
        self._started_s = time.monotonic()
        self._before_s = elapsed_s(state.log_history)

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The log is saved with each checkpoint."""
        state.log_history[-1][ELAPSED] = self.seconds

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """When time is over, stop, and evaluate and save what there is."""
        if self.share >= 1:
            control.should_training_stop = control.should_log = control.should_evaluate = control.should_save = True

    def follow(self, schedule: Callable[[int], float], *, warm_up: int, updates: int) -> Callable[[int], float]:
        """A schedule of the learning rate that is read further on where the clock is ahead of the updates.

        Args:
            schedule: the factor at each update.
            warm_up: updates at whose end the clock begins to count.
            updates: after which the schedule ends.
        """

        def followed(update: int) -> float:
            due = warm_up + self.share * (updates - warm_up)
            return schedule(update if update < warm_up else max(update, int(due)))

        return followed


class ConsoleCallback(TrainerCallback):
    """Reports on the training: a bar on a terminal, and at each evaluation the losses and the full report."""

    def __init__(self, log: Callable[[str], None], metrics: ReportMetrics) -> None:
        self._log, self._metrics = log, metrics
        self._progress = Progress("training", 0)
        self._losses: Mapping[str, float] = {}

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The number of updates is known from here on."""
        self._progress = Progress("training", state.max_steps)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Advance the bar, and evaluate after the last update too, so that it can be selected."""
        self._progress.update(state.global_step)
        if state.global_step >= state.max_steps:
            control.should_log = control.should_evaluate = True

    def on_log(
        self,
        args: Any,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the training losses for the next line."""
        if logs and "loss" in logs:
            self._losses = {name: value for name, value in logs.items() if name.endswith("loss")}

    def on_evaluate(
        self,
        args: Any,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Log the losses and the report."""
        self._progress.clear()
        losses = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in self._losses.items())
        self._log(f"epoch {state.epoch or 0:.2f}, step {state.global_step} of {state.max_steps}: {losses}")
        if self._metrics.report is not None and metrics is not None:
            self._log(f"{replace(self._metrics.report, loss=metrics.get('eval_loss')).table()}\n")
