"""Where training starts from: a published or local checkpoint, or a preset with seeded random weights."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from transformers import AutoConfig, PretrainedConfig, Wav2Vec2FeatureExtractor

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.errors import CheckpointError, UsageError
from wav2edge_train.checkpoint.families.family_table import FAMILIES, family_of, geometry_of, hears_padding
from wav2edge_train.checkpoint.library_logging import first_line, quiet_transformers
from wav2edge_train.checkpoint.loading import refuse_bundle
from wav2edge_train.data.clips import Targets
from wav2edge_train.data.vocabulary import make_feature_extractor
from wav2edge_train.model.chunked_encoder import streaming_fields
from wav2edge_train.model.freezing import frozen_parts
from wav2edge_train.model.joint_model import HEAD_NAMES, JointModel, joint_model
from wav2edge_train.model.presets import PRESETS
from wav2edge_train.model.shrinking import choose_layers, keep_layers, pruned_width
from wav2edge_train.model.trained_heads import TrainedHeads, mismatched_heads, reinitialize_heads, trained_heads
from wav2edge_train.training_options import TrainingOptions


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """An architecture, its feature extractor, the source of its weights, and the meaning of its heads.

    ``weights`` None means random weights.
    """

    name: str
    config: PretrainedConfig
    extractor: Wav2Vec2FeatureExtractor
    weights: str | None = None
    heads: TrainedHeads = field(default_factory=TrainedHeads)

    @property
    def title(self) -> str:
        """The name of the preset or on the Hub, or that of a folder without the path to it."""
        return Path(self.name).resolve().name if Path(self.name).is_dir() else self.name

    @property
    def geometry(self) -> ConvGeometry:
        """How samples become frames."""
        return geometry_of(self.config)


def choose_base_model(preset: str | None, checkpoint: str | None) -> BaseModel:
    """The base of a command line: a preset's, a checkpoint, or a recipe with another copy of its checkpoint.

    Raises:
        CheckpointError: there is no such checkpoint, or it is of another kind of model.
        UsageError: there is no such preset, neither is given, or both are and the preset starts from random weights.
    """
    if preset is None and checkpoint is None:
        raise UsageError("nothing to start from; give --base CHECKPOINT or --preset NAME")
    if preset is None or checkpoint is None:
        return checkpoint_base_model(checkpoint) if checkpoint else preset_base_model(preset or "")
    recipes = [name for name, each in PRESETS.items() if each.base]
    if preset not in recipes:
        raise UsageError(f"preset {preset!r} starts from random weights; --base goes with {', '.join(recipes)} only")
    return checkpoint_base_model(checkpoint)


def preset_base_model(name: str) -> BaseModel:
    """The base that a preset describes, or names.

    Raises:
        CheckpointError: the checkpoint of a recipe is unavailable.
        UsageError: there is no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"no preset {name!r}; choose {', '.join(PRESETS)}")
    preset = PRESETS[name]
    if preset.base is not None:
        return checkpoint_base_model(preset.base)
    config = FAMILIES[preset.family].config(**preset.architecture)
    return BaseModel(name=name, config=config, extractor=make_feature_extractor(layer_norm=True))


def checkpoint_base_model(source: str) -> BaseModel:
    """A checkpoint of any family as a base, from a local folder or the Hub.

    Raises:
        CheckpointError: there is none, it is of another kind of model, or it is an exported bundle.
    """
    refuse_bundle(source)
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{source}: no checkpoint there ({first_line(error)}); check the folder, or Hub name and network"
        ) from None
    try:
        waveforms = family_of(config).hears == "waveform"
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from None
    extractor = make_feature_extractor(layer_norm=hears_padding(config), normalize=waveforms)
    if waveforms:  # log-mel features are the model's part, and have a normalisation of their own
        with suppress(OSError, ValueError):
            extractor = Wav2Vec2FeatureExtractor.from_pretrained(source)
    heads = trained_heads(source, config)
    return BaseModel(name=source, config=config, extractor=extractor, weights=source, heads=heads)


