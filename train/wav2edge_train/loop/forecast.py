"""What a training will take, before its first step: the data in figures, memory, and time, from a few real updates."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, cast

import torch
from torch.autograd.graph import saved_tensors_hooks
from transformers import TrainerCallback, TrainerControl, TrainerState

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge_train.data.clips import ClipDataset, LengthGroupedOrder
from wav2edge_train.data.corpus import Corpus
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.training_options import TrainingOptions

UPDATES = 3
"""Updates that are really made; the first, with the longest clips, warms up and shows the memory."""

WEIGHT, GRADIENT, ADAM = 4, 4, 8
"""Bytes a weight takes in float32: itself, and in training its gradient and two moments."""

FORWARD_SHARE = 1 / 3
"""Evaluation runs forward only; backward takes twice as long as forward."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Figures of a training that has not begun; ``memory_how`` says whether memory was measured or added up."""

    clips: Mapping[str, int]
    lengths_s: Mapping[str, tuple[float, float, float]]
    left_out: int
    vocabulary: Sequence[str]
    classes: Mapping[str, Mapping[str, int]]
    parameters: int
    trained_parameters: int
    updates: int
    hearing_steps: int
    update_s: float
    training_s: float
    evaluation_s: float
    memory_bytes: int
    memory_how: str
    disk_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)

    def table(self) -> str:
        """The figures as aligned text for a terminal."""
        lines = {
            f"{split} clips": f"{count}, {low:.2f} to {high:.2f} s, median {middle:.2f} s"
            for (split, count), (low, middle, high) in zip(self.clips.items(), self.lengths_s.values(), strict=True)
        }
        lines["left out"] = f"{self.left_out} too short for their transcription"
        if self.vocabulary:
            lines["vocabulary"] = f"{len(self.vocabulary)}: {' '.join(self.vocabulary)}"
        for label, counts in self.classes.items():
            lines[f"class {label}"] = ", ".join(f"{count} {split}" for split, count in counts.items())
        lines["parameters"] = f"{self.parameters / 1e6:.2f} million, {self.trained_parameters / 1e6:.2f} trained"
        lines["updates"] = f"{self.updates}, about {self.update_s:.2f} s each"
        if self.hearing_steps:
            lines["head start"] = f"{self.hearing_steps} updates of the convolutions alone, not counted in the time"
        lines["time"] = f"about {_span(self.training_s)} and {_span(self.evaluation_s)} of evaluations"
        lines["memory"] = f"about {self.memory_bytes / 1e9:.2f} GB ({self.memory_how})"
        lines["disk"] = f"up to {self.disk_bytes / 1e9:.2f} GB of saved steps"
        width = max(map(len, lines))
        return "\n".join(f"{name:{width}}  {value}" for name, value in lines.items())


class Stopwatch(TrainerCallback):
    """Notes how long each update takes."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._started_s = 0.0

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Before an update."""
        self._started_s = _now_s()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After it; a few are enough."""
        self.seconds.append(_now_s() - self._started_s)
        if len(self.seconds) >= UPDATES:
            control.should_training_stop = True


def forecast(trainer: JointTrainer, corpus: Corpus, options: TrainingOptions) -> Forecast:
    """Make a few updates with a trainer that saves and evaluates nothing, and reckon from them.

    Args:
        trainer: of the real model and the real clips; it is of no use afterwards.
        corpus: what it trains on.
        options: how it would train.
    """
    model = cast(Wav2Vec2ForJointCTC, trainer.model)
    updates = trainer.update_count()
    activations = 0 if torch.cuda.is_available() else activation_bytes(trainer)
    watch = Stopwatch()
    trainer.add_callback(watch)
    trainer.train()
    padded = padded_samples(trainer)
    timed = range(1 if len(watch.seconds) > 1 else 0, len(watch.seconds))
    second_a_sample = sum(watch.seconds[i] for i in timed) / sum(padded[i % len(padded)] for i in timed)
    update_s = second_a_sample * sum(padded) / len(padded)
    heard = sum(len(example.samples) for example in corpus.validation.examples)
    evaluations = -(-updates // options.eval_steps) + 1
    trained = sum(weights.numel() for weights in model.parameters() if weights.requires_grad)
    parameters = sum(weights.numel() for weights in model.parameters())
    taught_by = sum(weights.numel() for weights in trainer.teacher.parameters()) if trainer.teacher else 0
    states = WEIGHT * (parameters + taught_by) + (GRADIENT + ADAM) * trained
    measured = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else states + activations
    splits = {"train": corpus.training, "validation": corpus.validation}
    return Forecast(
        clips={name: len(split) for name, split in splits.items()},
        lengths_s={name: lengths_s(split) for name, split in splits.items()},
        left_out=corpus.left_out,
        vocabulary=corpus.targets.vocabulary.tokens if corpus.targets.vocabulary else (),
        classes=class_counts(splits, corpus.targets.labels or ()),
        parameters=parameters,
        trained_parameters=trained,
        updates=updates,
        hearing_steps=options.hearing_steps,
        update_s=update_s,
        training_s=update_s * updates,
        evaluation_s=evaluations * heard * second_a_sample * FORWARD_SHARE,
        memory_bytes=measured,
        memory_how="measured" if torch.cuda.is_available() else "weights, gradients, moments and the longest batch",
        disk_bytes=2 * (WEIGHT * parameters + ADAM * trained),
    )


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
    """Samples that each update of the first epoch takes through the model, padding included."""
    dataset, size = cast(ClipDataset, trainer.train_dataset), trainer.args.train_batch_size
    order = list(LengthGroupedOrder(dataset, size, trainer.args.seed))
    batches = [
        size * max(len(dataset.examples[index].samples) for index in order[start : start + size])
        for start in range(0, len(order), size)
    ]
    together = trainer.args.gradient_accumulation_steps * trainer.args.world_size
    return [sum(batches[start : start + together]) for start in range(0, len(batches), together)]


def activation_bytes(trainer: JointTrainer) -> int:
    """What the longest batch keeps for the way back, weights apart."""
    model, dataset = cast(Wav2Vec2ForJointCTC, trainer.model), cast(ClipDataset, trainer.train_dataset)
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
    """A time as a person says it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
