"""One wav2vec2 encoder with two heads: CTC over frames, and an utterance classifier on their masked mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Wav2Vec2Config, Wav2Vec2Model
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder, Wav2Vec2PreTrainedModel
from transformers.utils.generic import ModelOutput

from wav2edge_train.model.chunked_encoder import Chunking, chunked_frames, draw_chunking, drawn_levels

HEAD_NAMES = ("ctc", "classification")
"""The heads that a model may have; those it has are in the config's ``joint_heads``."""


FORBIDDEN = -1e4
"""Log probability of a token outside its frames: no path through it counts, and everything stays finite."""


@dataclass
class JointOutput(ModelOutput):
    """The outputs of ``Wav2Vec2ForJointCTC``; None where there is no head, or no label for a loss.

    ``logits: [batch, frames, vocabulary]``, ``class_logits: [batch, classes]``. The losses are float32 scalars:
    ``loss = ctc_weight * ctc_loss + class_weight * class_loss``.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    class_logits: torch.Tensor | None = None
    ctc_loss: torch.Tensor | None = None
    class_loss: torch.Tensor | None = None


class Wav2Vec2ForJointCTC(Wav2Vec2PreTrainedModel):
    """Transcribes and classifies an utterance with one encoder (wav2vec 2.0, arXiv:2006.11477).

    The config of a wav2vec2 model with four more fields: ``joint_heads`` (which of ``HEAD_NAMES``), ``ctc_weight``
    and ``class_weight``, and ``class_balance`` (a weight for each class, or None). The CTC part is named as in
    ``Wav2Vec2ForCTC``, which can therefore load it.
    """

    accepts_loss_kwargs = False
    """With False the Trainer divides the loss by the accumulation steps; with True it expects the model to do so."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__(config)
        heads = getattr(config, "joint_heads", HEAD_NAMES)
        self.wav2vec2 = Wav2Vec2Model(config)
        if config.feat_extract_norm == "layer":
            self.wav2vec2.feature_extractor = TimeMajorFeatureEncoder(config)
        self.dropout = nn.Dropout(config.final_dropout)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size) if "ctc" in heads else None
        self.classifier = nn.Linear(config.hidden_size, config.num_labels) if "classification" in heads else None
        self.post_init()

    def freeze_feature_encoder(self) -> None:
        """Exclude the convolutions from training, as fine-tuning usually does."""
        self.wav2vec2.feature_extractor._freeze_parameters()

    def frame_counts(self, input_values: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """Frames of each clip without its padding, ``[batch]`` int64; at least one."""
        if attention_mask is None:
            samples = torch.full((input_values.shape[0],), input_values.shape[1], device=input_values.device)
        else:
            samples = attention_mask.sum(dim=-1)
        counts: torch.Tensor = self._get_feat_extract_output_lengths(samples)  # type: ignore[arg-type]
        return counts.to(torch.long).clamp(min=1)

    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        class_labels: torch.Tensor | None = None,
        token_frames: torch.Tensor | None = None,
        chunking: Chunking | None = None,
    ) -> JointOutput:
        """The logits of a batch, and its losses where labels are given.

        Args:
            input_values: ``[batch, samples]`` normalised waveforms at 16 kHz, zero-padded on the right.
            attention_mask: ``[batch, samples]`` 1 in the clip, 0 in its padding. An encoder with group norm was trained
                without a mask and never gets it; pooling and the CTC loss always use it.
            labels: ``[batch, tokens]`` token ids, padded with -100.
            class_labels: ``[batch]`` class ids.
            token_frames: ``[batch, tokens, 2]`` the frames in which each token may be emitted, see ``ctc_loss``.
            chunking: hear the clips as a stream, cut in this way. Where None, whole; in training, if the config says
                so, cut at random.
        """
        if chunking is None and self.training:
            chunking = draw_chunking(self.config)
        frames = self.dropout(self._frames(input_values, attention_mask, chunking))
        logits = None if self.lm_head is None else self.lm_head(frames)
        class_logits = None
        if self.classifier is not None:
            counts = None if attention_mask is None else self.frame_counts(input_values, attention_mask)
            class_logits = self.classifier(masked_mean(frames, counts))
        ctc = class_loss = None
        if logits is not None and labels is not None:
            ctc = ctc_loss(
                logits,
                labels,
                self.frame_counts(input_values, attention_mask),
                blank_id=cast(int, self.config.pad_token_id),
                token_frames=token_frames,
                reduction=self.config.ctc_loss_reduction,
                zero_infinity=self.config.ctc_zero_infinity,
            )
        if class_logits is not None and class_labels is not None:
            class_loss = nn.functional.cross_entropy(class_logits.float(), class_labels, weight=self._class_balance())
        return JointOutput(
            loss=self._weighted(ctc, class_loss),
            logits=logits,
            class_logits=class_logits,
            ctc_loss=ctc,
            class_loss=class_loss,
        )

    def _frames(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None, chunking: Chunking | None
    ) -> torch.Tensor:
        """The encoder's last hidden states, ``[batch, frames, hidden]``."""
        if chunking is not None:
            samples = torch.full((len(input_values),), input_values.shape[1], device=input_values.device)
            if attention_mask is not None:
                samples = attention_mask.sum(dim=-1)
            normalize = bool(self.config.streaming["normalize"])
            if normalize and self.training:
                input_values = input_values * drawn_levels(len(input_values), input_values.device)
            return chunked_frames(self.wav2vec2, input_values, samples, chunking, normalize=normalize)
        encoder_mask = attention_mask if self.config.feat_extract_norm == "layer" else None
        frames: torch.Tensor = self.wav2vec2(input_values, attention_mask=encoder_mask).last_hidden_state
        return frames

    def _class_balance(self) -> torch.Tensor | None:
        """Weight of each class in the cross-entropy, ``[classes]`` float32; None weighs all equally."""
        balance = getattr(self.config, "class_balance", None)
        return None if balance is None else torch.tensor(balance, device=self.device)

    def _weighted(self, ctc_loss: torch.Tensor | None, class_loss: torch.Tensor | None) -> torch.Tensor | None:
        weights = {"ctc_weight": ctc_loss, "class_weight": class_loss}
        parts = [getattr(self.config, name, 1.0) * loss for name, loss in weights.items() if loss is not None]
        return torch.stack(parts).sum() if parts else None