def check_size(base: BaseModel, options: TrainingOptions) -> None:
    """Raise a UsageError if the base cannot be made as small as the options ask."""
    starting_layers(base, options)
    if options.prune_ffn:
        pruned_width(base.config.intermediate_size, options.prune_ffn)
        if base.weights is None:
            raise UsageError("prune_ffn needs a trained base; in random weights no unit is used less than another")


def starting_layers(base: BaseModel, options: TrainingOptions) -> tuple[int, ...]:
    """The transformer layers of the base that training starts with.

    Raises:
        UsageError: the base has fewer than requested.
    """
    available = base.config.num_hidden_layers
    wanted = available if options.encoder_layers is None else options.encoder_layers
    return choose_layers(available, wanted, options.layers_from)


def build_model(base: BaseModel, targets: Targets, options: TrainingOptions, shortest_frames: int) -> JointModel:
    """The model to train, with heads for the targets.

    Args:
        base: where to start from.
        targets: the vocabulary and labels that the heads learn.
        options: the weights of the losses, the layers to start with, and whether the feature encoder is frozen.
        shortest_frames: frames of the shortest clip; masks of SpecAugment must fit in it.

    Raises:
        CheckpointError: the weights of the base cannot be read.
        UsageError: it has fewer layers than requested.
    """
    kept = starting_layers(base, options)
    config = joint_config(base.config, targets, options, shortest_frames)
    if options.streaming:
        config.streaming = streaming_fields(config, options, normalize=bool(base.extractor.do_normalize))
    elif hasattr(config, "streaming"):
        config.streaming = None  # the base could stream; what comes of it is not trained to
    if base.weights is None:
        model = joint_model(config)(config)
    else:
        try:
            model = joint_model(config).from_pretrained(base.weights, config=config, ignore_mismatched_sizes=True)
        except Exception as error:  # safetensors, pickle and the Hub each raise their own kind
            raise CheckpointError(f"{base.name}: its weights cannot be read ({first_line(error)})") from None
        reinitialize_heads(model, mismatched_heads(base.name, base.heads, targets))
    if len(kept) < base.config.num_hidden_layers:
        keep_layers(model, kept)
    for part in frozen_parts(model, options):
        part.set_frozen(frozen=True)
    return model


def joint_config(
    base: PretrainedConfig, targets: Targets, options: TrainingOptions, shortest_frames: int
) -> PretrainedConfig:
    """The base's config with our heads, and with regularisation that is safe for short clips."""
    present = dict(zip(HEAD_NAMES, (targets.vocabulary, targets.labels), strict=True))
    fields = base.to_dict() | {
        "architectures": [joint_model(base).__name__],
        "joint_heads": [name for name, target in present.items() if target is not None],
        "ctc_weight": options.ctc_weight,
        "class_weight": options.class_weight,
        "class_balance": targets.class_balance,
        "ctc_loss_reduction": "mean",  # with "sum" a batch's loss is in the hundreds and outweighs the classes
        "ctc_zero_infinity": True,
        "layerdrop": 0.0,
        "mask_time_length": max(1, min(base.mask_time_length, shortest_frames // 2)),  # a longer mask raises
        "mask_time_min_masks": 0,
        "problem_type": None,  # of another classifier, that the base may have had
        "bos_token_id": None,
        "eos_token_id": None,
    }
    masked = {"mask_time_prob": options.mask_time, "mask_feature_prob": options.mask_features}
    if any(masked.values()):
        fields["apply_spec_augment"] = True
    fields |= {name: share for name, share in masked.items() if share is not None}
    if targets.vocabulary is not None:
        fields |= {"vocab_size": len(targets.vocabulary.tokens), "pad_token_id": targets.vocabulary.blank_id}
    if targets.labels is not None:
        fields |= {
            "id2label": dict(enumerate(targets.labels)),
            "label2id": {label: i for i, label in enumerate(targets.labels)},
        }
    return type(base).from_dict(fields)
