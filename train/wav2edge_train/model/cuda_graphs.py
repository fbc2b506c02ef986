"""An encoder as CUDA graphs while it trains, from waveform to last hidden states: each pass is one launch.

One update of XLSR-53 on eight clips of 1.5 s launches thousands of kernels, and hands 400 gradients to 400 weights, all
of which takes a processor longer than the arithmetic takes a GPU. Captured once for each shape of batch, the passes are
replayed (Nguyen et al., "Accelerating PyTorch with CUDA Graphs", PyTorch blog, 2021), and gradients are written where
the optimizer reads them. Clips are padded up to a multiple of ``STEP`` frames, so that there are few shapes.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutput

from wav2edge_train.checkpoint.families.family_table import geometry_of
from wav2edge_train.checkpoint.families.framing import frame_counts, inside
from wav2edge_train.model.joint_model import JointModel

STEP = 8
WARM_UP = 3
"""Passes before the capture, in which libraries choose their kernels and take their memory."""
CAPTURE_MODE = "thread_local"
"""Other threads pin memory for the next batches meanwhile, which would end a capture of the ``global`` mode."""
MOST_SHAPES = 64
"""Shapes that are captured; a batch of another one is launched kernel by kernel."""


def capture_encoder(model: JointModel) -> None:
    """Let the encoder of a model on a CUDA GPU train through CUDA graphs; evaluation is as it was.

    Masks of SpecAugment are drawn on the GPU, which transformers draws on the host, after waiting for the GPU.
    """
    backbone = model.backbone
    backbone._mask_hidden_states = partial(mask_hidden_states, backbone)
    backbone.forward = CapturedEncoder(model)


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
    """The forward pass of a ``Wav2Vec2Model``, captured for each shape that is asked for in training.

    A feature encoder with group norm hears the padding of a clip, so it is launched kernel by kernel on clips that are
    not padded further, and what is captured begins behind it.
    """

    def __init__(self, model: JointModel) -> None:
        self._backbone, self._eager, self._from_waveforms = model.backbone, model.backbone.forward, model.masked
        self._geometry = geometry_of(model.config, adapter=False)
        self._weights = tuple(model.backbone.parameters())  # to walk over the modules takes a millisecond
        self._passes: dict[tuple[Any, ...], _Passes] = {}
        self._gradients: dict[int, Tensor] = {}
        self._pool: Any = None

    def __call__(self, input_values: Tensor, attention_mask: Tensor | None = None, **options: Any) -> Any:
        """As the backbone: input_values ``[batch, samples]``, attention_mask ``[batch, samples]`` or None."""
        wanted = options.get("output_hidden_states") or options.get("output_attentions")
        trained = [weights for weights in self._weights if weights.requires_grad]
        if not (self._backbone.training and torch.is_grad_enabled() and trained) or wanted:
            return self._eager(input_values, attention_mask=attention_mask, **options)
        geometry, frames = self._geometry, self._geometry.frames(input_values.shape[1])
        counts = input_values.new_full((len(input_values),), frames, dtype=torch.int64)
        if attention_mask is not None:
            counts = frame_counts(attention_mask.sum(dim=-1), geometry.receptive_field, geometry.hop)
        padded = frames + -frames % STEP
        if self._from_waveforms:
            heard = geometry.receptive_field + geometry.hop * (padded - 1)
            inputs = functional.pad(input_values, (0, heard - input_values.shape[1]))
        else:
            features = self._backbone.feature_extractor(input_values).transpose(1, 2)
            inputs = functional.pad(features, (0, 0, 0, padded - frames))
        hidden = self._encode(inputs, inside(counts, padded), trained)[:, :frames]
        adapter = getattr(self._backbone, "adapter", None)
        return BaseModelOutput(last_hidden_state=cast(Any, hidden if adapter is None else adapter(hidden)))

    def _encode(self, inputs: Tensor, mask: Tensor, trained: list[Any]) -> Tensor:
        dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else None
        body = MaskedBackbone(self._backbone, dtype, from_waveforms=self._from_waveforms)
        # Counted for each batch, since frozen layers may thaw.
        key = (*inputs.shape, inputs.dtype, dtype, len(trained))
        if key not in self._passes:
            if not inputs.is_cuda or len(self._passes) >= MOST_SHAPES:
                return cast(Tensor, body(inputs, mask))
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            for weights in trained:
                self._gradients.setdefault(id(weights), torch.zeros_like(weights))
            self._passes[key] = _Passes(body, (inputs, mask), trained, self._gradients, self._pool)
        # What asks autograd for a backward pass is none of the weights: a tensor that is kept would hold on to what
        # accumulates their gradients, on the stream of this batch, and no later shape could be captured on another.
        wanted = torch.zeros((), requires_grad=True)
        return cast(Tensor, _Replay.apply(inputs, mask, wanted, self._passes[key]))


class _Passes:
    """The two passes of one shape, and the tensors that they read and write.

    Args:
        body: what is captured.
        like: its inputs of one batch, of which shape and type are taken.
        weights: those that are trained.
        gradients: where the backward pass writes theirs, by the id of the weights; all shapes share them.
        pool: memory that all shapes share, since a backward pass ends before the next forward pass begins.
    """

    def __init__(
        self,
        body: nn.Module,
        like: tuple[Tensor, Tensor],
        weights: list[Any],
        gradients: dict[int, Tensor],
        pool: Any,
    ) -> None:
        wanted = like[0].requires_grad
        self.inputs, self.mask = torch.zeros_like(like[0], requires_grad=wanted), torch.ones_like(like[1])
        body.train()
        sources = [*([self.inputs] if wanted else []), *weights]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                encoded = body(self.inputs, self.mask)
                found = torch.autograd.grad(encoded, sources, torch.ones_like(encoded), allow_unused=True)
        torch.cuda.current_stream().wait_stream(stream)
        used = [source for source, gradient in zip(sources, found, strict=True) if gradient is not None]
        self.weights = [source for source in used if source is not self.inputs]
        self.gradients = [gradients[id(each)] for each in self.weights]
        self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        capture = partial(torch.cuda.graph, pool=pool, capture_error_mode=CAPTURE_MODE)
        with capture(self.forward):
            encoded = body(self.inputs, self.mask)
        self.encoded_gradient = torch.zeros_like(encoded)
        with capture(self.backward):
            found = torch.autograd.grad(encoded, used, self.encoded_gradient)
            torch._foreach_copy_(self.gradients, list(found[-len(self.weights) :]))
        self.encoded = encoded.detach()
        self.input_gradient = found[0].detach() if wanted else None

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
    def forward(ctx: Any, inputs: Tensor, mask: Tensor, wanted: Tensor, passes: _Passes) -> Tensor:
        """Encode a batch; ``wanted`` requires a gradient, so that there is a backward pass."""
        ctx.passes = passes
        passes.inputs.detach().copy_(inputs)
        passes.mask.copy_(mask)
        passes.forward.replay()
        return passes.encoded.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None, None]:
        """The gradient of the inputs, where they want one; those of the weights go to the weights."""
        passes = ctx.passes
        passes.encoded_gradient.copy_(gradient)
        passes.accumulate()
        return None if passes.input_gradient is None else passes.input_gradient.clone(), None, None, None


class MaskedBackbone(nn.Module):
    """What ``Wav2Vec2Model`` computes up to its adapter, without a look at the mask from the host.

    Its encoders are ``Wav2Vec2Encoder`` and ``Wav2Vec2EncoderStableLayerNorm`` in
    ``models/wav2vec2/modeling_wav2vec2.py``. A layer that layer drop leaves out is computed all the same, and then not
    used.

    Args:
        backbone: the model.
        dtype: of autocast, None without it.
        from_waveforms: the inputs are ``[batch, samples]``, otherwise what the feature encoder gives, ``[batch, frames,
            channels]``.
    """

    def __init__(self, backbone: Any, dtype: torch.dtype | None, *, from_waveforms: bool) -> None:
        super().__init__()
        self.backbone, self.dtype, self.from_waveforms = backbone, dtype, from_waveforms
        self.norm_first = backbone.config.do_stable_layer_norm

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """The last hidden states, ``[batch, frames, hidden]``; mask ``[batch, frames]`` bool, False in the padding."""
        # A captured graph reads weights where they are, so none may be cast once and kept.
        with torch.autocast(inputs.device.type, self.dtype, enabled=self.dtype is not None, cache_enabled=False):
            features = self.backbone.feature_extractor(inputs).transpose(1, 2) if self.from_waveforms else inputs
            hidden, _ = self.backbone.feature_projection(features)
            return self._encode(mask_hidden_states(self.backbone, hidden, attention_mask=mask), mask)

    def _encode(self, hidden: Tensor, mask: Tensor) -> Tensor:
        encoder = self.backbone.encoder
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
