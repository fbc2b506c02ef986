"""Checkpoints of well-known shapes with seeded random weights: for size, speed and logit error, never accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import Wav2Vec2Config

from wav2edge.errors import UsageError
from wav2edge_train.data.vocabulary import Vocabulary, make_feature_extractor, save_processor
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

SHAPES: dict[str, dict[str, Any]] = {
    "xlsr-53": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "feat_extract_norm": "layer",
        "conv_bias": True,
        "do_stable_layer_norm": True,
    },
    "base": {},
    "rehearsal": {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "feat_extract_norm": "layer",
        "conv_bias": True,
        "do_stable_layer_norm": True,
        "conv_dim": (32,) * 7,
    },
}
"""How a published model differs from the defaults of ``Wav2Vec2Config``: facebook/wav2vec2-large-xlsr-53 with 315
million parameters, and facebook/wav2vec2-base with 94; and one for rehearsals."""

LABELS = ("0", "1", "2", "3")
SEED = 0


def check_shape(shape: str) -> None:
    """Raise a ``UsageError`` for an unknown shape."""
    if shape not in SHAPES:
        raise UsageError(f"unknown shape {shape!r}; choose {', '.join(SHAPES)}")


def write_random_checkpoint(folder: Path, shape: str) -> None:
    """Write a joint checkpoint of a shape; the same weights each time.

    Raises:
        UsageError: the shape is unknown.
    """
    check_shape(shape)
    vocabulary = Vocabulary(tokens=("|", *"abcdefghijklmnopqrstuvwxyz", "[UNK]", "[PAD]"))
    config = Wav2Vec2Config(
        **SHAPES[shape],
        apply_spec_augment=False,
        vocab_size=len(vocabulary.tokens),
        pad_token_id=vocabulary.blank_id,
        bos_token_id=None,
        eos_token_id=None,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    torch.manual_seed(SEED)
    Wav2Vec2ForJointCTC(config).save_pretrained(folder)
    save_processor(folder, make_feature_extractor(layer_norm=config.feat_extract_norm == "layer"), vocabulary)
