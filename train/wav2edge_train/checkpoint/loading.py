"""Loading any wav2vec2-family checkpoint, from a folder or the Hub, with the meaning of its outputs, to run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from huggingface_hub import snapshot_download
from transformers import (
    AutoConfig,
    PretrainedConfig,
    PreTrainedModel,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
)
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.errors import CheckpointError
from wav2edge_train.checkpoint.architectures import ARCHITECTURES, Architecture
from wav2edge_train.checkpoint.families.family_table import MEL_STRIDE, geometry_of
from wav2edge_train.checkpoint.languages import check_language, language_of_weights, load_language
from wav2edge_train.checkpoint.library_logging import first_line, quiet_transformers
from wav2edge_train.checkpoint.outputs.ctc_head import read_ctc_head
from wav2edge_train.checkpoint.outputs.label_heads import CLASSIFIER, HEAD_READERS

TEXT_FILES = ["*.json", "*.txt"]
"""Files fetched from the Hub before the weights: configs and vocabularies."""
WEIGHT_FILES = (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_NAME, WEIGHTS_INDEX_NAME)
"""The files that PyTorch weights are in, one of which every checkpoint has."""
Extractor: TypeAlias = Wav2Vec2FeatureExtractor | SeamlessM4TFeatureExtractor
EXTRACTORS: Mapping[str, type[Extractor]] = {
    "input_values": Wav2Vec2FeatureExtractor,
    "input_features": SeamlessM4TFeatureExtractor,
}
"""What prepares the input of a model, by its name."""
UNUSED_IN_INFERENCE = "masked_spec_embed"
"""Weights that only SpecAugment uses; old checkpoints do not have them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A loaded model and everything needed to run it.

    ``model`` is in evaluation mode, float32, on the CPU. ``folder`` holds its config and vocabulary files.
    ``normalize`` is whether it expects waveforms of zero mean and unit variance, ``uses_attention_mask`` whether padded
    batches must come with a mask. ``log_mel`` computes the features of a model that takes these; None where it takes
    waveforms. ``language`` is that of its adapter and its vocabulary; None where it has no languages.
    """

    name: str
    folder: Path | None
    model: PreTrainedModel
    heads: Heads
    geometry: ConvGeometry
    normalize: bool
    uses_attention_mask: bool
    log_mel: SeamlessM4TFeatureExtractor | None = None
    language: str | None = None


def load_checkpoint(source: str | Path, *, language: str | None = None) -> Checkpoint:
    """Load a checkpoint by the architecture that its config names.

    Args:
        source: a local folder, or a name on the Hugging Face Hub such as ``facebook/wav2vec2-base-960h``.
        language: whose adapter and vocabulary to take, of a checkpoint in several; where None those of its weights.

    Raises:
        CheckpointError: it is missing, damaged, of an unsupported kind, or lacks files that decoding needs.
    """
    with quiet_transformers():
        folder, config, architecture = read_small_files(source)
        extractor = _read_extractor(source, folder, EXTRACTORS[architecture.model.main_input_name])
        if language is not None:
            check_language(source, folder, language)
        model = _read_model(source, folder, architecture)
        if language is not None:
            model = load_language(source, model, language)
        _refuse_what_is_not_finite(source, model)
        heads = _read_heads(source, folder, architecture, model, language)
    return Checkpoint(
        name=Path(source).resolve().name if Path(source).is_dir() else str(source),
        folder=folder,
        model=model,
        heads=heads,
        geometry=_read_geometry(source, config),
        normalize=bool(getattr(extractor, "do_normalize", False)),
        uses_attention_mask=bool(extractor.return_attention_mask),
        log_mel=extractor if isinstance(extractor, SeamlessM4TFeatureExtractor) else None,
        language=language or language_of_weights(folder),
    )


def read_small_files(source: str | Path) -> tuple[Path, PretrainedConfig, Architecture]:
    """The folder of a checkpoint's configs and vocabularies, its config, and its architecture; no weights are read.

    Raises:
        CheckpointError: it is missing, damaged, or of an unsupported kind.
    """
    folder = _folder_of(source)
    config = _read_config(source, folder)
    return folder, config, _architecture_of(source, config)


def refuse_bundle(source: str | Path) -> None:
    """Raise a CheckpointError if ``source`` is an exported bundle, which has no PyTorch weights."""
    folder = Path(source)
    if (folder / MANIFEST).is_file() and not any((folder / name).is_file() for name in WEIGHT_FILES):
        raise CheckpointError(
            f"{source}: an exported bundle, which has no PyTorch weights; give the checkpoint that it was exported from"
        )


def _folder_of(source: str | Path) -> Path:
    """The local folder, or the Hub's snapshot of the small files; the weights follow when they are read."""
    folder = Path(source)
    if folder.is_dir():
        refuse_bundle(source)
        return folder
    if folder.exists():
        raise CheckpointError(f"{source}: a file; give the folder that save_pretrained wrote")
    name = str(source)
    if isinstance(source, Path) or name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise CheckpointError(f"{source}: no such folder; give a checkpoint's folder or a Hub name such as owner/model")
    try:
        return Path(snapshot_download(name, allow_patterns=TEXT_FILES))
    except (OSError, ValueError) as error:  # not found, no access, no network, not a name: all derive from these
        raise CheckpointError(
            f"{name}: neither a local folder nor a model on the Hub ({first_line(error)}); check name and network"
        ) from None


