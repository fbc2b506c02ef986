"""One encoder of any family with two heads: CTC over frames, and an utterance classifier on their masked mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils.generic import ModelOutput

from wav2edge_train.checkpoint.families.family_table import FAMILIES, Family, family_of, geometry_of, hears_padding
from wav2edge_train.checkpoint.families.framing import frame_counts, inside
from wav2edge_train.checkpoint.families.time_major import TimeMajorFeatureEncoder
from wav2edge_train.model.chunked_encoder import Chunking, chunked_frames, draw_chunking, drawn_levels

HEAD_NAMES = ("ctc", "classification")
"""The heads that a model may have; those it has are in the config's ``joint_heads``."""


FORBIDDEN = -1e4
"""Log probability of a token outside its frames: no path through it counts, and everything stays finite."""


@dataclass
class JointOutput(ModelOutput):
    """The outputs of a ``JointModel``; None where there is no head, or no label for a loss.

    ``logits: [batch, frames, vocabulary]``, ``class_logits: [batch, classes]``. The losses are float32 scalars:
    ``loss = ctc_weight * ctc_loss + class_weight * class_loss``.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    class_logits: torch.Tensor | None = None
    ctc_loss: torch.Tensor | None = None
    class_loss: torch.Tensor | None = None


class JointModel(PreTrainedModel):
    """Transcribes and classifies an utterance with one encoder (wav2vec 2.0, arXiv:2006.11477, and its successors).

    The config of a family's model with four more fields: ``joint_heads`` (which of ``HEAD_NAMES``), ``ctc_weight``
    and ``class_weight``, and ``class_balance`` (a weight for each class, or None). The encoder and the CTC part are
    named as in the family's own model for CTC, which can therefore load them. ``JOINT_MODELS`` has one for each family;
    all take waveforms.
    """

    accepts_loss_kwargs = False
    """With False the Trainer divides the loss by the accumulation steps; with True it expects the model to do so."""
    main_input_name = "input_values"

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.family = family_of(config)
        heads = getattr(config, "joint_heads", HEAD_NAMES)
        setattr(self, self.family.attribute, self.family.backbone(config))
        self.masked = hears_padding(config)
        if self.family.hears == "log_mel":
            from wav2edge_train.checkpoint.families.log_mel import LogMelFeatures  # here: one family needs it

            self.features = LogMelFeatures(config.feature_projection_input_dim // 2)
        elif self.masked:
            self.backbone.feature_extractor = TimeMajorFeatureEncoder(config)
        self.dropout = nn.Dropout(config.final_dropout)
        width = config.output_hidden_size if getattr(config, "add_adapter", False) else config.hidden_size
        self.lm_head = nn.Linear(width, config.vocab_size) if "ctc" in heads else None
        self.classifier = nn.Linear(width, config.num_labels) if "classification" in heads else None
        self.geometry = geometry_of(config)
        self.post_init()

    @property
    def backbone(self) -> Any:
        """The encoder."""
        return getattr(self, self.family.attribute)

    def freeze_feature_encoder(self) -> None:
        """Exclude the convolutions from training, as fine-tuning usually does; log-mel features have no weights."""
        if self.family.hears == "waveform":
            self.backbone.feature_extractor._freeze_parameters()

    def frame_counts(self, input_values: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """Frames of each clip without its padding, ``[batch]`` int64; at least one."""
        if attention_mask is None:
            counts = torch.full((input_values.shape[0],), input_values.shape[1], device=input_values.device)
        else:
            counts = attention_mask.sum(dim=-1)
        return frame_counts(counts, self.geometry.receptive_field, self.geometry.hop)

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
            return chunked_frames(self.backbone, input_values, samples, chunking, normalize=normalize)
        mask = attention_mask if self.masked else None
        inputs = input_values
        if self.family.hears == "log_mel":
            inputs = self.features(input_values, attention_mask)
            if mask is not None:  # of frames, as this family takes it
                encoder = geometry_of(self.config, adapter=False)
                mask = inside(frame_counts(mask.sum(dim=-1), encoder.receptive_field, encoder.hop), inputs.shape[1])
        frames: torch.Tensor = self.backbone(inputs, attention_mask=mask).last_hidden_state
        return frames

    def _class_balance(self) -> torch.Tensor | None:
        """Weight of each class in the cross-entropy, ``[classes]`` float32; None weighs all equally."""
        balance = getattr(self.config, "class_balance", None)
        return None if balance is None else torch.tensor(balance, device=self.device)

    def _weighted(self, ctc_loss: torch.Tensor | None, class_loss: torch.Tensor | None) -> torch.Tensor | None:
        weights = {"ctc_weight": ctc_loss, "class_weight": class_loss}
        parts = [getattr(self.config, name, 1.0) * loss for name, loss in weights.items() if loss is not None]
        return torch.stack(parts).sum() if parts else None


def _joint_model(family: Family) -> type[JointModel]:
    """A family's joint model, such as ``WavLMForJointCTC``."""
    return type(f"{family.prefix}ForJointCTC", (JointModel, family.pretrained), {"__module__": __name__})


JOINT_MODELS = {name: _joint_model(family) for name, family in FAMILIES.items()}
"""The joint model of each family, by the ``model_type`` of its config."""
Wav2Vec2ForJointCTC = JOINT_MODELS["wav2vec2"]


def joint_model(config: PretrainedConfig) -> type[JointModel]:
    """The joint model of a config's family."""
    return JOINT_MODELS[family_of(config).name]


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
