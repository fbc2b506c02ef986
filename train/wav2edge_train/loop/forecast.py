"""An estimate of what a training takes: the data in figures, memory, disk, and time measured on a few real updates."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.data import Subset
from transformers import TrainerCallback, TrainerControl, TrainerState

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge_train.checkpoint.durable import sync
from wav2edge_train.data.clips import ClipDataset, LengthGroupedOrder
from wav2edge_train.loop.callbacks import UNBOUNDED_STEPS
from wav2edge_train.loop.feature_pretraining import pretrain_feature_encoder
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.loop.training_run import Run
from wav2edge_train.model.complexity import count_parameters
from wav2edge_train.model.joint_model import JointModel
from wav2edge_train.reporting.size_comparison import longest_comparison_s

UPDATES = 3
"""Updates that are really made; the first, with the longest clips, warms up and shows the memory."""

PRETRAINING_STEPS = 4
"""Updates of feature pre-training that are timed, after one that warms up."""

EVALUATED = 32
"""Validation clips that are really evaluated."""

PROBE_BYTES = 32_000_000
"""Bytes written to measure the speed of the disk."""

WEIGHT, GRADIENT, ADAM = 4, 4, 8
"""Bytes per weight in float32: the weight, and in training its gradient and two moments."""

MEMORY_ON_A_CPU = "weights, gradients, moments and the longest batch, besides about 1 GB for PyTorch, and the clips"


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Figures of a training that has not begun; ``memory_how`` is whether memory was measured or added up.

    ``training_s`` is the time of the updates alone; ``total_s`` adds feature pre-training, evaluations, saving, and the
    comparison of a smaller model with the larger one.
    """

    clips: Mapping[str, int]
    lengths_s: Mapping[str, tuple[float, float, float]]
    left_out: int
    clips_with_word_starts: int
    vocabulary: Sequence[str]
    classes: Mapping[str, Mapping[str, int]]
    parameters: int
    trained_parameters: int
    updates: int
    feature_pretrain_steps: int
    update_s: float
    training_s: float
    pretraining_s: float
    evaluation_s: float
    saving_s: float
    comparison_s: float
    memory_bytes: int
    memory_how: str
    disk_bytes: int

    @property
    def total_s(self) -> float:
        """The whole time of the training."""
        return self.training_s + self.pretraining_s + self.evaluation_s + self.saving_s + self.comparison_s

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self) | {"total_s": self.total_s}

    def table(self) -> str:
        """The figures as aligned text for a terminal."""
        lines = {
            f"{split} clips": f"{count}, {low:.2f} to {high:.2f} s, median {middle:.2f} s"
            for (split, count), (low, middle, high) in zip(self.clips.items(), self.lengths_s.values(), strict=True)
        }
        lines["left out"] = f"{self.left_out} too short for their transcription"
        if self.clips_with_word_starts:
            lines["word starts"] = f"of {self.clips_with_word_starts} training clips"
        if self.vocabulary:
            lines["vocabulary"] = f"{len(self.vocabulary)}: {' '.join(self.vocabulary)}"
        for label, counts in self.classes.items():
            lines[f"class {label}"] = ", ".join(f"{count} {split}" for split, count in counts.items())
        lines["parameters"] = f"{self.parameters / 1e6:.2f} million, {self.trained_parameters / 1e6:.2f} trained"
        lines["updates"] = f"{self.updates}, about {self.update_s:.2f} s each"
        if self.feature_pretrain_steps:
            lines["pre-training"] = f"{self.feature_pretrain_steps} updates of the convolutions alone"
        parts = {
            "updates": self.training_s,
            "feature pre-training": self.pretraining_s,
            "evaluations": self.evaluation_s,
            "saving": self.saving_s,
            "comparison": self.comparison_s,
        }
        times = ", ".join(f"{name} {_span(seconds)}" for name, seconds in parts.items() if seconds)
        lines["time"] = f"about {_span(self.total_s)}: {times}"
        lines["memory"] = f"about {self.memory_bytes / 1e9:.2f} GB ({self.memory_how})"
        lines["disk"] = f"up to {self.disk_bytes / 1e9:.2f} GB of saved checkpoints"
        width = max(map(len, lines))
        return "\n".join(f"{name:{width}}  {value}" for name, value in lines.items())


