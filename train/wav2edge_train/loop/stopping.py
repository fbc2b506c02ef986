"""Early stopping: a training that does not get better any more ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState

SCORE = "eval_score"
"""What the log of a training calls the figure that the best checkpoint has most of."""


def patience_is_over(history: Sequence[Mapping[str, Any]], patience: int | None) -> bool:
    """Whether the last ``patience`` evaluations of a Trainer's log brought no new best; None waits for ever."""
    scores = [entry[SCORE] for entry in history if SCORE in entry]
    if patience is None or len(scores) <= patience:
        return False
    return max(scores[-patience:]) <= max(scores[:-patience])


class EarlyStopping(TrainerCallback):
    """Ends the training after ``patience`` evaluations without a new best.

    It looks into the log alone, which is saved with each step, so a resumed run stops where an unbroken one does.
    """

    def __init__(self, patience: int | None) -> None:
        self._patience = patience

    def on_evaluate(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After each evaluation."""
        if patience_is_over(state.log_history, self._patience):
            control.should_training_stop = True