def masked_mean(frames: torch.Tensor, counts: torch.Tensor | None) -> torch.Tensor:
    """Mean of each clip's own frames in float32, without its padding.

    Args:
        frames: ``[batch, frames, hidden]``.
        counts: ``[batch]`` frames before the padding; None when there is no padding.

    Returns:
        ``[batch, hidden]`` in the dtype of ``frames``.
    """
    if counts is None:
        return frames.mean(dim=1)
    total = (frames.float() * inside(counts, frames.shape[1])[:, :, None]).sum(dim=1)
    return (total / counts[:, None]).to(frames.dtype)


class TimeMajorFeatureEncoder(Wav2Vec2FeatureEncoder):
    """A layer-norm feature encoder with the weights and outputs of transformers' own.

    PyTorch's backward convolution is slow for narrow layers on a CPU, and transformers transposes twice per layer for
    the norm. While training on a CPU frames therefore stay before channels, and every layer is one matrix product.
    Everywhere else the code of transformers runs.
    """

    def forward(self, input_values: torch.Tensor) -> Any:
        """Features of waveforms: ``[batch, samples]`` to ``[batch, channels, frames]``."""
        if not (self.training and input_values.device.type == "cpu"):
            return super().forward(input_values)
        frames = input_values[:, :, None]
        for layer in cast("list[Any]", self.conv_layers):
            frames = functional.linear(_windows(frames, layer.conv), _matrix(layer.conv), layer.conv.bias)
            frames = layer.activation(layer.layer_norm(frames))
        return frames.transpose(1, 2)


def _windows(frames: torch.Tensor, conv: nn.Conv1d) -> torch.Tensor:
    """The inputs of each output frame, ``[batch, frames, channels]`` to ``[batch, windows, kernel * channels]``."""
    (kernel,), (stride,) = conv.kernel_size, conv.stride
    if frames.shape[2] == 1:
        return frames[:, :, 0].unfold(1, kernel, stride)
    span = (frames.shape[1] - kernel) // stride * stride + 1
    return torch.cat([frames[:, tap : tap + span : stride] for tap in range(kernel)], dim=-1)


def _matrix(conv: nn.Conv1d) -> torch.Tensor:
    """The weights ``[channels after, channels, kernel]`` as ``[channels after, kernel * channels]``."""
    return conv.weight.transpose(1, 2).flatten(1)


