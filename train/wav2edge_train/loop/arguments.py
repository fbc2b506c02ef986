"""Training options as arguments of transformers' Trainer, and what they need of this machine."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainingArguments
from transformers.integrations.integration_utils import TensorBoardCallback
from transformers.trainer_utils import IntervalStrategy, SaveStrategy

from wav2edge.errors import MissingDependencyError, UsageError
from wav2edge.inference.sessions.device import physical_cores
from wav2edge_train.checkpoint.families.family_table import padding_is_harmless
from wav2edge_train.data.clips import Targets
from wav2edge_train.loop.callbacks import UNBOUNDED_STEPS
from wav2edge_train.loop.distributed import process_count
from wav2edge_train.model.base_model import BaseModel
from wav2edge_train.training_options import TrainingOptions


class CpuDistributedArguments(TrainingArguments):
    """Several processes on one CPU; Accelerate names it ``cpu:0``, a device that PyTorch loads no checkpoint to."""

    @property
    def device(self) -> torch.device:
        """The CPU, without a number."""
        return torch.device(super().device.type)


MOST_DATALOADER_WORKERS = 8
"""Processes that augment and pad clips while a GPU trains: a clip takes up to 4 ms, and a fast GPU trains on a thousand
in a second. On a CPU they would compete with the model for its cores."""


def training_arguments(
    folder: Path, base: BaseModel, targets: Targets, options: TrainingOptions, precision: str
) -> TrainingArguments:
    """The Trainer's arguments: Adam (0.9, 0.999, 1e-8), with evaluations, logs and checkpoints at the same steps."""
    cpu = not torch.cuda.is_available()
    distributed_on_cpu = cpu and process_count() > 1
    harmless = padding_is_harmless(base.config)
    # TrainingArguments leaves its precision there, and the next ones of this process would take it.
    os.environ["ACCELERATE_MIXED_PRECISION"] = "no" if precision == "fp32" else precision
    return (CpuDistributedArguments if distributed_on_cpu else TrainingArguments)(
        output_dir=str(folder),
        learning_rate=options.learning_rate,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size if harmless else 1,
        gradient_accumulation_steps=options.accumulation,
        num_train_epochs=options.epochs,
        max_steps=options.max_steps or (-1 if options.max_minutes is None else UNBOUNDED_STEPS),
        warmup_steps=options.warmup_steps,
        lr_scheduler_type=options.schedule,
        weight_decay=options.weight_decay,
        optim="adamw_torch_fused",
        seed=options.seed,
        use_cpu=distributed_on_cpu or (cpu and precision == "bf16"),  # unasked, bfloat16 is a GPU's
        ddp_backend="gloo" if distributed_on_cpu else None,
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
        dataloader_num_workers=dataloader_workers(),
        dataloader_persistent_workers=dataloader_workers() > 0,
        accelerator_config={
            "non_blocking": torch.cuda.is_available()
        },  # otherwise each batch waits for the previous one
        disable_tqdm=True,
        gradient_checkpointing=options.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},  # the reentrant kind needs gradients of the waveform
        logging_nan_inf_filter=False,  # JointTrainer ends the run instead
        report_to="none",  # `tensorboard_callback` is told where to write, which no argument does in transformers 5
    )


def updates_only(arguments: TrainingArguments) -> TrainingArguments:
    """The same arguments, changed in place so that the Trainer neither evaluates nor saves."""
    arguments.eval_strategy, arguments.save_strategy = IntervalStrategy.NO, SaveStrategy.NO
    arguments.load_best_model_at_end = False
    return arguments


def dataloader_workers() -> int:
    """How many processes prepare batches for one that trains, one on each core but its own; 0: it does so itself."""
    if not torch.cuda.is_available():
        return 0
    return min(MOST_DATALOADER_WORKERS, max(1, physical_cores() // process_count() - 1))


_LABEL_INPUTS = {"labels": "vocabulary", "class_labels": "labels"}
"""The model's label inputs, and the field of ``Targets`` that each belongs to."""


def resolve_precision(requested: str) -> str:
    """Resolve the requested precision; ``auto`` is float32 on a CPU, bfloat16 on a GPU that has it, otherwise float16.

    Raises:
        UsageError: float16 on a CPU, or bfloat16 on a GPU without it.
    """
    cuda = torch.cuda.is_available()
    bf16 = not cuda or torch.cuda.is_bf16_supported()
    if requested == "auto":
        return ("bf16" if bf16 else "fp16") if cuda else "fp32"
    if requested == "fp16" and not cuda:
        raise UsageError("precision fp16 needs a CUDA GPU, and none is available; use --precision fp32")
    if requested == "bf16" and not bf16:
        raise UsageError("precision bf16 needs a GPU that supports it (Ampere or newer); use --precision fp16")
    return requested


def tensorboard_callback(folder: Path) -> TrainerCallback:
    """What writes the log of a Trainer to TensorBoard event files in a folder."""
    from torch.utils.tensorboard import SummaryWriter  # an optional package, which takes a second to import

    return TensorBoardCallback(SummaryWriter(str(folder)))


def require_tensorboard() -> None:
    """Check before the first step that the optional package is there.

    Raises:
        MissingDependencyError: TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise MissingDependencyError(
            "`--tensorboard` needs tensorboard, which is not installed; run: pip install 'wav2edge[tensorboard]'"
        )
