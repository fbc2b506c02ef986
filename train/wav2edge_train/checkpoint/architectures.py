"""The model classes that are supported, and what their outputs are called.

A family is a line of ``FAMILIES``, a head a line of ``HEADS``: each class of transformers is one with the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from transformers import PreTrainedModel

from wav2edge_train.checkpoint.families.family_table import FAMILIES, Family
from wav2edge_train.model.joint_model import JOINT_MODELS


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A model class and the output of each of its heads, by the head's name in a bundle."""

    model: type[PreTrainedModel]
    outputs: Mapping[str, str]


HEADS: Mapping[str, Mapping[str, str]] = {
    "ForJointCTC": {"ctc": "logits", "classification": "class_logits"},
    "ForCTC": {"ctc": "logits"},
    "ForSequenceClassification": {"classification": "logits"},
    "ForAudioFrameClassification": {"frame_classification": "logits"},
    "ForXVector": {"embedding": "embeddings"},
}
"""What the name of a class ends with, and the output of each of its heads."""


def _architectures(family: Family) -> Iterator[Architecture]:
    """Those of a family; not every family has every head."""
    joint = JOINT_MODELS[family.name]
    for suffix, outputs in HEADS.items():
        model = joint if suffix == "ForJointCTC" else family.find(suffix)
        if model is not None:
            yield Architecture(model=cast("type[PreTrainedModel]", model), outputs=outputs)


ARCHITECTURES = {
    architecture.model.__name__: architecture for family in FAMILIES.values() for architecture in _architectures(family)
}
"""The supported architectures, by their name in the ``architectures`` of a config."""
