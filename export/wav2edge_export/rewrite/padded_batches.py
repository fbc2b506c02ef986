"""A model over padded batches: each clip gives the outputs that it gives alone, whatever its neighbours.

transformers' own masked forward is not enough for that: with group norm its statistics run over the padding, and the
joint model never gives such an encoder a mask. Here the lengths reach every place where one frame meets another: the
group norm, the positional convolution, which must see zeros behind a clip, the attention, and the mean under a
classifier. transformers 4.57, ``models/wav2vec2/modeling_wav2vec2.py``, is followed everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wav2edge.errors import CheckpointError
from wav2edge_export.rewrite.convolutions.feature_encoder import StackedFeatureEncoder
from wav2edge_export.rewrite.gpu.fused_operators import positions
from wav2edge_export.rewrite.gpu.gpu_encoder import GpuEncoder
from wav2edge_export.rewrite.gpu.gpu_feature_encoder import GpuFeatureEncoder
from wav2edge_train.checkpoint.families.family_table import backbone_of, family_of, geometry_of, hears_padding
from wav2edge_train.checkpoint.families.framing import frame_counts, inside


@dataclass(frozen=True)
class OwnFrames:
    """Which frames of a batch are the clips' own: mask [batch, frames], 1 there, and counts [batch] of them."""

    mask: Tensor
    counts: Tensor

    def mean(self, frames: Tensor) -> Tensor:
        """Mean of each clip's own frames, in float32: [batch, frames, hidden] -> [batch, hidden]."""
        return _mean(frames, self.mask, self.counts)

    def statistics(self, frames: Tensor) -> Tensor:
        """Mean and standard deviation of each clip's own windows: [batch, windows, hidden] -> [batch, 2 * hidden].

        Windows without padding around the clip are fewer than its frames, by as many as those of the batch are.
        """
        lost = self.mask.shape[1] - frames.shape[1]
        mask, counts = self.mask[:, lost:], self.counts - lost
        mean = _mean(frames, mask, counts)
        variance = _mean((frames - mean[:, None]) ** 2, mask, counts - 1)  # that of a sample, as in transformers
        return torch.cat([mean, variance.sqrt()], dim=-1)


def _transcribe(model: Any, frames: Tensor, own: OwnFrames) -> dict[str, Tensor]:
    return {"logits": model.lm_head(frames)}


def _classify(model: Any, frames: Tensor, own: OwnFrames) -> dict[str, Tensor]:
    return {"logits": model.classifier(own.mean(model.projector(frames)))}


def _label_frames(model: Any, frames: Tensor, own: OwnFrames) -> dict[str, Tensor]:
    return {"logits": model.classifier(frames)}


def _embed(model: Any, frames: Tensor, own: OwnFrames) -> dict[str, Tensor]:
    windows = model.projector(frames)
    for layer in model.tdnn:
        windows = layer(windows)
    return {"embeddings": model.feature_extractor(own.statistics(windows))}


def _do_both(model: Any, frames: Tensor, own: OwnFrames) -> dict[str, Tensor]:
    outputs = {}
    if model.lm_head is not None:
        outputs["logits"] = model.lm_head(frames)
    if model.classifier is not None:
        outputs["class_logits"] = model.classifier(own.mean(frames))
    return outputs


HEADS: dict[str, Callable[[Any, Tensor, OwnFrames], dict[str, Tensor]]] = {
    "ForCTC": _transcribe,
    "ForSequenceClassification": _classify,
    "ForAudioFrameClassification": _label_frames,
    "ForXVector": _embed,
    "ForJointCTC": _do_both,
}
"""What each class of model, by the end of its name, makes of its encoder's frames [batch, frames, hidden]."""


class PaddedBatchModel(nn.Module):
    """An rewritten model that takes the attention mask at its word.

    Args:
        model: what ``rewrite`` gave, of a class in ``HEADS``.

    Raises:
        CheckpointError: padding would change the outputs of a clip.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        family, geometry = family_of(model.config), geometry_of(model.config)
        self.field, self.hop = geometry.receptive_field, geometry.hop
        self.model, self.head = model, HEADS[type(model).__name__.removeprefix(family.prefix)]
        self.stacked = isinstance(self.feature_encoder, (StackedFeatureEncoder, GpuFeatureEncoder))
        self.for_gpu = isinstance(self.backbone.encoder, GpuEncoder)
        leak = family.leak
        if getattr(model.config, "add_adapter", False):
            leak = "its adapter sees the padding behind a clip"
        if not self.stacked and not hears_padding(model.config):
            leak = "the feature encoder normalises over time and could not be replaced"
        if leak is not None:
            raise CheckpointError(f"{leak}, so that padding would change the outputs; export without --batched")

    @property
    def backbone(self) -> Any:
        """The encoder in the model; as a module of its own it would give the nodes of the graph other names."""
        return backbone_of(self.model)

    @property
    def feature_encoder(self) -> Any:
        """Its feature encoder; None where it hears log-mel features."""
        return getattr(self.backbone, "feature_extractor", None)

    def forward(self, input_values: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Answer a batch.

        Args:
            input_values: [batch, samples], or the features that the model takes.
            attention_mask: [batch, samples], 1 on a clip, which begins at the left, and 0 on its padding.

        Returns:
            The outputs that transformers names; of [batch, frames, vocabulary], frames behind a clip mean nothing.
        """
        samples = attention_mask.sum(dim=1)
        counts = frame_counts(samples, self.field, self.hop)
        frames = self.encode(self.features(input_values, samples), counts)
        # A feature encoder for GPUs pads; what comes of that is behind the longest clip.
        frames = frames[:, : (attention_mask.shape[1] - self.field) // self.hop + 1]
        mask = positions(frames) < counts[:, None] if self.for_gpu else inside(counts, frames.shape[1])
        return self.head(self.model, frames, OwnFrames(mask, counts))

    def features(self, input_values: Tensor, samples: Tensor) -> Tensor:
        """Convolve: input_values [batch, samples], samples [batch] -> hidden states [batch, frames, hidden].

        Log-mel features [batch, frames, width] are projected as they are.
        """
        features = input_values
        if self.feature_encoder is not None:
            features = self.feature_encoder(input_values, *((samples,) if self.stacked else ())).transpose(1, 2)
        projected = self.backbone.feature_projection(features)
        return projected[0] if isinstance(projected, tuple) else projected  # wav2vec2's comes with what it projected

    def encode(self, hidden_states: Tensor, counts: Tensor) -> Tensor:
        """Attend: hidden_states [batch, frames, hidden], counts [batch] -> the same shape."""
        if self.for_gpu:
            encoded: Tensor = self.backbone.encoder(hidden_states, counts)
            return encoded
        mask = inside(counts, hidden_states.shape[1])
        weighted = getattr(self.model, "layer_weights", None)
        layers = self.backbone.encoder(
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
