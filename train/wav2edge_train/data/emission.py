"""Where in a clip each token of its transcription may be emitted, from when its words begin to sound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import ConvGeometry

TokenFrames = npt.NDArray[np.int64]
"""``[tokens, 2]``: the first frame of each token, and the one after its last."""

EARLY_FRAMES, LATE_FRAMES = 1, 2
"""How far the first token of a word may be from the frame in whose middle the word begins: 20 ms before it, 40 ms
after it, by when a listener has heard which sound it is."""


def anywhere(tokens: int, frames: int) -> TokenFrames:
    """The frames of tokens of which nothing is known."""
    return np.tile(np.array([0, frames], np.int64), (tokens, 1))


def token_frames(
    token_ids: Sequence[int],
    word_lengths: Sequence[int],
    word_starts_s: Sequence[float],
    frames: int,
    geometry: ConvGeometry,
) -> TokenFrames:
    """The frames in which each token may be emitted.

    The first token of a word belongs to the start of the word, the others between it and the start of the next word,
    or the end of the clip; so does the delimiter between the two.

    Args:
        token_ids: the transcription.
        word_lengths: tokens of each word; between two words is one more, the delimiter.
        word_starts_s: when each word begins to sound.
        frames: frames of the clip.
        geometry: the frames' places.

    Returns:
        ``[tokens, 2]``; every frame for every token where the clip is too short for its tokens so bound.
    """
    middle_s = geometry.receptive_field / 2 / geometry.rate_hz
    starts = np.rint((np.asarray(word_starts_s) - middle_s) / geometry.frame_s).astype(np.int64)
    first, end = starts - EARLY_FRAMES, starts + LATE_FRAMES + 1
    last_word = len(word_lengths) - 1
    rows: list[tuple[int, int]] = []
    for word, length in enumerate(word_lengths):
        rest = (int(first[word]), frames if word == last_word else int(end[word + 1]))
        rows += [(int(first[word]), int(end[word])), *[rest] * (length - 1 + (word < last_word))]
    bound = np.clip(np.array(rows, np.int64), 0, frames)
    return bound if can_be_emitted(token_ids, bound) else anywhere(len(bound), frames)


def can_be_emitted(token_ids: Sequence[int], bound: TokenFrames) -> bool:
    """Whether each token finds a frame of its own, in order, with one for a blank between two equal tokens."""
    taken, before = -1, None
    for token_id, (first, end) in zip(token_ids, bound.tolist(), strict=True):
        taken = max(first, taken + 1 + (token_id == before))
        if taken >= end:
            return False
        before = token_id
    return True