class Stopwatch(TrainerCallback):
    """Measures the time of each update, and stops after a few."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._started_s = 0.0

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Before an update."""
        self._started_s = _now_s()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After an update."""
        self.seconds.append(_now_s() - self._started_s)
        if len(self.seconds) >= UPDATES:
            control.should_training_stop = True


def forecast(trainer: JointTrainer, run: Run) -> Forecast:
    """Make a few updates with a trainer that saves and evaluates nothing, and extrapolate.

    Args:
        trainer: a trainer of the real model on the real clips; it cannot be used afterwards.
        run: the inputs of the run.
    """
    corpus, options, model = run.corpus, run.options, trainer.joint_model
    steps = options.feature_pretrain_steps if run.base.weights is None else 0
    activations = 0 if torch.cuda.is_available() else activation_bytes(trainer)
    most = trainer.update_count()
    update_s = measure_update_s(trainer)
    trained = sum(weights.numel() for weights in model.parameters() if weights.requires_grad)
    parameters = count_parameters(model)
    states = WEIGHT * (parameters + (count_parameters(trainer.teacher) if trainer.teacher else 0))
    states += (GRADIENT + ADAM) * trained
    checkpoint = WEIGHT * parameters + ADAM * trained
    evaluation_s = measure_evaluation_s(trainer, corpus.validation)
    saving_s = checkpoint * measure_write_s_per_byte(Path(trainer.args.output_dir or "."))
    updates = min(most, updates_within(options.limit_s, update_s, (evaluation_s + saving_s) / options.eval_steps))
    evaluations = -(-updates // options.eval_steps) + 1
    smaller = run.distillation is not None or options.encoder_layers is not None or options.prune_ffn > 0
    splits = {"train": corpus.training, "validation": corpus.validation}
    return Forecast(
        clips={name: len(split) for name, split in splits.items()},
        lengths_s={name: lengths_s(split) for name, split in splits.items()},
        left_out=corpus.left_out,
        clips_with_word_starts=corpus.training.clips_with_word_starts,
        vocabulary=corpus.targets.vocabulary.tokens if corpus.targets.vocabulary else (),
        classes=class_counts(splits, corpus.targets.labels or ()),
        parameters=parameters,
        trained_parameters=trained,
        updates=updates,
        feature_pretrain_steps=steps,
        update_s=update_s,
        training_s=update_s * updates,
        pretraining_s=measure_pretraining_s(model, corpus.training, steps),
        evaluation_s=evaluations * evaluation_s,
        saving_s=evaluations * saving_s,
        comparison_s=longest_comparison_s() if smaller else 0.0,
        memory_bytes=torch.cuda.max_memory_allocated() if torch.cuda.is_available() else states + activations,
        memory_how="measured" if torch.cuda.is_available() else MEMORY_ON_A_CPU,
        disk_bytes=2 * checkpoint,
    )


def updates_within(limit_s: float | None, update_s: float, evaluation_s: float) -> int:
    """How many updates fit into a time, at least one; without a limit as many as a training may have.

    Args:
        limit_s: the time.
        update_s: the time of an update.
        evaluation_s: an update's share of the evaluations, each with a checkpoint.
    """
    return UNBOUNDED_STEPS if limit_s is None else max(1, int(limit_s / (update_s + evaluation_s)))


def measure_update_s(trainer: JointTrainer) -> float:
    """Make a few updates, and return the time of one of average length."""
    watch = Stopwatch()
    trainer.add_callback(watch)
    trainer.train()
    padded = padded_samples(trainer)
    timed = range(1 if len(watch.seconds) > 1 else 0, len(watch.seconds))
    seconds_per_sample = sum(watch.seconds[i] for i in timed) / sum(padded[i % len(padded)] for i in timed)
    return seconds_per_sample * sum(padded) / len(padded)


def measure_pretraining_s(model: JointModel, clips: ClipDataset, steps: int) -> float:
    """The time of all steps of feature pre-training, from a few; the feature encoder changes."""
    if not steps:
        return 0.0

    def seconds(count: int) -> float:
        started_s = _now_s()
        pretrain_feature_encoder(model, clips, steps=count, seed=0)
        return _now_s() - started_s

    first_s = seconds(1)  # the clips are prepared in it, which happens once
    step_s = (seconds(1 + PRETRAINING_STEPS) - seconds(1)) / PRETRAINING_STEPS
    return first_s + (steps - 1) * max(0.0, step_s)


def measure_evaluation_s(trainer: JointTrainer, clips: ClipDataset) -> float:
    """The time to evaluate all clips, from some of them."""
    chosen = range(0, len(clips), -(-len(clips) // EVALUATED))
    some = Subset(clips, chosen)
    trainer.predict(Subset(clips, chosen[:1]))  # warm-up
    started_s = _now_s()
    trainer.predict(some)
    share = sum(len(clips.examples[index].samples) for index in chosen) / sum(len(e.samples) for e in clips.examples)
    return (_now_s() - started_s) / share


def measure_write_s_per_byte(folder: Path) -> float:
    """The time per byte of writing a file that reaches the disk."""
    probe, content = folder / "probe", os.urandom(PROBE_BYTES)
    started_s = _now_s()
    probe.write_bytes(content)
    sync(probe)
    probe.unlink()
    return (_now_s() - started_s) / PROBE_BYTES


def lengths_s(split: ClipDataset) -> tuple[float, float, float]:
    """Shortest, median and longest clip."""
    lengths = [len(example.samples) / SAMPLE_RATE_HZ for example in split.examples]
    return min(lengths), median(lengths), max(lengths)


def class_counts(splits: Mapping[str, ClipDataset], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """Clips of each class in each split."""
    return {
        label: {name: sum(example.class_id == place for example in split.examples) for name, split in splits.items()}
        for place, label in enumerate(labels)
    }


def padded_samples(trainer: JointTrainer) -> list[int]:
    """Samples per update of the first epoch, padding included."""
    dataset, size = cast(ClipDataset, trainer.train_dataset), trainer.args.train_batch_size
    order = list(LengthGroupedOrder(dataset, size, trainer.args.seed))
    batches = [
        size * max(len(dataset.examples[index].samples) for index in order[start : start + size])
        for start in range(0, len(order), size)
    ]
    together = trainer.args.gradient_accumulation_steps * trainer.args.world_size
    return [sum(batches[start : start + together]) for start in range(0, len(batches), together)]


def activation_bytes(trainer: JointTrainer) -> int:
    """Bytes that the longest batch keeps for the backward pass, without the weights."""
    model, dataset = trainer.joint_model, cast(ClipDataset, trainer.train_dataset)
    longest = sorted(range(len(dataset)), key=lambda index: -len(dataset.examples[index].samples))
    batch = cast(Any, trainer.data_collator)([dataset[index] for index in longest[: trainer.args.train_batch_size]])
    batch.pop("indices")
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.train()
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = model(**batch)
    del outputs
    return sum(kept.values())


def _now_s() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _span(seconds: float) -> str:
    """A duration for people to read."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
