"""What the graph of a stream computes: one chunk, from its samples and the memory of the chunks before it.

Its original is ``wav2edge_train.model.chunked_encoder``, which hears whole clips in chunks; here each chunk is computed
once, when it comes. All memory is zeros at the beginning of a stream, so that a program needs to know nothing of it but
its shapes.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from wav2edge.audio.clip import VARIANCE_EPS
from wav2edge.bundle.cached_streams import STATISTICS, StreamState
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.errors import CheckpointError, UsageError
from wav2edge_export.rewrite import RewriteResult
from wav2edge_export.rewrite.attention import MergedAttention
from wav2edge_export.rewrite.rules import linear_of
from wav2edge_export.rewrite.stream.ring_attention import RingAttention, Slots
from wav2edge_train.checkpoint.families.framing import window_index
from wav2edge_train.model.chunked_encoder import PRIOR_RMS, PRIOR_S, Chunking

POSITION, FRAMES, POOLED = "position", "positional_frames", "pooled"
"""Frames that were given, ``[1] int64``; the last frames before the positional convolution,
``[1, frames, hidden]``; the sum of the last hidden states, ``[1, hidden] float64``."""


class StreamModel(nn.Module):
    """One chunk of a stream.

    Args:
        original: the model as it was trained; its positional convolution is read.
        rewritten: the same with its convolutions and attentions replaced.
        largest: the chunking with the most frames that the graph serves.
        geometry: how samples become frames.
        normalize: the waveform is brought to zero mean and unit variance, of the samples so far.

    Raises:
        CheckpointError: a part was not replaced, so that it cannot stream.
    """

    def __init__(
        self,
        original: nn.Module,
        rewritten: RewriteResult,
        largest: Chunking,
        geometry: ConvGeometry,
        *,
        normalize: bool,
    ) -> None:
        super().__init__()
        if rewritten.unchanged:
            kept = rewritten.unchanged[0]
            raise CheckpointError(f"no graph for streams, since {kept.path} cannot be replaced: {kept.reason}")
        self.model: Any = rewritten.model
        self.config: Any = self.model.config
        self.geometry, self.normalize = geometry, normalize
        self.left, self.look_ahead, self.slots = largest.left, largest.look_ahead, largest.left + largest.block
        self.delay = largest.delay
        backbone: Any = self.model.wav2vec2
        self.positions = ChunkPositions(cast(Any, original).wav2vec2.encoder.pos_conv_embed)
        backbone.encoder.pos_conv_embed = nn.Identity()  # its copy is not part of the graph
        for layer in backbone.encoder.layers:
            layer.attention = RingAttention(cast(MergedAttention, layer.attention))
        self.attentions: list[RingAttention] = [layer.attention for layer in backbone.encoder.layers]

    @property
    def states(self) -> dict[str, StreamState]:
        """The memory by the names of its inputs, in their order."""
        hidden, heads = self.config.hidden_size, self.config.num_attention_heads
        ring = StreamState(shape=(1, heads, self.slots, hidden // heads))
        found = {
            POSITION: StreamState(shape=(1,), type="int64"),
            STATISTICS: StreamState(shape=(2,), type="float64"),
            FRAMES: StreamState(shape=(1, self.positions.left, hidden)),
            POOLED: StreamState(shape=(1, hidden), type="float64"),
        }
        if self.model.classifier is None:
            del found[POOLED]
        if not self.normalize:
            del found[STATISTICS]
        for number in range(len(self.attentions)):
            found |= {f"past_key_values.{number}.{part}": ring for part in ("key", "value")}
        return found

    def forward(self, input_values: Tensor, samples: Tensor, memory: list[Tensor]) -> tuple[Tensor, ...]:
        """Recognise a chunk.

        Args:
            input_values: ``[1, samples]`` the chunk's samples and those that its last frames reach beyond it.
            samples: ``[1]`` int64, how many of them are sound; zeros are behind them, at the end of a stream.
            memory: in the order of ``states``.

        Returns:
            The output of each head, ``[1, frames, vocabulary]``, those that were looked ahead to included, and
            ``[1, classes]``; then the memory.
        """
        state = dict(zip(self.states, memory, strict=True))
        position = state[POSITION]
        block = (input_values.shape[1] - self.geometry.receptive_field) // self.geometry.hop + 1
        chunk = block - self.look_ahead
        frames = torch.div(samples - self.geometry.receptive_field, self.geometry.hop, rounding_mode="floor") + 1
        inside = torch.arange(block) < frames
        following = {POSITION: position + chunk}
        if self.normalize:
            input_values, following[STATISTICS] = self._normalized(input_values, samples, state)
        hidden = self._features(input_values) * inside[None, :, None].to(input_values.dtype)
        heard = torch.cat([state[FRAMES], hidden], dim=1)
        following[FRAMES] = heard[:, chunk : chunk + self.positions.left]
        hidden = self._encode(hidden + self.positions(heard, block), self._slots(position, frames, block), state)
        own = hidden[:, :chunk]
        outputs = []
        if self.model.lm_head is not None:
            outputs.append(self.model.lm_head(hidden))
        if self.model.classifier is not None:
            answers = inside[:chunk] & (position + torch.arange(chunk) >= self.delay)
            following[POOLED] = state[POOLED] + (own.double() * answers[None, :, None].double()).sum(dim=1)
            count = torch.clamp(position + torch.minimum(frames, torch.tensor(chunk)) - self.delay, min=1)
            outputs.append(self.model.classifier((following[POOLED] / count).float()))
        for number, attention in enumerate(self.attentions):
            following[f"past_key_values.{number}.key"] = attention.keys
            following[f"past_key_values.{number}.value"] = attention.values
        return (*outputs, *(following[name] for name in self.states))

    def _normalized(self, samples: Tensor, count: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Zero mean and unit variance of all sound so far, and the statistics of it; samples are counted once."""
        at = torch.arange(samples.shape[1])
        known = self.geometry.hop * (self.look_ahead - 1) + self.geometry.receptive_field
        inside = at < count
        new = inside & ((at >= known) | (state[POSITION] == 0))
        exact = samples[0].double() * new.double()
        statistics = state[STATISTICS] + torch.stack([exact.sum(), (exact * exact).sum()])
        prior = PRIOR_S * self.geometry.rate_hz
        total = (state[POSITION] * self.geometry.hop + count).double() + prior
        mean, square = statistics[:1] / total, (statistics[1:] + prior * PRIOR_RMS**2) / total
        scale = torch.rsqrt(square - mean * mean + VARIANCE_EPS)
        return (samples - mean.float()) * scale.float() * inside.to(samples.dtype), statistics

    def _features(self, waveforms: Tensor) -> Tensor:
        """Convolve and project: ``[1, samples]`` to ``[1, frames, hidden]``."""
        features = self.model.wav2vec2.feature_extractor(waveforms)
        return self.model.wav2vec2.feature_projection(features.transpose(1, 2))[0]

    def _slots(self, position: Tensor, frames: Tensor, block: Any) -> Slots:
        """Where the chunk stands in the rings."""
        heads = self.config.num_attention_heads
        slots = (position + torch.arange(block)) % self.slots
        shape = (1, heads, slots.shape[0])
        at = torch.stack(
            [
                torch.zeros(shape, dtype=torch.int64),
                torch.arange(heads)[None, :, None].expand(shape),
                slots[None, None].expand(shape),
            ],
            dim=-1,
        )
        last = position + block - 1
        frame = last - torch.remainder(last - torch.arange(self.slots), self.slots)
        known = (frame >= torch.clamp(position - self.left, min=0)) & (frame < position + frames)
        hidden = torch.zeros(1).masked_fill(~known, torch.finfo(torch.float32).min)
        return Slots(at=at, mask=hidden[None, None, None].expand(1, 1, block, self.slots))

    def _encode(self, hidden: Tensor, slots: Slots, state: dict[str, Tensor]) -> Tensor:
        """The transformer, in either of its two orders of norm and attention."""
        encoder: Any = self.model.wav2vec2.encoder
        stable = self.config.do_stable_layer_norm
        if not stable:
            hidden = encoder.layer_norm(hidden)
        for number, (layer, attention) in enumerate(zip(encoder.layers, self.attentions, strict=True)):
            attention.slots = slots
            attention.keys = state[f"past_key_values.{number}.key"]
            attention.values = state[f"past_key_values.{number}.value"]
            hidden = layer(hidden)[0]
        return cast(Tensor, encoder.layer_norm(hidden)) if stable else hidden


