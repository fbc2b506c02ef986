"""The CTC loss, optionally with emissions bound to when words are known to begin."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

FORBIDDEN = -1e4
"""Log probability of a token outside its frames: no path through it counts, and everything stays finite."""


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
