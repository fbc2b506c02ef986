"""What the Trainer of transformers does not do by itself: two losses, true frame counts, and quiet progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import Sampler
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState
from transformers.trainer_utils import PredictionOutput

from wav2edge.errors import TrainingError
from wav2edge.progress import Progress
from wav2edge.report import Report, make_report
from wav2edge_train.clips import ClipDataset, LengthGroupedOrder, Targets
from wav2edge_train.model import Wav2Vec2ForJointCTC

PADDED = -100
"""What the Trainer pads predictions and labels with when it joins batches."""

LOSS_NAMES = ("loss", "ctc_loss", "class_loss")
"""Fields of ``JointOutput`` that are no predictions."""

_TRUTHS = {"logits": "labels", "class_logits": "class_labels"}
"""The scores of each head, and the input that holds what is true; a head without truths is not asked."""


class JointTrainer(Trainer):
    """Trains ``Wav2Vec2ForJointCTC``; predictions are ``(token ids [clips, frames], class ids [clips])``.

    Frames of padding are blanks there. Left to itself the Trainer would keep whole score matrices, and join batches
    of different lengths with -100, which argmax turns into token 0.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)  # it prints every log on standard output, where answers go
        self._loss_sums: dict[str, torch.Tensor] = {}
        self._loss_count = 0

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        dataset = cast(ClipDataset, train_dataset or self.train_dataset)
        return LengthGroupedOrder(dataset, self.args.train_batch_size, self.args.seed)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The weighted loss; its parts are remembered for the log."""
        outputs = model(**inputs)
        if model.training:
            self._loss_count += 1
            self.remember({name: part for name in LOSS_NAMES[1:] if (part := getattr(outputs, name)) is not None})
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def remember(self, losses: Mapping[str, torch.Tensor]) -> None:
        """Add the parts of a training loss to the means that are logged."""
        for name, part in losses.items():
            self._loss_sums[name] = self._loss_sums.get(name, 0) + part.detach()

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor | None, Any, Any]:
        """The Trainer's own step, then the best token of each frame and the best class of each clip."""
        unwanted = [*LOSS_NAMES, *(name for name, truth in _TRUTHS.items() if truth not in inputs)]
        loss, outputs, labels = cast(
            "tuple[Any, Any, Any]", super().prediction_step(model, inputs, prediction_loss_only, unwanted)
        )
        if outputs is None:
            return loss, None, labels
        outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
        best = []
        if "labels" in inputs:
            best.append(self._best_tokens(outputs.pop(0), inputs))
        if "class_labels" in inputs:
            best.append(outputs.pop(0).argmax(dim=-1))
        return loss, tuple(best), labels

    def _best_tokens(self, logits: torch.Tensor, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        ids = logits.argmax(dim=-1)
        model = cast(Wav2Vec2ForJointCTC, self.model)
        counts = model.frame_counts(inputs["input_values"], inputs["attention_mask"])
        outside = torch.arange(ids.shape[1], device=ids.device) >= counts.to(ids.device)[:, None]
        return ids.masked_fill(outside, cast(int, model.config.pad_token_id))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log both losses beside their sum.

        Raises:
            TrainingError: the loss of an evaluation is no longer a number.
        """
        if not math.isfinite(logs.get("eval_loss", 0.0)):
            raise TrainingError(
                f"step {self.state.global_step}: the loss is not finite any more; lower --learning-rate, or train in"
                " --precision fp32"
            )
        if "loss" in logs and self._loss_count:
            logs |= {name: round(float(total) / self._loss_count, 4) for name, total in self._loss_sums.items()}
            self._loss_sums, self._loss_count = {}, 0
        super().log(logs, start_time)


def report_of(
    prediction: EvalPrediction | PredictionOutput, targets: Targets, transcriptions: Sequence[str], loss: float | None
) -> Report:
    """The full report of predictions as ``JointTrainer`` makes them.

    Args:
        prediction: token ids ``[clips, frames]``, class ids ``[clips]``, or both, and the label ids likewise.
        targets: what the ids mean.
        transcriptions: the true text of each clip.
        loss: the mean loss over the clips, where it is known.
    """
    answers, truths = _columns(prediction.predictions), _columns(prediction.label_ids)
    transcription_pairs, label_pairs = None, []
    if targets.vocabulary is not None:
        vocabulary = targets.vocabulary
        heard = [vocabulary.decode(_collapse(ids, vocabulary.blank_id)) for ids in answers[0]]
        transcription_pairs = list(zip(transcriptions, heard, strict=True))
    if targets.labels is not None:
        names = targets.labels
        label_pairs = [(names[truth], names[best]) for truth, best in zip(truths[-1], answers[-1], strict=True)]
    return make_report(
        labels=targets.labels, label_pairs=label_pairs, transcription_pairs=transcription_pairs, loss=loss
    )


def _columns(arrays: Any) -> list[npt.NDArray[np.int64]]:
    return list(arrays) if isinstance(arrays, tuple) else [arrays]


def _collapse(ids: npt.NDArray[np.int64], blank_id: int) -> list[int]:
    """Greedy CTC over the best ids ``[frames]``: repeats joined, blanks dropped; -100 joins the blanks."""
    ids = np.where(ids == PADDED, blank_id, ids)
    first = np.r_[True, ids[1:] != ids[:-1]]
    return [int(i) for i in ids[first] if i != blank_id]


def score(report: Report) -> float:
    """What the best checkpoint has most of: the mean of accuracy and of one minus the WER, over the heads there are."""
    parts = []
    if report.classification is not None:
        parts.append(report.classification.accuracy)
    if report.word_errors is not None:
        parts.append(1.0 - min(1.0, report.word_errors.rate))
    return sum(parts) / len(parts)


class Examiner:
    """Turns the predictions of an evaluation into the report's figures, and remembers the report."""

    def __init__(self, targets: Targets, transcriptions: Sequence[str]) -> None:
        self._targets, self._transcriptions = targets, transcriptions
        self.report: Report | None = None

    def __call__(self, prediction: EvalPrediction) -> dict[str, Any]:
        """The figures under the reference card's keys, and the score that the best checkpoint is chosen by."""
        self.report = self.examine(prediction)
        return self.report.metrics() | {"score": score(self.report)}

    def examine(self, prediction: EvalPrediction | PredictionOutput, loss: float | None = None) -> Report:
        """The report of one evaluation."""
        return report_of(prediction, self._targets, self._transcriptions, loss)


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
