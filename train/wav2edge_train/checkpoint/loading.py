"""Loading any wav2vec2-family checkpoint, from a folder or the Hub, with the meaning of its outputs, to run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel, Wav2Vec2FeatureExtractor
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.bundle.heads import ClassificationHead, Heads
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.errors import CheckpointError
from wav2edge_train.checkpoint.architectures import ARCHITECTURES, Architecture
from wav2edge_train.checkpoint.ctc_head import read_ctc_head
from wav2edge_train.checkpoint.library_logging import first_line, quiet_transformers

TEXT_FILES = ["*.json", "*.txt"]
"""Files fetched from the Hub before the weights: configs and vocabularies."""
WEIGHT_FILES = (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_NAME, WEIGHTS_INDEX_NAME)
"""The files that PyTorch weights are in, one of which every checkpoint has."""
UNUSED_IN_INFERENCE = "masked_spec_embed"
"""Weights that only SpecAugment uses; old checkpoints do not have them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A loaded model and everything needed to run it.

    ``model`` is in evaluation mode, float32, on the CPU. ``folder`` holds its config and vocabulary files.
    ``normalize`` is whether it expects waveforms of zero mean and unit variance, ``uses_attention_mask`` whether padded
    batches must come with a mask.
    """

    name: str
    folder: Path | None
    model: PreTrainedModel
    heads: Heads
    geometry: ConvGeometry
    normalize: bool
    uses_attention_mask: bool


def load_checkpoint(source: str | Path) -> Checkpoint:
    """Load a checkpoint by the architecture that its config names.

    Args:
        source: a local folder, or a name on the Hugging Face Hub such as ``facebook/wav2vec2-base-960h``.

    Raises:
        CheckpointError: it is missing, damaged, of an unsupported kind, or lacks files that decoding needs.
    """
    with quiet_transformers():
        folder = _folder_of(source)
        config = _read_config(source, folder)
        architecture = _architecture_of(source, config)
        extractor = _read_extractor(source, folder)
        model = _read_model(source, folder, architecture)
        heads = _read_heads(source, folder, architecture, model)
    return Checkpoint(
        name=Path(source).resolve().name if Path(source).is_dir() else str(source),
        folder=folder,
        model=model,
        heads=heads,
        geometry=ConvGeometry.of(config.conv_kernel, config.conv_stride),
        normalize=bool(extractor.do_normalize),
        uses_attention_mask=bool(extractor.return_attention_mask),
    )


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
    if getattr(config, "add_adapter", False):
        raise CheckpointError(f"{source}: has adapter layers above the encoder, which are not supported")
    return config


def _architecture_of(source: str | Path, config: PretrainedConfig) -> Architecture:
    named = config.architectures or []
    for name in named:
        if name in ARCHITECTURES:
            return ARCHITECTURES[name]
    found = ", ".join(named) or f"a bare {config.model_type} model"
    raise CheckpointError(f"{source}: no supported head, found {found}; supported are {', '.join(ARCHITECTURES)}")


def _read_extractor(source: str | Path, folder: Path) -> Wav2Vec2FeatureExtractor:
    try:
        extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{source}: preprocessor_config.json cannot be read ({first_line(error)}); save the feature extractor"
            " next to the model"
        ) from None
    if extractor.sampling_rate != SAMPLE_RATE_HZ:
        raise CheckpointError(f"{source}: expects {extractor.sampling_rate} Hz; only {SAMPLE_RATE_HZ} Hz is supported")
    return extractor


def _read_model(source: str | Path, folder: Path, architecture: Architecture) -> PreTrainedModel:
    where = folder if Path(source).is_dir() else source
    try:
        model, info = architecture.model.from_pretrained(where, dtype=torch.float32, output_loading_info=True)
    except Exception as error:  # safetensors, pickle, torch and the Hub each raise their own kind
        raise CheckpointError(
            f"{source}: its weights cannot be read ({first_line(error)}); copy or download it again"
        ) from None
    missing = sorted(key for key in info["missing_keys"] if UNUSED_IN_INFERENCE not in key)
    if missing:
        raise CheckpointError(
            f"{source}: {len(missing)} weights are not in the checkpoint, such as {missing[0]}; a model with random"
            " weights there is of no use: train it first"
        )
    return model.eval()


def _read_heads(source: str | Path, folder: Path, architecture: Architecture, model: PreTrainedModel) -> Heads:
    config: Any = model.config
    names = getattr(config, "joint_heads", None) or ("ctc", "classification")
    ctc = classification = None
    try:
        if architecture.ctc is not None and "ctc" in names:
            ctc = read_ctc_head(source, folder, architecture.ctc, model.get_parameter("lm_head.weight"), config)
        if architecture.classification is not None and "classification" in names:
            labels = tuple(str(config.id2label[i]) for i in range(len(model.get_parameter("classifier.weight"))))
            classification = ClassificationHead(output=architecture.classification, labels=labels)
        return Heads(ctc=ctc, classification=classification)
    except (ValueError, KeyError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{source}: its heads and its files disagree ({first_line(error)})") from None
