"""What is said while a training runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState

from wav2edge.output.progress import Progress
from wav2edge_train.loop.trainer import Examiner


class Narrator(TrainerCallback):
    """Says how the training goes: a bar on a terminal, and at each evaluation a line and the full report."""

    def __init__(self, say: Callable[[str], None], examiner: Examiner) -> None:
        self._say, self._examiner = say, examiner
        self._progress = Progress("training", 0)
        self._losses: Mapping[str, float] = {}

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The number of updates is known from here on."""
        self._progress = Progress("training", state.max_steps)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Advance the bar; and evaluate after the last update too, so that it can be chosen."""
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
        """Remember the training losses for the next line."""
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
        """Say the losses, and the report."""
        self._progress.clear()
        losses = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in self._losses.items())
        self._say(f"epoch {state.epoch or 0:.2f}, step {state.global_step} of {state.max_steps}: {losses}")
        if self._examiner.report is not None and metrics is not None:
            self._say(f"{replace(self._examiner.report, loss=metrics.get('eval_loss')).table()}\n")