def frame_counts(samples: Tensor, kernel: int, stride: int) -> Tensor:
    """Windows of an unpadded convolution that lie entirely inside each clip.

    A stack of such convolutions counts as one, with the receptive field of the stack as kernel and its hop as stride.

    Args:
        samples: [batch] int64, samples or frames of each clip before its padding.
        kernel: samples in a window.
        stride: samples from one window to the next.

    Returns:
        [batch] int64; at least one, so that nothing is divided by zero for a clip of padding alone.
    """
    return (torch.div(samples - kernel, stride, rounding_mode="trunc") + 1).clamp(min=1)


def inside(counts: Tensor, length: int) -> Tensor:
    """The positions before each count: counts [batch] -> [batch, length] bool."""
    return torch.arange(length, device=counts.device) < counts[:, None]


def ctc_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    frame_counts: torch.Tensor,
    *,
    blank_id: int,
    token_frames: torch.Tensor | None = None,
    **how: Any,
) -> torch.Tensor:
    """CTC in float32 (Graves et al., ICML 2006); cuDNN's version is not used, since it is less exact.

    CTC sums over all alignments and does not care which of them a model learns: one that attends to the whole clip may
    emit a word long before or after it sounds. With ``token_frames`` only alignments count that emit tokens where they
    sound (Senior et al., "Acoustic modelling with CD-CTC-sMBR LSTM RNNs", ASRU 2015, section 4, limit the delay of CTC
    in this way).

    Args:
        logits: ``[batch, frames, vocabulary]``.
        labels: ``[batch, tokens]`` token ids, padded with negative numbers.
        frame_counts: ``[batch]`` frames of each clip before its padding.
        blank_id: the blank.
        token_frames: ``[batch, tokens, 2]`` int64, the first frame in which each token may be emitted and the one after
            the last; see ``wav2edge_train.data.emission``.
        how: ``reduction`` and ``zero_infinity`` as in PyTorch.

    Returns:
        A float32 scalar, or ``[batch]`` without a reduction.
    """
    log_probabilities = functional.log_softmax(logits, dim=-1, dtype=torch.float32)
    if token_frames is not None:
        allowed = allowed_tokens(labels, token_frames, logits.shape[1], logits.shape[2], blank_id)
        log_probabilities = forbid(log_probabilities, ~allowed)
    written = labels >= 0
    with torch.backends.cudnn.flags(enabled=False):
        return functional.ctc_loss(
            log_probabilities.transpose(0, 1),
            labels.masked_select(written),
            frame_counts,
            written.sum(dim=-1),
            blank=blank_id,
            **how,
        )


def allowed_tokens(
    labels: torch.Tensor, token_frames: torch.Tensor, frames: int, vocabulary: int, blank_id: int
) -> torch.Tensor:
    """The tokens that may be emitted at each frame, ``[batch, frames, vocabulary]`` bool; blanks always may.

    A letter that a clip holds twice is allowed where either may be emitted.
    """
    at = torch.arange(frames, device=labels.device)
    first, end = token_frames[:, :, :1], token_frames[:, :, 1:]
    open_frames = (first <= at) & (at < end) & (labels >= 0)[:, :, None]
    counts = torch.zeros(len(labels), vocabulary, frames, device=labels.device)
    counts.scatter_add_(1, labels.clamp(min=0)[:, :, None].expand_as(open_frames), open_frames.float())
    counts[:, blank_id] = 1.0
    return (counts > 0).transpose(1, 2)


def forbid(log_probabilities: torch.Tensor, forbidden: torch.Tensor) -> torch.Tensor:
    """Move the probability of forbidden tokens to one more token, which no label has.

    PyTorch computes the gradient of its CTC loss for probabilities that add up to one, so they must.

    Args:
        log_probabilities: ``[batch, frames, vocabulary]``.
        forbidden: ``[batch, frames, vocabulary]`` bool.

    Returns:
        ``[batch, frames, vocabulary + 1]``.
    """
    rest = log_probabilities.masked_fill(~forbidden, FORBIDDEN).logsumexp(dim=-1, keepdim=True)
    return torch.cat([log_probabilities.masked_fill(forbidden, FORBIDDEN), rest], dim=-1)
