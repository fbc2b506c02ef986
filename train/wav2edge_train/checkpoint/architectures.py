"""The model classes that are supported, and what their outputs are called: a new one is a line of this table."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import (
    HubertForCTC,
    HubertForSequenceClassification,
    PreTrainedModel,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
)

from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A model class and the names of its heads' outputs; None for a head that it does not have."""

    model: type[PreTrainedModel]
    ctc: str | None = None
    classification: str | None = None


ARCHITECTURES = {
    architecture.model.__name__: architecture
    for architecture in (
        Architecture(model=Wav2Vec2ForJointCTC, ctc="logits", classification="class_logits"),
        Architecture(model=Wav2Vec2ForCTC, ctc="logits"),
        Architecture(model=HubertForCTC, ctc="logits"),
        Architecture(model=Wav2Vec2ForSequenceClassification, classification="logits"),
        Architecture(model=HubertForSequenceClassification, classification="logits"),
    )
}
"""The supported architectures, by their name in the ``architectures`` of a config."""
