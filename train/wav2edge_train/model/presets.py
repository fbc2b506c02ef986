"""Presets: models small enough to train from scratch, and recipes for a checkpoint, each with its training options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LAYER_NORM = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
"""The variant of XLSR-53: layer norm in every convolution, and before each transformer block."""

QUIET = {"layerdrop": 0.0, "activation_dropout": 0.0, "attention_dropout": 0.0}
"""Regularisation that hurts small models."""

FROM_SCRATCH = {"accumulation": 1, "freeze_feature_encoder": False}
"""Where training from random weights differs from fine-tuning."""

SMALL = QUIET | {
    "conv_dim": (16, 32, 64, 96, 128, 128, 128),
    "hidden_size": 144,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 576,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 8,
    "hidden_dropout": 0.05,
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.1,
    "apply_spec_augment": True,
    "mask_time_prob": 0.05,
    "mask_time_length": 5,
}
"""A shape of 1.2 million parameters."""

FROM_A_THOUSAND_CLIPS = FROM_SCRATCH | {
    "feature_pretrain_steps": 400,
    "learning_rate": 1e-3,
    "batch_size": 8,
    "epochs": 36,
    "warmup_steps": 300,
    "schedule": "cosine",
    "weight_decay": 0.05,
    "eval_steps": 900,
    "augmentation": "full",
}
"""How it learns a dozen words."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """``training`` holds fields of ``TrainingOptions``; a recipe names its ``base``, a checkpoint on the Hub.

    Without a base ``architecture`` holds fields of a config of its ``family``, and the weights are random. Kernels and
    strides are always those of wav2vec2, so that 16,000 samples give 49 frames everywhere. The first convolutions run
    at thousands of frames per second and dominate the cost, so they are narrow.

    ``initializer_range`` is the deviation of the first weights of attention, feed-forward and heads. With about
    ``1 / sqrt(hidden_size)`` a layer keeps the variance of its input (Glorot and Bengio, "Understanding the difficulty
    of training deep feedforward neural networks", AISTATS 2010). The 0.02 of wav2vec2 is near that for 768 channels and
    a fifth of it for 96: weights that small, layer after layer, pass on next to no gradient, and it is chance whether
    and when so narrow a model begins to tell consonants apart.
    """

    summary: str
    training: Mapping[str, Any]
    architecture: Mapping[str, Any] = field(default_factory=dict)
    base: str | None = None
    family: str = "wav2vec2"


PRESETS: dict[str, Preset] = {
    "tiny": Preset(
        summary="0.5 million parameters; learns a few syllables in four minutes on one core",
        architecture=LAYER_NORM
        | QUIET
        | {
            "conv_dim": (16, 24, 32, 48, 64, 64, 64),
            "hidden_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 512,
            "num_conv_pos_embeddings": 32,
            "num_conv_pos_embedding_groups": 8,
            "initializer_range": 0.1,
            "hidden_dropout": 0.0,
            "feat_proj_dropout": 0.0,
            "final_dropout": 0.0,
            "apply_spec_augment": False,
        },
        training=FROM_SCRATCH
        | {
            "feature_pretrain_steps": 400,
            "learning_rate": 1e-3,
            "batch_size": 2,  # a short training lacks updates, not clips per update
            "epochs": 7,
            "warmup_steps": 200,
            "class_weight": 0.25,
            "eval_steps": 679,
            "augmentation": "light",
        },
    ),
    "small": Preset(
        summary="1.2 million parameters; learns a dozen words from a thousand clips in a quarter of an hour",
        architecture=LAYER_NORM | SMALL,
        training=FROM_A_THOUSAND_CLIPS,
    ),
    "medium": Preset(
        summary="20 million parameters; learns the same from the same clips in an hour on two cores, or on a GPU",
        architecture=LAYER_NORM
        | QUIET
        | {
            "conv_dim": (16, 32, 64, 96, 128, 128, 128),
            "hidden_size": 448,
            "num_hidden_layers": 8,
            "num_attention_heads": 8,
            "intermediate_size": 1792,
            "num_conv_pos_embeddings": 32,
            "num_conv_pos_embedding_groups": 8,
            "hidden_dropout": 0.1,
            "feat_proj_dropout": 0.0,
            "final_dropout": 0.1,
            "apply_spec_augment": True,
            "mask_time_prob": 0.05,
            "mask_time_length": 5,
        },
        training=FROM_SCRATCH
        | {
            "feature_pretrain_steps": 400,
            "learning_rate": 4e-4,
            "batch_size": 16,
            "epochs": 24,
            "warmup_steps": 200,
            "schedule": "cosine",
            "weight_decay": 0.05,
            "eval_steps": 225,
            "augmentation": "full",
        },
    ),
    "large": Preset(
        summary="315 million parameters, the shape of XLSR-53; for a GPU, and more clips than it takes to fine-tune",
        architecture=LAYER_NORM
        | {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "layerdrop": 0.05,
            "apply_spec_augment": True,
            "mask_time_prob": 0.05,
            "mask_time_length": 5,
        },
        training=FROM_SCRATCH
        | {
            "feature_pretrain_steps": 400,
            "learning_rate": 1e-4,
            "batch_size": 16,
            "epochs": 40,
            "warmup_steps": 400,
            "schedule": "cosine",
            "weight_decay": 0.05,
            "eval_steps": 750,
            "augmentation": "strong",
        },
    ),
    "small-wavlm": Preset(
        summary="small with WavLM's attention, which knows how far two frames are apart",
        family="wavlm",
        architecture=LAYER_NORM | SMALL,
        training=FROM_A_THOUSAND_CLIPS,
    ),
    "small-data2vec": Preset(
        summary="small with Data2Vec's positional convolutions, three with a norm each",
        family="data2vec-audio",
        architecture=SMALL | {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 19, "conv_bias": True},
        training=FROM_A_THOUSAND_CLIPS,
    ),
    "syllable-onset4": Preset(
        summary="the recipe of the reference run, model_syllable_onSet4: XLSR-53, four syllable onsets, on a GPU",
        base="facebook/wav2vec2-large-xlsr-53",
        training={
            "learning_rate": 3e-4,
            "batch_size": 8,
            "accumulation": 2,
            "seed": 42,
            "schedule": "linear",
            "warmup_steps": 200,
            "max_steps": 1_680,  # 70 epochs of 24; today's Trainer makes a 25th of what an epoch leaves over
            "precision": "fp16",
            "eval_steps": 100,
        },
    ),
}
