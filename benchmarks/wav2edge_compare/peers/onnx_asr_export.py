"""What onnx-asr wants of a wav2vec2 graph: raw waveforms and their lengths in, log-probabilities out."""

from __future__ import annotations

import torch
from torch import nn

from wav2edge_train.checkpoint.loading import Checkpoint

EPSILON = 1e-7
"""Added to the variance, as transformers' ``Wav2Vec2FeatureExtractor`` does."""


class AsrGraph(nn.Module):
    """A checkpoint's CTC head behind the interface of onnx-asr, the waveform's normalisation inside."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.model = checkpoint.model
        self.normalize = checkpoint.normalize

    def forward(self, input_values: torch.Tensor, input_lengths: torch.Tensor) -> torch.Tensor:
        """Log-probabilities ``[batch, frames, vocabulary]`` of waveforms ``[batch, samples]``, padded with zeros."""
        inside = torch.arange(input_values.shape[1]) < input_lengths[:, None]
        if self.normalize:
            count = input_lengths[:, None].to(input_values.dtype)
            centred = (input_values - input_values.sum(dim=1, keepdim=True) / count) * inside
            variance = centred.square().sum(dim=1, keepdim=True) / count
            input_values = centred / (variance + EPSILON).sqrt()
        logits: torch.Tensor = self.model(input_values * inside).logits
        return logits.log_softmax(dim=-1)


def vocabulary_lines(checkpoint: Checkpoint) -> str:
    """A line a token with its id; the blank and the space between words under the names that onnx-asr reads."""
    head = checkpoint.heads.ctc
    assert head is not None
    renamed = {head.vocabulary[head.blank_id]: "<blk>", head.word_delimiter: "▁"}
    return "".join(f"{renamed.get(token, token)} {i}\n" for i, token in enumerate(head.vocabulary))
