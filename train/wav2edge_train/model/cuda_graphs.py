"""The transformer as CUDA graphs while it trains: its forward and its backward pass are one launch each.

One update of XLSR-53 on eight clips of 1.5 s launches thousands of kernels, and hands 400 gradients to 400 weights, all
of which takes a processor longer than the arithmetic takes a GPU. Captured once for each shape of batch, the passes are
replayed (Nguyen et al., "Accelerating PyTorch with CUDA Graphs", PyTorch blog, 2021), and gradients are written where
the optimizer reads them. Frames are padded up to a multiple of ``STEP``, so that there are few shapes.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutput

from wav2edge_train.model.joint_model import JointModel

STEP = 8
WARM_UP = 3
"""Passes before the capture, in which libraries choose their kernels and take their memory."""
MOST_SHAPES = 64
"""Shapes that are captured; a batch of another one is launched kernel by kernel."""


def capture_encoder(model: JointModel) -> None:
    """Let the transformer of a model on a CUDA GPU train through CUDA graphs; evaluation is as it was.

    Masks of SpecAugment are drawn on the GPU, which transformers draws on the host, after waiting for the GPU.
    """
    backbone = model.backbone
    backbone.encoder.forward = CapturedEncoder(backbone.encoder)
    backbone._mask_hidden_states = partial(mask_hidden_states, backbone)


def mask_hidden_states(
    backbone: Any, hidden_states: Tensor, mask_time_indices: None = None, attention_mask: Tensor | None = None
) -> Tensor:
    """SpecAugment (Park et al., Interspeech 2019) on learnt features, as the config of the backbone asks for it.

    Args:
        backbone: a ``Wav2Vec2Model``.
        hidden_states: ``[batch, frames, hidden]``.
        mask_time_indices: never given in training.
        attention_mask: ``[batch, frames]``, 1 on the clips.
    """
    config = backbone.config
    if not (backbone.training and config.apply_spec_augment):
        return hidden_states
    batch, frames, hidden = hidden_states.shape
    # The features are bfloat16 under autocast, which rounds counts above 256.
    counted = partial(hidden_states.new_full, (batch,), dtype=torch.int64)
    if config.mask_time_prob > 0:
        counts = counted(frames) if attention_mask is None else attention_mask.sum(dim=1)
        spans = (config.mask_time_prob, config.mask_time_length, config.mask_time_min_masks)
        covered = covered_places(counts, frames, *spans)[:, :, None]
        hidden_states = torch.where(covered, backbone.masked_spec_embed.to(hidden_states.dtype), hidden_states)
    if config.mask_feature_prob > 0:
        counts = counted(hidden)
        spans = (config.mask_feature_prob, config.mask_feature_length, config.mask_feature_min_masks)
        hidden_states = hidden_states.masked_fill(covered_places(counts, hidden, *spans)[:, None], 0)
    return hidden_states


def covered_places(counts: Tensor, places: int, share: float, length: int, fewest: int) -> Tensor:
    """Places that random spans cover.

    Args:
        counts: ``[batch]``, places of each row that may be covered.
        places: of the longest row.
        share: expected share of a row that spans would cover if none overlapped.
        length: places in a span.
        fewest: spans in a row.

    Returns:
        ``[batch, places]`` bool.
    """
    most = max(fewest, int(share * places / length + 1))
    wanted = (share * counts / length + torch.rand((), device=counts.device)).floor().clamp(min=fewest)
    room = (counts - length + 1).clamp(min=1)[:, None]
    starts = (torch.rand((len(counts), most), device=counts.device) * room).floor()[:, :, None]
    drawn = (torch.arange(most, device=counts.device) < wanted[:, None])[:, :, None]
    order = torch.arange(places, device=counts.device)
    return (drawn & (order >= starts) & (order < starts + length)).any(dim=1)


class CapturedEncoder:
    """The forward pass of an encoder of transformers, captured for each shape that is asked for in training."""

    def __init__(self, encoder: Any) -> None:
        self._encoder, self._eager = encoder, encoder.forward
        self._passes: dict[tuple[Any, ...], _Passes] = {}
        self._gradients: dict[int, Tensor] = {}
        self._pool: Any = None

    def __call__(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **options: Any) -> Any:
        """As the encoder: hidden_states ``[batch, frames, hidden]``, attention_mask ``[batch, frames]`` or None."""
        wanted = options.get("output_hidden_states") or options.get("output_attentions")
        if not self._encoder.training or wanted or not hidden_states.requires_grad:
            return self._eager(hidden_states, attention_mask=attention_mask, **options)
        batch, frames, _ = hidden_states.shape
        behind = -frames % STEP
        if attention_mask is None:
            attention_mask = hidden_states.new_ones((batch, frames), dtype=torch.bool)
        hidden = functional.pad(hidden_states, (0, 0, 0, behind))
        mask = functional.pad(attention_mask.bool(), (0, behind))
        return BaseModelOutput(last_hidden_state=cast(Any, self._encode(hidden, mask)[:, :frames]))

    def _encode(self, hidden: Tensor, mask: Tensor) -> Tensor:
        dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else None
        body = MaskedEncoder(self._encoder, dtype)
        # Counted for each batch, since frozen layers may thaw.
        trained = [weights for weights in self._encoder.parameters() if weights.requires_grad]
        key = (*hidden.shape, hidden.dtype, dtype, len(trained))
        if key not in self._passes:
            if not hidden.is_cuda or len(self._passes) >= MOST_SHAPES:
                return cast(Tensor, body(hidden, mask))
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            for weights in trained:
                self._gradients.setdefault(id(weights), torch.zeros_like(weights))
            gradients = [self._gradients[id(weights)] for weights in trained]
            self._passes[key] = _Passes(body, hidden, trained, gradients, self._pool)
        return cast(Tensor, _Replay.apply(hidden, mask, self._passes[key]))


class _Passes:
    """The two passes of one shape, and the tensors that they read and write.

    Args:
        body: what is captured.
        like: its input, ``[batch, frames, hidden]``.
        weights: those that are trained.
        gradients: where the backward pass writes theirs; all shapes share them.
        pool: memory that all shapes share, since a backward pass ends before the next forward pass begins.
    """

    def __init__(self, body: nn.Module, like: Tensor, weights: list[Any], gradients: list[Tensor], pool: Any) -> None:
        self.hidden = torch.zeros_like(like, requires_grad=True)
        self.mask = torch.ones(like.shape[:2], dtype=torch.bool, device=like.device)
        self.weights, self.gradients = weights, gradients
        body.train()
        inputs = [self.hidden, *weights]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                encoded = body(self.hidden, self.mask)
                torch.autograd.grad(encoded, inputs, torch.ones_like(encoded))
        torch.cuda.current_stream().wait_stream(stream)
        self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.forward, pool=pool):
            encoded = body(self.hidden, self.mask)
        self.encoded_gradient = torch.zeros_like(encoded)
        with torch.cuda.graph(self.backward, pool=pool):
            found = torch.autograd.grad(encoded, inputs, self.encoded_gradient)
            torch._foreach_copy_(gradients, list(found[1:]))
        self.encoded, self.hidden_gradient = encoded.detach(), found[0].detach()

    def accumulate(self) -> None:
        """Run the backward pass, and add its gradients to those that the weights have."""
        before = [weights.grad for weights in self.weights]
        kept = [None if grad is None else grad.clone() for grad in before]
        self.backward.replay()
        for weights, gradient, earlier in zip(self.weights, self.gradients, kept, strict=True):
            if earlier is not None:
                gradient.add_(earlier)
            weights.grad = gradient


class _Replay(torch.autograd.Function):
    """One replayed forward pass, whose backward pass is replayed as well."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, mask: Tensor, passes: _Passes) -> Tensor:
        """Encode: hidden ``[batch, frames, hidden]``, mask ``[batch, frames]`` -> like hidden."""
        ctx.passes = passes
        passes.hidden.detach().copy_(hidden)
        passes.mask.copy_(mask)
        passes.forward.replay()
        return passes.encoded.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of the hidden states; those of the weights go to the weights."""
        passes = ctx.passes
        passes.encoded_gradient.copy_(gradient)
        passes.accumulate()
        return passes.hidden_gradient.clone(), None, None


class MaskedEncoder(nn.Module):
    """What the encoders of transformers compute, without a look at the mask from the host.

    These are ``Wav2Vec2Encoder`` and ``Wav2Vec2EncoderStableLayerNorm`` in ``models/wav2vec2/modeling_wav2vec2.py``. A
    layer that layer drop leaves out is computed all the same, and then not used.
    """

    def __init__(self, encoder: Any, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.encoder, self.dtype = encoder, dtype
        self.norm_first = encoder.config.do_stable_layer_norm

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Encode: hidden ``[batch, frames, hidden]``, mask ``[batch, frames]`` bool -> like hidden."""
        # A captured graph reads weights where they are, so none may be cast once and kept.
        with torch.autocast(hidden.device.type, self.dtype, enabled=self.dtype is not None, cache_enabled=False):
            return self._encode(hidden, mask)

    def _encode(self, hidden: Tensor, mask: Tensor) -> Tensor:
        encoder = self.encoder
        hidden = hidden * mask[:, :, None]
        attended = mask[:, None, None].expand(-1, 1, hidden.shape[1], -1)
        hidden = hidden + encoder.pos_conv_embed(hidden)
        hidden = encoder.dropout(hidden if self.norm_first else encoder.layer_norm(hidden))
        for layer in encoder.layers:
            made = layer(hidden, attention_mask=attended)
            made = made[0] if isinstance(made, tuple) else made
            if self.training and encoder.config.layerdrop > 0:
                made = torch.where(torch.rand((), device=hidden.device) < encoder.config.layerdrop, hidden, made)
            hidden = made
        return encoder.layer_norm(hidden) if self.norm_first else hidden
