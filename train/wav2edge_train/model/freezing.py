"""Which parts of a model are frozen, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState

from wav2edge.errors import UsageError
from wav2edge_train.checkpoint.families.family_table import layers_of
from wav2edge_train.model.joint_model import JointModel
from wav2edge_train.training_options import TrainingOptions

BELOW_THE_LAYERS = ("layer_norm", "feature_projection", "encoder.pos_conv_embed")
"""Parts of a backbone between its feature encoder and its layers; no family has all of them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenPart:
    """Modules that are not trained before the update ``until``; None means they never are."""

    modules: tuple[nn.Module, ...]
    until: int | None

    def set_frozen(self, *, frozen: bool) -> None:
        """Exclude the weights from training, or include them again."""
        module: Any
        for module in self.modules:
            module.requires_grad_(not frozen)
            if hasattr(module, "_requires_grad"):
                module._requires_grad = not frozen  # a feature encoder requires gradients of the waveform if set


def frozen_parts(model: JointModel, options: TrainingOptions) -> list[FrozenPart]:
    """What the options freeze: the feature encoder, and the lowest transformer layers with everything below them.

    Raises:
        UsageError: the model has fewer layers.
    """
    parts = []
    if options.freeze_feature_encoder:
        encoder = getattr(model.backbone, "feature_extractor", None)  # log-mel features have no weights
        if encoder is not None:
            parts.append(FrozenPart(modules=(encoder,), until=options.unfreeze_feature_encoder_after))
    if options.freeze_layers:
        layers = layers_of(model)
        if options.freeze_layers > len(layers):
            raise UsageError(f"freeze_layers is {options.freeze_layers}; the model has {len(layers)} layers")
        modules = (*_below_the_layers(model), *layers[: options.freeze_layers])
        parts.append(FrozenPart(modules=modules, until=options.unfreeze_layers_after))
    return parts


def _below_the_layers(model: JointModel) -> list[nn.Module]:
    """What projects the features and tells their positions."""
    present = dict(model.backbone.named_modules())
    return [present[name] for name in BELOW_THE_LAYERS if name in present]


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
