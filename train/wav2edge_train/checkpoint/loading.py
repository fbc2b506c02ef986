"""Loading any wav2vec2-family checkpoint, from a folder or the Hub, with the meaning of its outputs, to run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import snapshot_download
from transformers import (
    AutoConfig,
    HubertForCTC,
    HubertForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
)
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME

from wav2edge.audio.clip import zero_mean_unit_variance
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.bundle.heads import ClassificationHead, CtcHead, Heads
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.errors import CheckpointError
from wav2edge.inference.recognizer import FloatSamples, Recognizer
from wav2edge_train.checkpoint.library_logging import first_line, quiet_transformers
from wav2edge_train.model.chunked_encoder import Chunking
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

TEXT_FILES = ["*.json", "*.txt"]
"""Files fetched from the Hub before the weights: configs and vocabularies."""
WEIGHT_FILES = (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_NAME, WEIGHTS_INDEX_NAME)
"""The files that PyTorch weights are in, one of which every checkpoint has."""
UNUSED_IN_INFERENCE = "masked_spec_embed"
"""Weights that only SpecAugment uses; old checkpoints do not have them."""


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
            ctc = _read_ctc_head(source, folder, architecture.ctc, model.get_parameter("lm_head.weight"), config)
        if architecture.classification is not None and "classification" in names:
            labels = tuple(str(config.id2label[i]) for i in range(len(model.get_parameter("classifier.weight"))))
            classification = ClassificationHead(output=architecture.classification, labels=labels)
        return Heads(ctc=ctc, classification=classification)
    except (ValueError, KeyError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{source}: its heads and its files disagree ({first_line(error)})") from None


def _read_ctc_head(source: str | Path, folder: Path, output: str, weight: torch.Tensor, config: Any) -> CtcHead:
    width = len(weight)
    tokenizer = _read_tokenizer(source, folder)
    ids = tokenizer.get_vocab()
    outside = {tokenizer.bos_token, tokenizer.eos_token}  # the tokenizer may add these beyond the width of the head
    by_id = {i: token for token, i in ids.items() if i < width or token not in outside}
    if sorted(by_id) != list(range(width)):
        raise CheckpointError(
            f"{source}: the vocabulary has {len(by_id)} tokens and the CTC head is {width} wide; the tokenizer files"
            " belong to another model, or lack a token"
        )
    blank_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else config.pad_token_id
    silent = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id} - {None, blank_id}
    return CtcHead(
        output=output,
        vocabulary=tuple(by_id[i] for i in range(width)),
        blank_id=blank_id,
        word_delimiter=tokenizer.word_delimiter_token,
        silent_ids=frozenset(i for i in silent if i < width),
        lower_case=bool(tokenizer.do_lower_case),
    )


def _read_tokenizer(source: str | Path, folder: Path) -> Any:
    try:
        return Wav2Vec2CTCTokenizer.from_pretrained(folder)
    except Exception as error:  # a missing vocab.json surfaces as TypeError, a broken one as JSONDecodeError
        reason = first_line(error) if (folder / "vocab.json").is_file() else "vocab.json is missing"
        raise CheckpointError(
            f"{source}: its tokenizer cannot be read ({reason}); save the processor next to the model"
        ) from None


class Original(Recognizer):
    """Recognises clips with a PyTorch checkpoint.

    Args:
        checkpoint: as ``load_checkpoint`` gives it.
        chunking: it hears each clip as a stream, cut in this way; whole where None.
    """

    def __init__(self, checkpoint: Checkpoint, chunking: Chunking | None = None) -> None:
        self.checkpoint, self._how = checkpoint, {} if chunking is None else {"chunking": chunking}

    def __str__(self) -> str:
        return self.checkpoint.name

    @property
    def heads(self) -> Heads:
        """The meaning of the outputs."""
        return self.checkpoint.heads

    @property
    def geometry(self) -> ConvGeometry:
        """How samples become frames."""
        return self.checkpoint.geometry

    def outputs(self, samples: FloatSamples) -> dict[str, FloatSamples]:
        """Each head's output for one clip, without its batch axis.

        Args:
            samples: ``[samples] float32`` at 16 kHz, padded with zeros if it is shorter than one frame.
        """
        waveform = self.geometry.pad_to_frame(samples)
        if self.checkpoint.normalize and not self._how:  # chunks are normalised by the sound up to their own end
            waveform = zero_mean_unit_variance(waveform)
        model = self.checkpoint.model
        with torch.inference_mode():
            outputs = model(torch.from_numpy(waveform)[None].to(model.device), **self._how)
        return {name: outputs[name][0].cpu().numpy() for name in self.heads.outputs}


def load_original(source: str | Path) -> Original:
    """Load a checkpoint, from a local folder or the Hub, as something to evaluate, on a GPU where there is one.

    Raises:
        CheckpointError: it cannot be used.
    """
    checkpoint = load_checkpoint(source)
    if torch.cuda.is_available():
        torch.backends.cudnn.allow_tf32 = False  # by default convolutions round their inputs to ten bits
        cast(Any, checkpoint.model).to("cuda")
    return Original(checkpoint)
