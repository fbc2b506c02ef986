"""How to train: all options in one checked value; the defaults are those of the reference run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from wav2edge.errors import UsageError
from wav2edge.evaluation.text_normalization import TextNormalization
from wav2edge_train.data.augmentation import AUGMENTATIONS

LARGEST_NUMBER = 2**32 - 1
"""That of seeds; everything else means nothing long before it."""
PRECISIONS = ("auto", "fp32", "fp16", "bf16")
SCHEDULES = ("linear", "cosine", "constant_with_warmup")
KEEP = ("best", "last")
LAYERS_FROM = ("first", "even")
CLASS_BALANCES = ("none", "balanced")
HEAD_CHOICES: dict[str, tuple[str, ...]] = {
    "auto": (),
    "both": ("ctc", "classification"),
    "ctc": ("ctc",),
    "classification": ("classification",),
}
"""The values of ``--heads``, and the heads that each means; ``auto`` takes those that the data has labels for."""


@dataclass(frozen=True, kw_only=True)
class _Options:
    """Making options from mappings, and the bound of all their numbers."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and value > LARGEST_NUMBER:
                raise UsageError(f"{field.name} is {value}; it must be below 2^32")

    @classmethod
    def of(cls, *defaults: Mapping[str, Any]) -> Self:
        """Options from mappings, of which later ones win; values of None and unknown names are ignored."""
        known = {field.name for field in fields(cls)}
        given = {name: value for layer in defaults for name, value in layer.items() if value is not None}
        return cls(**{name: value for name, value in given.items() if name in known})


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(_Options):
    """The defaults are those of the reference run on XLSR-53; presets bring their own.

    ``epochs`` is ignored when ``max_steps`` or ``max_minutes`` is given; of these two the first that is reached ends
    the training, and the learning rate has fallen by then, see ``loop.callbacks``. ``batch_size`` clips go through the
    model at once, and ``accumulation`` such batches make one update. ``eval_steps`` are updates between two
    evaluations. ``feature_pretrain_steps`` are updates of ``loop.feature_pretraining``, for random weights only.
    ``encoder_layers`` are the transformer layers to start with, all if it is None, and ``prune_ffn`` is the share of
    their feed-forward width that is removed before training; see ``model.shrinking``. ``lowercase`` and
    ``strip_punctuation`` normalise the transcripts; see ``wav2edge.evaluation.text_normalization``.
    ``follow_word_starts`` binds the CTC loss to when words begin, in clips whose rows say so; see ``data.emission``.
    ``cuda_graphs`` replays the transformer on a GPU as CUDA graphs; see ``model.cuda_graphs``.
    ``streaming`` trains for streams as well as for whole clips, which give the answer to a frame ``stream_delay_ms``
    later; each batch draws one of the chunks, look-aheads and left contexts, see ``model.chunked_encoder``.
    ``mask_time`` and ``mask_features`` are the shares of frames and of channels that SpecAugment masks; None leaves
    them as the base has them.
    ``class_balance`` "balanced" weighs each class in the cross-entropy by ``clips / (classes * clips of the class)``.
    Frozen parts stay frozen for the whole training, or until the update given by ``unfreeze_..._after``; see
    ``model.freezing``. ``patience`` is how many evaluations may pass without a new best.
    """

    learning_rate: float = 3e-4
    batch_size: int = 8
    accumulation: int = 2
    epochs: float = 70.0
    max_steps: int | None = None
    max_minutes: float | None = None
    feature_pretrain_steps: int = 0
    warmup_steps: int = 200
    schedule: str = "linear"
    weight_decay: float = 0.0
    seed: int = 42
    precision: str = "auto"
    heads: str = "auto"
    class_weight: float = 1.0
    ctc_weight: float = 1.0
    class_balance: str = "none"
    freeze_feature_encoder: bool = True
    unfreeze_feature_encoder_after: int | None = None
    freeze_layers: int = 0
    unfreeze_layers_after: int | None = None
    gradient_checkpointing: bool = False
    cuda_graphs: bool = True
    augmentation: str = "none"
    mask_time: float | None = None
    mask_features: float | None = None
    follow_word_starts: bool = True
    lowercase: bool = False
    strip_punctuation: bool = False
    eval_steps: int = 100
    patience: int | None = None
    keep: str = "best"
    encoder_layers: int | None = None
    layers_from: str = "first"
    prune_ffn: float = 0.0
    tensorboard: bool = False
    streaming: bool = False
    stream_delay_ms: int = 240
    stream_chunks_ms: tuple[int, ...] = (80, 160, 320, 640)
    stream_look_ahead_ms: tuple[int, ...] = (0, 40, 80, 160)
    stream_left_context_s: tuple[float, ...] = (0.64, 1.28, 2.56)

    @property
    def text_normalization(self) -> TextNormalization:
        """What is done to transcripts, in training as in validation."""
        return TextNormalization(lowercase=self.lowercase, strip_punctuation=self.strip_punctuation)

    @property
    def limit_s(self) -> float | None:
        """The time limit in seconds."""
        return None if self.max_minutes is None else 60.0 * self.max_minutes

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise UsageError(f"{name} {getattr(self, name)!r} is unknown; choose {', '.join(known)}")
        for name in ("learning_rate", "batch_size", "accumulation", "epochs", "eval_steps"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in (
            "feature_pretrain_steps",
            "warmup_steps",
            "weight_decay",
            "seed",
            "class_weight",
            "ctc_weight",
            "freeze_layers",
            "stream_delay_ms",
        ):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be 0 or above")
        if self.max_minutes is not None and not 0 < self.max_minutes < math.inf:
            raise UsageError(f"max_minutes is {self.max_minutes}; it must be above 0 and finite")
        for name in ("prune_ffn", "mask_time", "mask_features"):
            if (share := getattr(self, name)) is not None and not 0 <= share < 1:
                raise UsageError(f"{name} is {share}; it is a share, at least 0 and below 1")
        for name in ("max_steps", "patience", "unfreeze_feature_encoder_after", "unfreeze_layers_after"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UsageError(f"{name} is {value}; it must be above 0")
        if self.class_weight == self.ctc_weight == 0:
            raise UsageError("class_weight and ctc_weight are both 0; nothing would be learnt")
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class DistillationOptions(_Options):
    """Weights of the losses against the teacher, in addition to those of the labels; see ``distillation_trainer``.

    Frames and hidden states, of which each clip has many, teach more than its one class: with these weights a student
    of half the layers reached WER 0.102 on unseen speakers after three epochs, and 0.115 with all weights at 1.
    """

    temperature: float = 2.0
    ctc_distill_weight: float = 2.0
    class_distill_weight: float = 1.0
    hidden_distill_weight: float = 4.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise UsageError(f"temperature is {self.temperature}; it must be above 0")
        weights = ("ctc_distill_weight", "class_distill_weight", "hidden_distill_weight")
        for name in weights:
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be 0 or above")
        if not any(getattr(self, name) for name in weights):
            raise UsageError("all three weights of distillation are 0; nothing would be learnt from the teacher")
        super().__post_init__()


_CHOICES: dict[str, tuple[str, ...]] = {
    "precision": PRECISIONS,
    "schedule": SCHEDULES,
    "heads": tuple(HEAD_CHOICES),
    "augmentation": tuple(AUGMENTATIONS),
    "keep": KEEP,
    "layers_from": LAYERS_FROM,
    "class_balance": CLASS_BALANCES,
}
