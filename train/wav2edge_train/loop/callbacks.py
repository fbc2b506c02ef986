"""Callbacks of the Trainer: early stopping, the time limit, and the lines on the terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState

from wav2edge.output.progress import Progress
from wav2edge_train.loop.distributed import of_first_process
from wav2edge_train.loop.report_metrics import ReportMetrics

SCORE = "eval_score"
"""The Trainer's log key for the score that selects the best checkpoint."""

ELAPSED = "elapsed_s"
"""The Trainer's log key for the seconds that the training has taken, evaluations and saving included."""

UNBOUNDED_STEPS = 10**9
"""Updates of a training that only its time limit ends."""

DECAYS: dict[str, Callable[[float], float]] = {
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
    "constant_with_warmup": lambda progress: 1.0,
}
"""The learning rate's share of its highest, by the share of the training that is over, for each schedule."""


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


def recorded_s(history: Sequence[Mapping[str, Any]]) -> float:
    """The seconds that a training had taken at the last entry of its log; 0 for an empty log."""
    return float(next((entry[ELAPSED] for entry in reversed(history) if ELAPSED in entry), 0.0))


class TimeLimit(TrainerCallback):
    """The clock of a training, which ends it after ``limit_s`` seconds with one more evaluation; None never ends it.

    The learning rate has fallen to its end by then, which a training that is cut short does not reach; Li et al.,
    "Budgeted Training", ICLR 2020, find that it is this fall within the budget that counts.
    What was spent before an interruption is read from the log, which is saved with each checkpoint; what came after the
    last checkpoint is made again and does not count. Several processes follow the clock of the first.
    """

    def __init__(self, limit_s: float | None) -> None:
        self.limit_s = limit_s
        self.elapsed_s = 0.0
        self._started_s = time.monotonic()

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Start the clock at what an interrupted run had used."""
        self._started_s = time.monotonic() - recorded_s(state.log_history)
        self._read(args)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After an update; the last is followed by an evaluation and a checkpoint."""
        self._read(args)
        if self.is_over(self.elapsed_s):
            control.should_log = control.should_evaluate = control.should_save = control.should_training_stop = True

    def on_evaluate(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The time may run out in an evaluation, which is then the last."""
        self._read(args)
        if self.is_over(self.elapsed_s):
            control.should_training_stop = True

    def is_over(self, elapsed_s: float) -> bool:
        """Whether a training that has taken so long has to end."""
        return self.limit_s is not None and elapsed_s >= self.limit_s

    def progress(self, step: int, max_steps: int) -> float:
        """The share of the training that is over, by its updates or by its time, whichever is further."""
        by_time = 0.0 if self.limit_s is None else self.elapsed_s / self.limit_s
        return min(1.0, max(step / max_steps, by_time))

    def learning_rate(self, schedule: str, warmup_steps: int, max_steps: int) -> Callable[[int], float]:
        """The learning rate's share of its highest, by the number of updates that were made."""
        decay = DECAYS[schedule]

        def share(step: int) -> float:
            warmth = step / warmup_steps if step < warmup_steps else 1.0
            return warmth * decay(self.progress(step, max_steps))

        return share

    def _read(self, args: Any) -> None:
        self.elapsed_s = time.monotonic() - self._started_s
        if self.limit_s is not None:
            self.elapsed_s = of_first_process(self.elapsed_s, args.device)


class ConsoleCallback(TrainerCallback):
    """Reports on the training: a bar on a terminal, and at each evaluation the losses and the full report."""

    def __init__(self, log: Callable[[str], None], metrics: ReportMetrics, time_limit: TimeLimit) -> None:
        self._log, self._metrics, self._time = log, metrics, time_limit
        self._progress = Progress("training", 0)
        self._losses: Mapping[str, float] = {}

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The number of updates is known from here on, or the number of seconds."""
        limit_s = self._time.limit_s
        self._progress = Progress("training", state.max_steps if limit_s is None else math.ceil(limit_s))

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Advance the bar, and evaluate after the last update too, so that it can be selected."""
        self._progress.update(state.global_step if self._time.limit_s is None else int(self._time.elapsed_s))
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
        self._log(f"epoch {state.epoch or 0:.2f}, step {state.global_step}{self._of_all(state)}: {losses}")
        if self._metrics.report is not None and metrics is not None:
            self._log(f"{replace(self._metrics.report, loss=metrics.get('eval_loss')).table()}\n")

    def _of_all(self, state: TrainerState) -> str:
        """How much the whole training is, for a line that says how far it is."""
        if self._time.limit_s is None:
            return f" of {state.max_steps}"
        return f", {self._time.elapsed_s / 60:.1f} of {self._time.limit_s / 60:g} minutes"