def _read_config(source: str | Path, folder: Path) -> PretrainedConfig:
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{source}: no config.json in it; give the folder that save_pretrained wrote")
    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{source}: config.json cannot be read ({first_line(error)}); give the folder that save_pretrained wrote"
        ) from None
    return config


def _read_geometry(source: str | Path, config: PretrainedConfig) -> ConvGeometry:
    try:
        return geometry_of(config)
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from None


def _architecture_of(source: str | Path, config: PretrainedConfig) -> Architecture:
    named = config.architectures or []
    for name in named:
        if name in ARCHITECTURES:
            return ARCHITECTURES[name]
    found = ", ".join(named) or f"a bare {config.model_type} model"
    raise CheckpointError(f"{source}: no supported head, found {found}; supported are {', '.join(ARCHITECTURES)}")


def _read_extractor(source: str | Path, folder: Path, kind: type[Extractor]) -> Extractor:
    try:
        extractor = kind.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{source}: preprocessor_config.json cannot be read ({first_line(error)}); save the feature extractor"
            " next to the model"
        ) from None
    if extractor.sampling_rate != SAMPLE_RATE_HZ:
        raise CheckpointError(f"{source}: expects {extractor.sampling_rate} Hz; only {SAMPLE_RATE_HZ} Hz is supported")
    joined = getattr(extractor, "stride", MEL_STRIDE)
    if joined != MEL_STRIDE:
        raise CheckpointError(f"{source}: joins {joined} windows to a frame; only {MEL_STRIDE} are supported")
    return extractor


def _read_model(source: str | Path, folder: Path, architecture: Architecture) -> PreTrainedModel:
    where = folder if Path(source).is_dir() else source
    try:
        model, info = architecture.model.from_pretrained(
            where, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except Exception as error:  # safetensors, pickle, torch and the Hub each raise their own kind
        raise CheckpointError(
            f"{source}: its weights cannot be read ({first_line(error)}); copy or download it again"
        ) from None
    # Names in transformers 4.57, and names with both shapes in 5.
    mismatched = [each if isinstance(each, str) else each[0] for each in info["mismatched_keys"]]
    if mismatched:
        raise CheckpointError(f"{source}: {_mismatch(mismatched, model.config)}")
    missing = sorted(key for key in info["missing_keys"] if UNUSED_IN_INFERENCE not in key)
    if missing:
        raise CheckpointError(
            f"{source}: {len(missing)} weights are not in the checkpoint, such as {missing[0]}; a model with random"
            " weights there is of no use: train it first"
        )
    return model.eval()


def _mismatch(names: Sequence[str], config: Any) -> str:
    """Which weights have another shape than the config says, and what to do."""
    if any(name.startswith(CLASSIFIER) for name in names):
        return (
            f"config.json names {config.num_labels} labels, and the classifier has another number of them; write the"
            " id2label of the training into config.json (where it is missing, 2 are taken)"
        )
    return (
        f"{min(names)} has another shape than config.json says; one of the two files is of another model, copy or"
        " download both again"
    )


def _refuse_what_is_not_finite(source: str | Path, model: PreTrainedModel) -> None:
    """Raise a CheckpointError for NaN and infinity, which an export could only give back."""
    for name, weights in model.state_dict().items():
        broken = 0 if UNUSED_IN_INFERENCE in name else weights.numel() - int(torch.isfinite(weights).sum())
        if broken:
            raise CheckpointError(
                f"{source}: its weights are not finite ({name}: {broken} of {weights.numel()} values); the training"
                " diverged, or the file is damaged: take an earlier checkpoint, or copy it again"
            )


def _read_heads(
    source: str | Path, folder: Path, architecture: Architecture, model: PreTrainedModel, language: str | None
) -> Heads:
    config: Any = model.config
    joint = getattr(config, "joint_heads", None)
    outputs = {name: output for name, output in architecture.outputs.items() if not joint or name in joint}

    def read(name: str, output: str) -> Any:
        if name == "ctc":
            return read_ctc_head(source, folder, output, model.get_parameter("lm_head.weight"), config, language)
        return HEAD_READERS[name](source, output, model)

    try:
        return Heads(**{name: read(name, output) for name, output in outputs.items()})
    except ValueError as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{source}: its heads and its files disagree ({first_line(error)})") from None
