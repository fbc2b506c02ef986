"""Which parts of a model are frozen, and until when."""

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
    """Modules that are not trained before the update ``until``; None means they never are."""

    modules: tuple[nn.Module, ...]
    until: int | None

    def set_frozen(self, *, frozen: bool) -> None:
        """Exclude the weights from training, or include them again."""
        for module in self.modules:
            module.requires_grad_(not frozen)
            if isinstance(module, Wav2Vec2FeatureEncoder):
                module._requires_grad = not frozen  # requires gradients of the waveform if set


def frozen_parts(model: Wav2Vec2ForJointCTC, options: TrainingOptions) -> list[FrozenPart]:
    """What the options freeze: the feature encoder, and the lowest transformer layers with everything below them.

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
    """Freezes parts, and unfreezes each at its update.

    A part that is unfrozen later must be frozen only after the optimizer was made, which takes only weights that
    require gradients; a part that stays frozen is frozen before, and costs the optimizer neither memory nor time.
    """

    def __init__(self, parts: list[FrozenPart]) -> None:
        self._parts = parts
        for part in parts:
            part.set_frozen(frozen=part.until is None)

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Before each update; it depends only on the number of updates, so a resumed run repeats it."""
        for part in self._parts:
            if part.until is not None:
                part.set_frozen(frozen=state.global_step < part.until)
