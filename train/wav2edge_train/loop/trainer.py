"""Additions to the Trainer of transformers: two losses, frame counts without padding, and safe checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Sampler
from transformers import PrinterCallback, Trainer, TrainerState
from transformers.trainer import TRAINER_STATE_NAME

from wav2edge.errors import TrainingError
from wav2edge_train.checkpoint.families.framing import inside
from wav2edge_train.data.clips import ClipDataset, LengthGroupedOrder
from wav2edge_train.loop.callbacks import ELAPSED, TimeLimit, patience_is_over, recorded_s
from wav2edge_train.loop.saved_checkpoints import checkpoint_folder, keep_only, mark_complete, writing
from wav2edge_train.model.joint_model import JointModel

LOSS_NAMES = ("loss", "ctc_loss", "class_loss")
"""Fields of ``JointOutput`` that are not predictions."""

_TRUTHS = {"logits": "labels", "class_logits": "class_labels"}
"""The logits of each head, and its label input; a head without labels is not evaluated."""


class JointTrainer(Trainer):
    """Trains ``JointModel``; predictions are ``(token ids [clips, frames], class ids [clips])``.

    Frames of padding are blanks there. The Trainer by itself would keep all logits, and join batches of different
    lengths with -100, which argmax turns into token 0.
    """

    teacher: JointModel | None = None
    """A second model that runs on every training batch and is not trained."""

    def __init__(self, *args: Any, patience: int | None = None, limit_s: float | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = patience
        self.time_limit = TimeLimit(limit_s)
        self.add_callback(self.time_limit)
        self._folder = Path(cast(str, self.args.output_dir))
        self.remove_callback(PrinterCallback)  # it prints every log on standard output, which is for results
        self._loss_sums: dict[str, torch.Tensor] = {}
        self._loss_count = 0
        self._indices = torch.empty(0)
        self._unchecked: tuple[_Sent, torch.Tensor, int] | None = None

    @property
    def joint_model(self) -> JointModel:
        """The model that is trained."""
        return cast(JointModel, self.model)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        dataset = cast(ClipDataset, train_dataset or self.train_dataset)
        return LengthGroupedOrder(dataset, self.args.train_batch_size, self.args.seed)

    def _get_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader[Any]:
        """The Trainer's own, with a generator of its own.

        Loading would otherwise draw from PyTorch's generator, once an epoch or once a training depending on its
        processes, and dropout would differ with them.
        """
        loader = super()._get_dataloader(*args, **kwargs)
        cast(Any, loader).base_dataloader.generator = torch.Generator()  # Accelerate's loader wraps PyTorch's
        return loader

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The Trainer's own, or with a time limit one that reaches its end within it."""
        if self.time_limit.limit_s is None or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        schedule = str(getattr(self.args.lr_scheduler_type, "value", self.args.lr_scheduler_type))
        factor = self.time_limit.learning_rate(schedule, int(self.args.warmup_steps), num_training_steps)
        self.lr_scheduler = LambdaLR(cast(Any, optimizer or self.optimizer), factor)
        return self.lr_scheduler

    def _prepare_inputs(self, inputs: Any) -> Any:
        """The Trainer's own; the indices of the clips are for messages, not for the model."""
        self._indices = inputs.pop("indices", torch.empty(0))
        return super()._prepare_inputs(inputs)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The Trainer's own, then a check of the previous step's loss, which has arrived from a GPU by now.

        Raises:
            TrainingError: that loss is not finite.
        """
        loss = super().training_step(*args, **kwargs)
        self.check_losses()
        self._unchecked = _Sent(torch.isfinite(loss)), self._indices, self.state.global_step + 1
        return loss

    def check_losses(self) -> None:
        """Check the latest loss that was not checked yet.

        Raises:
            TrainingError: it is not finite; the message names the rows of the batch.
        """
        if self._unchecked is None:
            return
        (is_finite, indices, step), self._unchecked = self._unchecked, None
        if not is_finite.value():
            examples = cast(ClipDataset, self.train_dataset).examples
            rows = ", ".join(examples[int(index)].where for index in indices)
            raise TrainingError(
                f"step {step}: the loss of this batch is not finite: {rows}; listen to these clips, lower"
                " --learning-rate, or train in --precision fp32"
            )

    def floating_point_ops(self, inputs: Any) -> int:
        """None are counted: the count walks over every module in each step, and nothing reads it."""
        return 0

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The weighted loss; its parts are kept for the log."""
        outputs = model(**inputs)
        if model.training:
            self._loss_count += 1
            self.remember({name: part for name in LOSS_NAMES[1:] if (part := getattr(outputs, name)) is not None})
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def remember(self, losses: Mapping[str, torch.Tensor]) -> None:
        """Add the parts of a training loss to the logged means."""
        for name, part in losses.items():
            self._loss_sums[name] = self._loss_sums.get(name, 0) + part.detach()

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor | None, Any, Any]:
        """The Trainer's own step, reduced to the best token per frame and the best class per clip."""
        ignored = [*LOSS_NAMES, *(name for name, truth in _TRUTHS.items() if truth not in inputs)]
        loss, outputs, labels = cast(
            "tuple[Any, Any, Any]", super().prediction_step(model, inputs, prediction_loss_only, ignored)
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
        model = self.joint_model
        counts = model.frame_counts(inputs["input_values"], inputs["attention_mask"])
        in_clip = inside(counts.to(ids.device), ids.shape[1])
        return ids.masked_fill(~in_clip, cast(int, model.config.pad_token_id))

    def train_or_resume(self, saved: Path | None) -> None:
        """Train from the start, or resume from a checkpoint; that of a finished run is only loaded."""
        if saved is None or not self._ends_at(saved):
            self.train(resume_from_checkpoint=None if saved is None else str(saved))
            return
        self.state = TrainerState.load_from_json(str(saved / TRAINER_STATE_NAME))
        if self.args.load_best_model_at_end and self.state.best_global_step:
            saved = checkpoint_folder(saved.parent, self.state.best_global_step)
        self._load_from_checkpoint(str(saved), self.model)

    def _ends_at(self, saved: Path) -> bool:
        state = TrainerState.load_from_json(str(saved / TRAINER_STATE_NAME))
        return (
            state.global_step >= self.update_count()
            or patience_is_over(state.log_history, self._patience)
            or self.time_limit.is_over(recorded_s(state.log_history))
        )

    def update_count(self) -> int:
        """The number of updates of the whole training."""
        batches = len(self.get_train_dataloader())
        updates_per_epoch = math.ceil(batches / self.args.gradient_accumulation_steps)
        return (
            self.args.max_steps
            if self.args.max_steps > 0
            else math.ceil(self.args.num_train_epochs * updates_per_epoch)
        )

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """The Trainer's own, then the mark that makes it count; only then are older checkpoints removed."""
        run_folder = self._folder
        folder = checkpoint_folder(run_folder, self.state.global_step)
        with writing(folder, remove_partial=True):
            super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            with writing(folder, remove_partial=True):
                mark_complete(folder)
            keep_only(run_folder, {self.state.global_step, self.state.best_global_step or self.state.global_step})

    def _load_best_model(self) -> None:
        """The Trainer's own, in the current output folder: the state of a moved run holds the old path."""
        best = checkpoint_folder(self._folder, self.state.best_global_step or self.state.global_step)
        self.state.best_model_checkpoint = str(best)
        super()._load_best_model()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log both losses in addition to their sum.

        Raises:
            TrainingError: the loss of a batch or of an evaluation is not finite.
        """
        self.check_losses()
        if not math.isfinite(logs.get("eval_loss", 0.0)):
            raise TrainingError(
                f"step {self.state.global_step}: the evaluation loss is not finite; lower --learning-rate, or train in"
                " --precision fp32"
            )
        if "loss" in logs and self._loss_count:
            for name, total in self._loss_sums.items():
                mean = self.accelerator.reduce(total, "mean") / self._loss_count
                logs[name] = round(float(cast(torch.Tensor, mean)), 4)
            self._loss_sums, self._loss_count = {}, 0
        logs[ELAPSED] = round(self.time_limit.elapsed_s, 3)
        super().log(logs, start_time)


class _Sent:
    """A scalar on its way to the host.

    To ask a tensor on a GPU for its value waits for all that was launched before the question; this waits for the copy.
    """

    def __init__(self, value: torch.Tensor) -> None:
        self._copy, self._arrived = value, None
        if value.is_cuda:
            self._copy = torch.empty_like(value, device="cpu", pin_memory=True).copy_(value, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def value(self) -> bool:
        """Whether it is anything but zero."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return bool(self._copy)