class ChunkPositions(nn.Module):
    """The positional convolution of a chunk: frames before it are given, and behind it are zeros.

    A chunk is few frames, so that every tap is stacked: one MatMul for each group. Weight norm is folded.
    """

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        conv = embedding.conv
        (self.kernel,) = conv.kernel_size
        self.left = self.kernel // 2
        self.width_in = conv.in_channels // conv.groups
        weight = conv.weight.detach()
        self.linears = nn.ModuleList(
            linear_of(taps.permute(0, 2, 1).reshape(taps.shape[0], -1))
            for taps in weight.split(conv.out_channels // conv.groups)
        )
        self.bias = nn.Parameter(conv.bias.detach().clone(), requires_grad=False)
        self.activation = embedding.activation

    def forward(self, heard: Tensor, block: Any) -> Tensor:
        """Embed: heard ``[1, left + block, hidden]`` -> ``[1, block, hidden]``."""
        padded = F.pad(heard, (0, 0, 0, self.kernel - 1 - self.left))
        index = window_index(padded.shape[1], self.kernel, 1)
        stacked = (
            torch.index_select(group, 1, index).reshape(1, block, self.kernel * self.width_in)
            for group in torch.split(padded, self.width_in, dim=-1)
        )
        products = torch.cat([linear(frames) for linear, frames in zip(self.linears, stacked, strict=True)], dim=-1)
        return cast(Tensor, self.activation(products + self.bias))


def chunk_frames(milliseconds: int, geometry: ConvGeometry) -> int:
    """Frames in a chunk of so many milliseconds.

    Raises:
        UsageError: it is no whole number of them.
    """
    frames, rest = divmod(milliseconds * geometry.rate_hz, 1000 * geometry.hop)
    if rest:
        raise UsageError(f"a chunk of {milliseconds} ms; give multiples of {geometry.frame_s * 1e3:g} ms, one frame")
    return frames
