"""One training run: its inputs, and the model and the Trainer that are made from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from transformers import TrainingArguments

from wav2edge_train.data.clips import ClipDataset, Collator
from wav2edge_train.data.corpus import Corpus
from wav2edge_train.distillation.distillation_trainer import Distillation, DistillationTrainer
from wav2edge_train.loop.distributed import process_count
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.model.base_model import BaseModel, build_model
from wav2edge_train.model.complexity import count_parameters
from wav2edge_train.model.cuda_graphs import capture_encoder
from wav2edge_train.model.freezing import Freezing, frozen_parts
from wav2edge_train.model.joint_model import JointModel
from wav2edge_train.model.shrinking import prune_feed_forward
from wav2edge_train.training_options import TrainingOptions

INCIDENTAL = ("_name_or_path", "transformers_version")
"""Fields of a config that are not part of the architecture."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """The inputs of a run; ``precision`` is the resolved one, and ``distillation`` the teacher of a student."""

    base: BaseModel
    corpus: Corpus
    options: TrainingOptions
    precision: str = "fp32"
    distillation: Distillation | None = None

    def start_model(self) -> JointModel:
        """The model before its first update, made as small as the options ask."""
        model = build_model(self.base, self.corpus.targets, self.options, self.corpus.shortest_frames)
        if self.options.prune_ffn:
            prune_feed_forward(model, self.corpus.training, self.base.extractor, self.options.prune_ffn)
        return model

    def make_trainer(self, model: JointModel, arguments: TrainingArguments) -> JointTrainer:
        """The Trainer of a model on the clips of the run; a student's has a teacher."""
        teacher = self.distillation
        trainer_class = partial(DistillationTrainer, distillation=teacher) if teacher else JointTrainer
        trainer = trainer_class(
            model=model,
            args=arguments,
            train_dataset=self.corpus.training,
            eval_dataset=self.corpus.validation,
            data_collator=Collator(
                extractor=self.base.extractor,
                teacher_normalizes=None if teacher is None else teacher.teacher.normalize,
            ),
            callbacks=[Freezing(frozen_parts(model, self.options))],
            patience=self.options.patience,
            limit_s=self.options.limit_s,
        )
        if trainer.args.device.type == "cuda":
            # Its backward pass gives NaN under a mask where scores are low (pytorch/pytorch issue 196678).
            torch.backends.cuda.enable_cudnn_sdp(enabled=False)
        options = self.options
        captured = options.cuda_graphs and not options.gradient_checkpointing and process_count() == 1
        captured = captured and model.family.name == "wav2vec2"  # whose encoder is written down for it
        if captured and trainer.args.device.type == "cuda":
            capture_encoder(trainer.joint_model)
        return trainer

    def summary(self, model: JointModel) -> str:
        """The run in one line."""
        processes = f", {process_count()} processes" if process_count() > 1 else ""
        return (
            f"{self.base.name}: {count_parameters(model) / 1e6:.2f} million parameters,"
            f" heads {' and '.join(model.config.joint_heads)}; {len(self.corpus.training)} clips to train on,"
            f" {len(self.corpus.validation)} to evaluate on; {self.precision} on {model.device.type}{processes}"
        )

    def settings(self) -> dict[str, Any]:
        """Everything that decides what the run learns, JSON-ready, by its name in messages."""
        targets = self.corpus.targets
        fields = {name: value for name, value in self.base.config.to_diff_dict().items() if name not in INCIDENTAL}
        return {
            "base": self.base.title,
            "architecture": _digest([json.dumps(fields, sort_keys=True, default=str).encode()]),
            "training clips": _clips(self.corpus.training),
            "validation clips": _clips(self.corpus.validation),
            "vocabulary": " ".join(targets.vocabulary.tokens) if targets.vocabulary else None,
            "labels": " ".join(targets.labels) if targets.labels else None,
            **json.loads(json.dumps(asdict(self.options))),
            **(asdict(self.distillation.options) if self.distillation else {}),
            "precision": self.precision,
        }


def _clips(split: ClipDataset) -> str:
    """How many clips, and a digest of their samples and labels."""
    parts = (
        part
        for example in split.examples
        for part in (
            example.samples.tobytes(),
            repr((example.token_ids, example.class_id, example.word_starts_s)).encode(),
        )
    )
    return f"{len(split)} (sha256 {_digest(parts)})"


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:12]
