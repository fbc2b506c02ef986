"""Our options in the words of transformers' Trainer."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import TrainingArguments
from transformers.trainer_utils import IntervalStrategy, SaveStrategy

from wav2edge_train.data.clips import Targets
from wav2edge_train.loop.distributed import process_count
from wav2edge_train.model.base_model import Base
from wav2edge_train.training_options import TrainingOptions


class TogetherOnCpu(TrainingArguments):
    """Several processes on one CPU; Accelerate calls it ``cpu:0``, and PyTorch loads no saved step to such a place."""

    @property
    def device(self) -> torch.device:
        """The one place there is."""
        return torch.device(super().device.type)


LOADERS = 2
"""Processes that vary and pad clips while a GPU learns: a clip takes 4 ms, and the GPU must not wait for it. On a CPU
they would compete with the model for its cores."""


def training_arguments(
    folder: Path, base: Base, targets: Targets, options: TrainingOptions, precision: str
) -> TrainingArguments:
    """The Trainer's arguments: Adam (0.9, 0.999, 1e-8), evaluated, logged and saved at the same steps."""
    together_on_cpu = process_count() > 1 and not torch.cuda.is_available()
    padding_is_harmless = base.config.feat_extract_norm == "layer"
    return (TogetherOnCpu if together_on_cpu else TrainingArguments)(
        output_dir=str(folder),
        learning_rate=options.learning_rate,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size if padding_is_harmless else 1,
        gradient_accumulation_steps=options.accumulation,
        num_train_epochs=options.epochs,
        max_steps=options.max_steps or -1,
        warmup_steps=options.warmup_steps,
        lr_scheduler_type=options.schedule,
        weight_decay=options.weight_decay,
        optim="adamw_torch_fused",
        seed=options.seed,
        use_cpu=together_on_cpu,
        ddp_backend="gloo" if together_on_cpu else None,
        fp16=precision == "fp16",
        bf16=precision == "bf16",
        eval_strategy="steps",
        eval_steps=options.eval_steps,
        logging_steps=options.eval_steps,
        save_steps=options.eval_steps,
        load_best_model_at_end=options.keep == "best",
        metric_for_best_model="score" if options.keep == "best" else None,
        greater_is_better=True,
        label_names=[name for name, target in _LABEL_INPUTS.items() if getattr(targets, target) is not None],
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        dataloader_num_workers=loaders(),
        accelerator_config={"non_blocking": torch.cuda.is_available()},  # else each batch waits for the one before it
        disable_tqdm=True,
        gradient_checkpointing=options.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},  # the other kind needs gradients of the waveform
        logging_nan_inf_filter=False,  # JointTrainer ends the run instead
        report_to="tensorboard" if options.tensorboard else "none",
        logging_dir=str(folder.parent / "tensorboard"),
    )


def updates_only(arguments: TrainingArguments) -> TrainingArguments:
    """The same arguments, changed in place so that the Trainer neither evaluates nor saves."""
    arguments.eval_strategy, arguments.save_strategy = IntervalStrategy.NO, SaveStrategy.NO
    arguments.load_best_model_at_end = False
    return arguments


def loaders() -> int:
    """How many processes prepare batches on this machine; none means the training itself."""
    return LOADERS if torch.cuda.is_available() else 0


_LABEL_INPUTS = {"labels": "vocabulary", "class_labels": "labels"}
"""Inputs of the model that hold truths, and the target each belongs to."""
