"""An encoder that hears a clip chunk by chunk, as a stream does: for training, and the original of a stream's graph.

Three parts of wav2vec 2.0 need what comes later (Fu et al., "wav2vec-S", Findings of ACL 2024), and are kept from it:

- self-attention: a frame attends to its own chunk and to a bounded number of frames before it (Zhang et al., "Unified
  Streaming and Non-streaming Two-pass End-to-end Model", arXiv:2012.05481; left context: Shi et al., "Emformer",
  arXiv:2010.10759);
- the positional convolution: taps beyond the end of the chunk are left out;
- the normalisation of the waveform: by the mean and variance of all samples up to the end of the chunk, and of a second
  of sound at a usual level before them. Without that second the first chunk, which is mostly silence, would be as loud
  as speech, and the first consonant of a clip would be lost.

A chunk may look ahead: it is then computed together with the frames after it, which are computed once more as the next
chunk (the right context of Emformer, section 2.2). And the answer to a frame may come later: it is then read so many
frames after it, when the encoder knows what came in between, which costs no computation (the delayed targets of Graves,
"Supervised Sequence Labelling with Recurrent Neural Networks", 2012, section 3.2). Without a delay a letter at the end
of a chunk has to be guessed before it was heard: a small model trained so had a WER of 0.54 in chunks of 160 ms where
it had 0.19 on whole clips.

The feature encoder is exact: a frame is computed from its own 400 samples. With group norm it is not, since that norm
sees the whole clip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PretrainedConfig

from wav2edge.audio.clip import VARIANCE_EPS
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.errors import UsageError

if TYPE_CHECKING:
    from wav2edge_train.training_options import TrainingOptions

FRAME_MS = 20
"""A frame of wav2vec 2.0."""
PRIOR_S, PRIOR_RMS = 1.0, 0.05
"""What a stream is normalised with before anything was heard: seconds of sound, and their root mean square."""
LEVELS_RMS = (0.01, 0.2)
"""Levels that clips have in training, as streams do; whole clips are normalised, so that theirs do not matter."""
WHOLE_CLIP_SHARE = 0.5
"""Share of the batches that hear whole clips, as in arXiv:2012.05481, so that one checkpoint serves both."""


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """How a stream is cut, in frames of 20 ms.

    Attributes:
        frames: new frames in a chunk.
        left: frames before a chunk that it attends to.
        look_ahead: frames after a chunk that it is computed with.
        delay: the answer to a frame is read so many frames after it; silence is put behind the end of a clip for that.
    """

    frames: int
    left: int
    look_ahead: int = 0
    delay: int = 0

    def __post_init__(self) -> None:
        if self.frames < 1 or min(self.left, self.look_ahead, self.delay) < 0:
            raise UsageError(f"{self}: a chunk has 1 frame or more, and no context or delay fewer than 0")

    @property
    def block(self) -> int:
        """Frames that are computed at once."""
        return self.frames + self.look_ahead


def draw_chunking(config: PretrainedConfig) -> Chunking | None:
    """A chunk and its contexts at random for a batch of training; None: whole clips."""
    streaming = getattr(config, "streaming", None)
    if streaming is None or float(torch.rand(())) < WHOLE_CLIP_SHARE:
        return None
    frames, left, look_ahead = (_one_of(streaming[f"{name}_frames"]) for name in ("chunk", "left", "look_ahead"))
    return Chunking(frames=frames, left=left, look_ahead=look_ahead, delay=streaming["delay_frames"])


def _one_of(values: Sequence[int]) -> int:
    return values[int(torch.randint(len(values), ()))]


def streaming_fields(config: PretrainedConfig, options: TrainingOptions, *, normalize: bool) -> dict[str, Any]:
    """What a config says of a model that is trained for streams.

    Args:
        config: of the model.
        options: the delay, and the chunks, look-aheads and left contexts to draw from.
        normalize: it expects waveforms of zero mean and unit variance.

    Raises:
        UsageError: its encoder cannot stream, or something is no whole number of frames.
    """
    if config.model_type != "wav2vec2":
        raise UsageError(f"a {config.model_type} encoder; only those of wav2vec2 are trained for streams")
    if config.feat_extract_norm == "group":
        raise UsageError(
            "the group norm of this encoder sees the whole clip, so it cannot stream; start from a checkpoint with"
            " layer norm, such as facebook/wav2vec2-large-xlsr-53, or use windowed streams, which need no training"
        )
    return {
        "chunk_frames": _frames(options.stream_chunks_ms, "chunks", least=1),
        "left_frames": _frames([1e3 * each for each in options.stream_left_context_s], "left contexts", least=1),
        "look_ahead_frames": _frames(options.stream_look_ahead_ms, "look-aheads"),
        "delay_frames": _frames([options.stream_delay_ms], "a delay")[0],
        "normalize": normalize,
    }


def _frames(lengths_ms: Sequence[float], what: str, *, least: int = 0) -> list[int]:
    """Lengths in frames."""
    counts = [length_ms / FRAME_MS for length_ms in lengths_ms]
    if not all(abs(count - round(count)) < 1e-6 and round(count) >= least for count in counts):
        given = ", ".join(f"{length_ms:g}" for length_ms in lengths_ms)
        raise UsageError(f"{what} of {given} ms; give multiples of {FRAME_MS} ms, one frame")
    return [round(count) for count in counts]


def drawn_levels(clips: int, device: torch.device) -> Tensor:
    """Root mean squares of the clips of a batch in training, evenly drawn in dB: ``[clips, 1]``."""
    quietest, loudest = (math.log(level) for level in LEVELS_RMS)
    return torch.exp(torch.empty(clips, 1, device=device).uniform_(quietest, loudest))


def chunked_frames(
    backbone: nn.Module, waveforms: Tensor, samples: Tensor, chunking: Chunking, *, normalize: bool
) -> Tensor:
    """The last hidden states of clips that are heard chunk by chunk.

    Args:
        backbone: a ``Wav2Vec2Model``.
        waveforms: ``[batch, samples]`` at 16 kHz, zero-padded on the right.
        samples: ``[batch]`` samples of each clip before its padding.
        chunking: how they are cut.
        normalize: by the mean and variance up to the end of each chunk.

    Returns:
        ``[batch, frames, hidden]``, those of the frames ``delay`` later.
    """
    model = cast(Any, backbone)
    geometry = ConvGeometry.of(model.config.conv_kernel, model.config.conv_stride)
    waited = geometry.hop * chunking.delay
    waveforms, samples = functional.pad(waveforms, (0, waited)), samples + waited
    frames = geometry.frames(waveforms.shape[1])
    chunks = -(-frames // chunking.frames)
    blocks = _blocks(waveforms, samples, chunks, chunking, geometry, normalize=normalize)
    features = model.feature_extractor(blocks.flatten(0, 1)).transpose(1, 2)
    hidden, _ = model.feature_projection(features)
    hidden = hidden.unflatten(0, blocks.shape[:2])  # [batch, chunks, block, hidden]

    counts = torch.div(samples - geometry.receptive_field, geometry.hop, rounding_mode="floor") + 1
    at = _frame_numbers(chunks, chunking, hidden.device)
    inside = at < counts.clamp(min=1)[:, None, None]
    hidden = _masked(model, hidden, inside, chunking) * inside[..., None]
    hidden = hidden + _positions(model.encoder.pos_conv_embed, hidden, chunking)
    hidden = _encode(model.encoder, hidden.flatten(1, 2), _attention_mask(at, inside, chunking, hidden.dtype))
    return hidden.unflatten(1, (chunks, chunking.block))[:, :, : chunking.frames].flatten(1, 2)[
        :, chunking.delay : frames
    ]


def _blocks(
    waveforms: Tensor, samples: Tensor, chunks: int, chunking: Chunking, geometry: ConvGeometry, *, normalize: bool
) -> Tensor:
    """The samples that each chunk is computed from: ``[batch, samples]`` to ``[batch, chunks, samples]``."""
    step = geometry.hop * chunking.frames
    width = geometry.hop * (chunking.block - 1) + geometry.receptive_field
    padded = functional.pad(waveforms, (0, max(0, (chunks - 1) * step + width - waveforms.shape[1])))
    blocks = padded.unfold(1, width, step)[:, :chunks]
    if not normalize:
        return blocks
    starts = torch.arange(chunks, device=waveforms.device) * step
    ends = torch.minimum(starts + width, samples[:, None])
    totals, squares = (functional.pad(power.cumsum(1), (1, 0)).gather(1, ends) for power in _powers(padded))
    prior = PRIOR_S * geometry.rate_hz
    mean = totals / (ends + prior)
    scale = torch.rsqrt((squares + prior * PRIOR_RMS**2) / (ends + prior) - mean.square() + VARIANCE_EPS)
    inside = starts[:, None] + torch.arange(width, device=waveforms.device) < samples[:, None, None]
    return (blocks - mean[:, :, None].float()) * scale[:, :, None].float() * inside


def _powers(waveforms: Tensor) -> tuple[Tensor, Tensor]:
    """The samples and their squares in float64, whose sums over hours lose nothing."""
    exact = waveforms.double()
    return exact, exact.square()


def _frame_numbers(chunks: int, chunking: Chunking, device: torch.device) -> Tensor:
    """Which frame of the clip each frame of each block is: ``[chunks, block]``."""
    starts = torch.arange(chunks, device=device) * chunking.frames
    return starts[:, None] + torch.arange(chunking.block, device=device)


def _masked(model: Any, hidden: Tensor, inside: Tensor, chunking: Chunking) -> Tensor:
    """SpecAugment over the clip's frames; those that only look ahead stay as they are."""
    own = hidden[:, :, : chunking.frames].flatten(1, 2)
    known = inside[:, :, : chunking.frames].flatten(1, 2)
    masked = model._mask_hidden_states(own, attention_mask=known.long()).unflatten(1, (-1, chunking.frames))
    return torch.cat([masked, hidden[:, :, chunking.frames :]], dim=2)


