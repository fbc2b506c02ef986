"""The heads that a config describes: labels of clips, labels of frames, and embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from wav2edge.bundle.heads import ClassificationHead, EmbeddingHead, FrameClassificationHead, Head
from wav2edge.errors import CheckpointError
from wav2edge_train.model.joint_model import JointModel

CLASSIFIER = "classifier."
"""What the names of the weights of a head with labels begin with."""
NOT_ONE_LABEL = {
    "multi_label_classification": (
        "several of its labels may hold at once (problem_type multi_label_classification), and a bundle gives one label"
        " of each clip; only labels of frames may be several"
    ),
    "regression": (
        "its classifier gives a number (problem_type regression, or a single output), and a bundle gives a label of"
        " each clip; numbers are not supported"
    ),
}
"""Why a classifier of clips with this ``problem_type`` cannot give one label."""


def _classification(source: str | Path, output: str, model: PreTrainedModel) -> ClassificationHead:
    """Labels that exclude each other.

    ``problem_type`` tells what transformers' own classes were trained to, and a single output is a number where it is
    not set. Joint models learn one label of each clip, whatever the config of their base said.
    """
    labels = _labels(source, model)
    if not isinstance(model, JointModel):
        problem = model.config.problem_type or ("regression" if len(labels) == 1 else "")
        if problem in NOT_ONE_LABEL:
            raise CheckpointError(f"{source}: {NOT_ONE_LABEL[problem]}")
    return ClassificationHead(output=output, labels=labels)


def _frame_classification(source: str | Path, output: str, model: PreTrainedModel) -> FrameClassificationHead:
    """Labels that do not exclude each other, unless the config says that the problem is one of a single label.

    transformers' own example decides each label by its sigmoid (``Wav2Vec2ForAudioFrameClassification``, speaker
    diarization), for two speakers may speak at once, or none.
    """
    exclusive = model.config.problem_type == "single_label_classification"
    return FrameClassificationHead(output=output, labels=_labels(source, model), exclusive=exclusive)


def _embedding(source: str | Path, output: str, model: PreTrainedModel) -> EmbeddingHead:
    """An x-vector: its statistics need two frames, each of which its time-delay layers see a window for."""
    config: Any = model.config
    window = sum(
        (kernel - 1) * dilation for kernel, dilation in zip(config.tdnn_kernel, config.tdnn_dilation, strict=True)
    )
    return EmbeddingHead(output=output, size=config.xvector_output_dim, fewest_frames=window + 2)


def _labels(source: str | Path, model: PreTrainedModel) -> tuple[str, ...]:
    """The label of each column, as ``id2label`` names them.

    Raises:
        CheckpointError: it leaves columns out, or labels cannot be told apart.
    """
    config: Any = model.config
    width = len(model.get_parameter(f"{CLASSIFIER}weight"))
    unnamed = [str(column) for column in range(width) if column not in config.id2label]
    if unnamed:
        raise CheckpointError(
            f"{source}: id2label in config.json does not name the outputs {', '.join(unnamed)} of its classifier; give"
            f" each from 0 to {width - 1} a label"
        )
    labels = tuple(str(config.id2label[column]) for column in range(width))
    if not all(label.strip() for label in labels) or len(set(labels)) < width:
        raise CheckpointError(
            f"{source}: labels must be non-empty and unique, and id2label in config.json has {list(labels)}; rename"
            " those that are not"
        )
    return labels


HEAD_READERS: Mapping[str, Callable[[str | Path, str, PreTrainedModel], Head]] = {
    "classification": _classification,
    "frame_classification": _frame_classification,
    "embedding": _embedding,
}
"""What a head means, by its name in a bundle, given the checkpoint, the name of the head's output, and the model."""
