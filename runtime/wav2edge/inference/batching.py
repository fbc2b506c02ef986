"""Batches for a graph that takes a mask: which clips go together, and how they are padded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import Clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import Wav2EdgeError
from wav2edge.output.result import Result

INPUT = "input_values"
"""The input for samples of every graph: ``[batch, samples] float32``."""
MASK = "attention_mask"
"""The input of a batched graph that tells clips from padding: ``[batch, samples] int64``, 1 and 0."""
BATCHES_AHEAD = 4
"""So many batches share out their clips by length. With lengths drawn evenly, batches of eight are then one fifth
padding instead of two fifths."""
MAX_BATCH_S = 60.0
"""Longest batch in seconds of audio, padding included. Memory grows at least in proportion to a batch, so that it takes
no more than one clip of this length: at the size of wav2vec2-base, 1.9 GB in fp32 (32 MB per second, most of it for the
512 channels of the feature encoder), for 60 clips of 1 s as for 12 of 5 s."""

Outcome = Result | Wav2EdgeError


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
    recognise: Callable[[Sequence[Clip]], Iterable[Outcome]],
    *,
    max_batch_s: float = MAX_BATCH_S,
) -> Iterator[Outcome]:
    """Recognise clips a batch at a time, clips of similar length together, and yield the outcomes in their order.

    At most ``BATCHES_AHEAD`` batches of clips are in memory, counted in clips and in seconds of audio; a clip that is
    longer than a batch may be is a batch by itself.

    Args:
        attempts: clips, or in place of a clip why it could not be read; such an error is passed on.
        batch_size: most clips in a batch.
        recognise: gives the outcome of each clip of a batch.
        max_batch_s: most seconds of audio in a batch, padding included.
    """
    waiting, most_samples = iter(attempts), round(max_batch_s * SAMPLE_RATE_HZ)

    def next_window() -> list[Clip | Wav2EdgeError]:
        return _window(waiting, batch_size * BATCHES_AHEAD, most_samples * BATCHES_AHEAD)

    # No name keeps the clips of one window in memory while those of the next are read.
    while outcomes := _recognise_window(next_window(), batch_size, most_samples, recognise):
        yield from outcomes


def _window(waiting: Iterator[Clip | Wav2EdgeError], most_clips: int, most_samples: int) -> list[Clip | Wav2EdgeError]:
    """The next clips, up to one of the two limits."""
    window: list[Clip | Wav2EdgeError] = []
    samples = 0
    while len(window) < most_clips and samples < most_samples and (each := next(waiting, None)) is not None:
        window.append(each)
        samples += len(each.samples) if isinstance(each, Clip) else 0
    return window


def _recognise_window(
    window: Sequence[Clip | Wav2EdgeError],
    batch_size: int,
    most_samples: int,
    recognise: Callable[[Sequence[Clip]], Iterable[Outcome]],
) -> list[Outcome]:
    clips = {place: each for place, each in enumerate(window) if isinstance(each, Clip)}
    outcomes: dict[int, Outcome] = {place: each for place, each in enumerate(window) if isinstance(each, Wav2EdgeError)}
    for places in _batches({place: len(clip.samples) for place, clip in clips.items()}, batch_size, most_samples):
        outcomes.update(zip(places, recognise([clips[place] for place in places]), strict=True))
    return [outcomes[place] for place in range(len(window))]


def _batches(lengths: Mapping[int, int], batch_size: int, most_samples: int) -> Iterator[list[int]]:
    """Places of clips, shortest first, in batches that keep to both limits."""
    batch: list[int] = []
    for place in sorted(lengths, key=lengths.__getitem__):
        # This clip is longer than those before it, which would be padded to its length.
        if batch and (len(batch) == batch_size or (len(batch) + 1) * lengths[place] > most_samples):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