def _positions(embedding: Any, hidden: Tensor, chunking: Chunking) -> Tensor:
    """The positional convolution over ``[batch, chunks, block, hidden]``, with zeros behind the end of each block."""
    conv = embedding.conv
    (kernel,) = conv.kernel_size
    left = kernel // 2
    own = functional.pad(hidden[:, :, : chunking.frames].flatten(1, 2), (0, 0, left, 0))
    before = own.unfold(1, left, chunking.frames)[:, : hidden.shape[1]].transpose(2, 3)
    heard = torch.cat([before, hidden], dim=2).flatten(0, 1).transpose(1, 2)
    products = functional.conv1d(
        functional.pad(heard, (0, kernel - 1 - left)), conv.weight, conv.bias, groups=conv.groups
    )
    return cast(Tensor, embedding.activation(products)).transpose(1, 2).unflatten(0, hidden.shape[:2])


def _attention_mask(at: Tensor, inside: Tensor, chunking: Chunking, dtype: torch.dtype) -> Tensor:
    """What each frame may attend to, ``[batch, 1, frames, frames]``: 0, and the lowest number elsewhere.

    Args:
        at: the frame of the clip, ``[chunks, block]``.
        inside: whether there is such a frame, ``[batch, chunks, block]``.
        chunking: how the clips are cut.
        dtype: of the mask.
    """
    chunk = torch.arange(at.shape[0], device=at.device)[:, None].expand_as(at).flatten()
    own = (torch.arange(at.shape[1], device=at.device) < chunking.frames).expand_as(at).flatten()
    begins = chunk[:, None] * chunking.frames
    before = own & (chunk < chunk[:, None]) & (at.flatten() >= begins - chunking.left)
    allowed = (before | (chunk == chunk[:, None])) & inside.flatten(1)[:, None]
    return torch.zeros(allowed.shape, dtype=dtype, device=at.device).masked_fill(~allowed, torch.finfo(dtype).min)[
        :, None
    ]


def _encode(encoder: Any, hidden: Tensor, mask: Tensor) -> Tensor:
    """The transformer, behind its positional convolution, in either of its two orders of norm and attention."""
    stable = encoder.config.do_stable_layer_norm
    hidden = encoder.dropout(hidden if stable else encoder.layer_norm(hidden))
    for layer in encoder.layers:
        hidden = layer(hidden, attention_mask=mask)[0]
    return cast(Tensor, encoder.layer_norm(hidden)) if stable else hidden
