"""What the Trainer of transformers does not do by itself: two losses, true frame counts, and steps saved whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import Sampler
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PredictionOutput

from wav2edge.errors import TrainingError
from wav2edge.evaluation.report import Report, make_report
from wav2edge_train.data.clips import ClipDataset, LengthGroupedOrder, Targets
from wav2edge_train.loop.saved_checkpoints import keep_only, mark_whole, step_folder, writing
from wav2edge_train.loop.stopping import patience_is_over
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

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

    teacher: Wav2Vec2ForJointCTC | None = None
    """Another model that answers every batch in training, and is not trained."""

    def __init__(self, *args: Any, patience: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = patience
        self._folder = Path(cast(str, self.args.output_dir))
        self.remove_callback(PrinterCallback)  # it prints every log on standard output, where answers go
        self._loss_sums: dict[str, torch.Tensor] = {}
        self._loss_count = 0
        self._indices = torch.empty(0)
        self._unchecked: tuple[torch.Tensor, torch.Tensor, int] | None = None

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        dataset = cast(ClipDataset, train_dataset or self.train_dataset)
        return LengthGroupedOrder(dataset, self.args.train_batch_size, self.args.seed)

    def _prepare_inputs(self, inputs: Any) -> Any:
        """The Trainer's own; which clips a batch holds is for messages, and no model takes it."""
        self._indices = inputs.pop("indices", torch.empty(0))
        return super()._prepare_inputs(inputs)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The Trainer's own, and a look at the loss of the step before.

        By then a GPU has found it out, so that nobody waits for it.
        """
        loss = super().training_step(*args, **kwargs)
        self.check_losses()
        self._unchecked = loss, self._indices, self.state.global_step + 1
        return loss

    def check_losses(self) -> None:
        """Look at the newest loss that nobody looked at yet.

        Raises:
            TrainingError: it is no longer a number; the message names the batch's rows.
        """
        if self._unchecked is None:
            return
        (loss, indices, step), self._unchecked = self._unchecked, None
        if not torch.isfinite(loss):
            examples = cast(ClipDataset, self.train_dataset).examples
            rows = ", ".join(examples[int(index)].where for index in indices)
            raise TrainingError(
                f"step {step}: the loss of this batch is not finite: {rows}; listen to these clips, lower"
                " --learning-rate, or train in --precision fp32"
            )

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

    def go_on_from(self, saved: Path | None) -> None:
        """Train: from the start, or from a saved step; where that was the last one its weights are only loaded."""
        if saved is None or not self._ends_at(saved):
            self.train(resume_from_checkpoint=None if saved is None else str(saved))
            return
        self.state = TrainerState.load_from_json(str(saved / TRAINER_STATE_NAME))
        if self.args.load_best_model_at_end and self.state.best_global_step:
            saved = step_folder(saved.parent, self.state.best_global_step)
        self._load_from_checkpoint(str(saved), self.model)

    def _ends_at(self, saved: Path) -> bool:
        state = TrainerState.load_from_json(str(saved / TRAINER_STATE_NAME))
        return state.global_step >= self.update_count() or patience_is_over(state.log_history, self._patience)

    def update_count(self) -> int:
        """Updates of the whole training."""
        batches = len(self.get_train_dataloader())
        updates_an_epoch = math.ceil(batches / self.args.gradient_accumulation_steps)
        return (
            self.args.max_steps if self.args.max_steps > 0 else math.ceil(self.args.num_train_epochs * updates_an_epoch)
        )

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """The Trainer's own, which counts once its mark is written; the steps before it go after that."""
        run_folder = self._folder
        folder = step_folder(run_folder, self.state.global_step)
        with writing(folder, whole=True):
            super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            with writing(folder, whole=True):
                mark_whole(folder)
            keep_only(run_folder, {self.state.global_step, self.state.best_global_step or self.state.global_step})

    def _load_best_model(self) -> None:
        """The Trainer's own, where the run is now: an output that was moved remembers its old place."""
        best = step_folder(self._folder, self.state.best_global_step or self.state.global_step)
        self.state.best_model_checkpoint = str(best)
        super()._load_best_model()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log both losses beside their sum.

        Raises:
            TrainingError: the loss of a batch or of an evaluation is no longer a number.
        """
        self.check_losses()
        if not math.isfinite(logs.get("eval_loss", 0.0)):
            raise TrainingError(
                f"step {self.state.global_step}: the loss is not finite any more; lower --learning-rate, or train in"
                " --precision fp32"
            )
        if "loss" in logs and self._loss_count:
            for name, total in self._loss_sums.items():
                mean = self.accelerator.reduce(total, "mean") / self._loss_count
                logs[name] = round(float(cast(torch.Tensor, mean)), 4)
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
