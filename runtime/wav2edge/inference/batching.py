"""Batches for a graph that takes a mask: which clips go together, and how they are padded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import Clip
from wav2edge.errors import Wav2EdgeError
from wav2edge.output.result import Result

INPUT = "input_values"
"""What every graph calls its samples: ``[batch, samples] float32``."""
MASK = "attention_mask"
"""What the graph of a batched variant calls its mask: ``[batch, samples] int64``, 1 on a clip and 0 on its padding."""
BATCHES_AHEAD = 4
"""So many batches share out their clips by length. With lengths drawn evenly, batches of eight are then one fifth
padding instead of two fifths."""


def pad_together(clips: Sequence[npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.generic]]:
    """Samples and mask of a batch: clips ``[samples] float32``, zeros behind the shorter ones."""
    samples = np.zeros((len(clips), max(map(len, clips))), np.float32)
    mask = np.zeros(samples.shape, np.int64)
    for row, clip in enumerate(clips):
        samples[row, : len(clip)] = clip
        mask[row, : len(clip)] = 1
    return {INPUT: samples, MASK: mask}


def in_batches(
    attempts: Iterable[Clip | Wav2EdgeError],
    batch_size: int,
    answer: Callable[[Sequence[Clip]], Iterable[Result | Wav2EdgeError]],
) -> Iterator[Result | Wav2EdgeError]:
    """Answer clips a batch at a time, each batch of clips of similar length, and give the answers in their order.

    Args:
        attempts: clips, or in their place why they could not be read; such an error is passed on.
        batch_size: clips in a batch.
        answer: gives the answers to a batch.
    """
    waiting = iter(attempts)
    while window := list(islice(waiting, batch_size * BATCHES_AHEAD)):
        clips = {place: each for place, each in enumerate(window) if isinstance(each, Clip)}
        failed = {place: each for place, each in enumerate(window) if isinstance(each, Wav2EdgeError)}
        by_length = sorted(clips, key=lambda place: len(clips[place].samples))
        answers: dict[int, Result | Wav2EdgeError] = {**failed}
        for start in range(0, len(by_length), batch_size):
            places = by_length[start : start + batch_size]
            answers.update(zip(places, answer([clips[place] for place in places]), strict=True))
        yield from (answers[place] for place in range(len(window)))
