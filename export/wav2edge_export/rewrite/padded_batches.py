"""A model over padded batches: each clip gives the outputs that it gives alone, whatever its neighbours.

transformers' own masked forward is not enough for that: with group norm its statistics run over the padding, and the
joint model never gives such an encoder a mask. Here the lengths reach every place where one frame meets another: the
group norm, the positional convolution, which must see zeros behind a clip, the attention, and the mean under a
classifier. transformers 4.57, ``models/wav2vec2/modeling_wav2vec2.py``, is followed everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from transformers import (
    HubertForCTC,
    HubertForSequenceClassification,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
)

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.errors import CheckpointError
from wav2edge_export.rewrite.feature_encoder import StackedFeatureEncoder
from wav2edge_export.rewrite.gpu.fused_operators import positions
from wav2edge_export.rewrite.gpu.gpu_encoder import GpuEncoder
from wav2edge_export.rewrite.gpu.gpu_feature_encoder import GpuFeatureEncoder
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC, frame_counts, inside

Pool: TypeAlias = Callable[[Tensor], Tensor]
"""Frames [batch, frames, hidden] to the mean of each clip's own, [batch, hidden]."""


def _transcribe(model: Any, frames: Tensor, pool: Pool) -> dict[str, Tensor]:
    return {"logits": model.lm_head(frames)}


def _classify(model: Any, frames: Tensor, pool: Pool) -> dict[str, Tensor]:
    return {"logits": model.classifier(pool(model.projector(frames)))}


def _do_both(model: Any, frames: Tensor, pool: Pool) -> dict[str, Tensor]:
    outputs = {}
    if model.lm_head is not None:
        outputs["logits"] = model.lm_head(frames)
    if model.classifier is not None:
        outputs["class_logits"] = model.classifier(pool(frames))
    return outputs


HEADS: dict[type[nn.Module], Callable[[Any, Tensor, Pool], dict[str, Tensor]]] = {
    Wav2Vec2ForCTC: _transcribe,
    HubertForCTC: _transcribe,
    Wav2Vec2ForSequenceClassification: _classify,
    HubertForSequenceClassification: _classify,
    Wav2Vec2ForJointCTC: _do_both,
}
"""What each class of model makes of its encoder's frames [batch, frames, hidden]."""


class PaddedBatchModel(nn.Module):
    """An rewritten model that takes the attention mask at its word.

    Args:
        model: what ``rewrite`` gave, of a class in ``HEADS``.

    Raises:
        CheckpointError: its feature encoder normalises over time and could not be replaced.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        geometry = ConvGeometry.of(model.config.conv_kernel, model.config.conv_stride)
        self.field, self.hop = geometry.receptive_field, geometry.hop
        self.model, self.head = model, HEADS[type(model)]
        self.stacked = isinstance(model.base_model.feature_extractor, (StackedFeatureEncoder, GpuFeatureEncoder))
        self.for_gpu = isinstance(model.base_model.encoder, GpuEncoder)
        if not self.stacked and model.config.feat_extract_norm == "group":
            raise CheckpointError(
                "the feature encoder normalises over time and could not be replaced, so that padding would change the"
                " outputs; export without --batched"
            )

    def forward(self, input_values: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Answer a batch.

        Args:
            input_values: [batch, samples].
            attention_mask: [batch, samples], 1 on a clip, which begins at the left, and 0 on its padding.

        Returns:
            The outputs that transformers names; of [batch, frames, vocabulary], frames behind a clip mean nothing.
        """
        samples = attention_mask.sum(dim=1)
        counts = frame_counts(samples, self.field, self.hop)
        frames = self.encode(self.features(input_values, samples), counts)
        # A feature encoder for GPUs pads; what comes of that is behind the longest clip.
        frames = frames[:, : (input_values.shape[1] - self.field) // self.hop + 1]
        mask = positions(frames) < counts[:, None] if self.for_gpu else inside(counts, frames.shape[1])
        return self.head(self.model, frames, lambda values: _mean(values, mask, counts))

    def features(self, input_values: Tensor, samples: Tensor) -> Tensor:
        """Convolve: input_values [batch, samples], samples [batch] -> hidden states [batch, frames, hidden]."""
        backbone, lengths = self.model.base_model, (samples,) if self.stacked else ()
        features = backbone.feature_extractor(input_values, *lengths)
        projected = backbone.feature_projection(features.transpose(1, 2))
        return projected[0] if isinstance(projected, tuple) else projected  # wav2vec2's comes with what it projected

    def encode(self, hidden_states: Tensor, counts: Tensor) -> Tensor:
        """Attend: hidden_states [batch, frames, hidden], counts [batch] -> the same shape."""
        if self.for_gpu:
            encoded: Tensor = self.model.base_model.encoder(hidden_states, counts)
            return encoded
        mask = inside(counts, hidden_states.shape[1])
        weighted = getattr(self.model, "layer_weights", None)
        layers = self.model.base_model.encoder(
            hidden_states, attention_mask=mask, output_hidden_states=weighted is not None, return_dict=True
        )
        if weighted is None:
            return layers.last_hidden_state
        shares = torch.softmax(weighted, dim=-1)
        return (torch.stack(layers.hidden_states, dim=1) * shares[:, None, None]).sum(dim=1)


def _mean(frames: Tensor, mask: Tensor, counts: Tensor) -> Tensor:
    """Mean of each clip's own frames, in float32: [batch, frames, hidden] -> [batch, hidden]."""
    total = (frames.float() * mask[:, :, None].float()).sum(dim=1)
    return (total / counts[:, None].float()).to(frames.dtype)
