"""Which parts of a model stay as they are, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder

from wav2edge.errors import UsageError
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.training_options import TrainingOptions


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenPart:
    """Modules that are not trained before the update ``until``; None means never."""

    modules: tuple[nn.Module, ...]
    until: int | None

    def set_frozen(self, *, frozen: bool) -> None:
        """Take the weights out of the training, or back into it."""
        for module in self.modules:
            module.requires_grad_(not frozen)
            if isinstance(module, Wav2Vec2FeatureEncoder):
                module._requires_grad = not frozen  # it asks for gradients of the waveform by this


def frozen_parts(model: Wav2Vec2ForJointCTC, options: TrainingOptions) -> list[FrozenPart]:
    """What the options freeze: the feature encoder, and the lowest transformer layers with all that feeds them.

    Raises:
        UsageError: the model has fewer layers.
    """
    parts = []
    if options.freeze_feature_encoder:
        encoder = model.wav2vec2.feature_extractor
        parts.append(FrozenPart(modules=(encoder,), until=options.unfreeze_feature_encoder_after))
    if options.freeze_layers:
        below, layers = model.wav2vec2.encoder.pos_conv_embed, model.wav2vec2.encoder.layers
        if options.freeze_layers > len(layers):
            raise UsageError(f"freeze_layers is {options.freeze_layers}; the model has {len(layers)} layers")
        modules = (model.wav2vec2.feature_projection, below, *layers[: options.freeze_layers])
        parts.append(FrozenPart(modules=modules, until=options.unfreeze_layers_after))
    return parts


class Freezing(TrainerCallback):
    """Freezes parts, and thaws each at its update.

    What thaws later must be frozen after the optimizer was made, which takes up only what can be trained then; what
    never thaws is frozen before, and costs neither its memory nor its time.
    """

    def __init__(self, parts: list[FrozenPart]) -> None:
        self._parts = parts
        for part in parts:
            part.set_frozen(frozen=part.until is None)

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Before each update; it depends on the count of updates alone, so a resumed run repeats it."""
        for part in self._parts:
            if part.until is not None:
                part.set_frozen(frozen=state.global_step < part.until)
