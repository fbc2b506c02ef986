"""Many clips, in order and with few in memory: on a few threads, or in batches for a graph that takes a mask."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import Clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import UsageError, Wav2EdgeError
from wav2edge.output.result import Result

if TYPE_CHECKING:
    from concurrent.futures import Future

INPUT = "input_values"
"""The input for samples of every graph: ``[batch, samples] float32``."""
MASK = "attention_mask"
"""The input of a batched graph that tells clips from padding: ``[batch, samples]``, 1 and 0, ``int64`` or ``bool``."""
BATCHES_AHEAD = 4
"""So many batches share out their clips by length. With lengths drawn evenly, batches of eight are then one fifth
padding instead of two fifths."""
MAX_BATCH_S = 60.0
"""Longest batch in seconds of audio, padding included. Memory grows at least in proportion to a batch, so that it takes
no more than one clip of this length: at the size of wav2vec2-base, 1.9 GB in fp32 (32 MB per second, most of it for the
512 channels of the feature encoder), for 60 clips of 1 s as for 12 of 5 s."""
MAX_GPU_BATCH_S = 240.0
"""The same for a GPU, which needs more at once to be busy: at XLSR-53's shape, 3 GB in fp16."""

Outcome = Result | Wav2EdgeError
Given = TypeVar("Given")
Made = TypeVar("Made")
WORKERS = 2
"""Clips in progress: one is decoded from its file while another is in the graph."""


def pad_together(
    clips: Sequence[npt.NDArray[np.float32]], mask_type: npt.DTypeLike = np.int64
) -> dict[str, npt.NDArray[np.generic]]:
    """Samples and mask of a batch: clips ``[samples] float32``, zeros behind the shorter ones."""
    size = (len(clips), max(map(len, clips)))
    return write_padded(clips, {INPUT: np.empty(size, np.float32), MASK: np.empty(size, mask_type)})


def write_padded(
    clips: Sequence[npt.NDArray[np.float32]], batch: dict[str, npt.NDArray[np.generic]]
) -> dict[str, npt.NDArray[np.generic]]:
    """Fill samples and mask of a batch, or one of them, that is as long as the longest clip or longer; returns it."""
    for row, clip in enumerate(clips):
        for name, values in batch.items():
            values[row, : len(clip)] = clip if name == INPUT else 1
            values[row, len(clip) :] = 0
    return batch


def in_batches(
    attempts: Iterable[Clip | Outcome],
    batch_size: int,
    recognise: Callable[[Sequence[Clip]], Iterable[Outcome]],
    *,
    max_batch_s: float | None = None,
    on_gpu: bool = False,
) -> Iterator[Outcome]:
    """Recognise clips a batch at a time, clips of similar length together, and yield the outcomes in their order.

    At most ``BATCHES_AHEAD`` batches of clips are in memory, counted in clips and in seconds of audio; a clip that is
    longer than a batch may be is a batch by itself.

    Args:
        attempts: clips, or in place of a clip its outcome: why it could not be read, or its result; it is passed on.
        batch_size: most clips in a batch.
        recognise: gives the outcome of each clip of a batch.
        max_batch_s: most seconds of audio in a batch, padding included; where None, what the device takes well.
        on_gpu: the graph runs on a GPU: two batches are under way at once, one of them on its way there or back.
    """
    most_s = max_batch_s or (MAX_GPU_BATCH_S if on_gpu else MAX_BATCH_S)
    taken, most_samples, in_flight = _UpToItsError(attempts), round(most_s * SAMPLE_RATE_HZ), 1 + on_gpu
    waiting = iter(taken)

    def next_window() -> list[Clip | Outcome]:
        return _window(waiting, batch_size * BATCHES_AHEAD, most_samples * BATCHES_AHEAD)

    # No name keeps the clips of one window in memory while those of the next are read.
    while outcomes := _recognise_window(next_window(), batch_size, most_samples, recognise, in_flight):
        yield from outcomes
    taken.raise_error()


def _window(waiting: Iterator[Clip | Outcome], most_clips: int, most_samples: int) -> list[Clip | Outcome]:
    """The next clips, up to one of the two limits."""
    window: list[Clip | Outcome] = []
    samples = 0
    while len(window) < most_clips and samples < most_samples and (each := next(waiting, None)) is not None:
        window.append(each)
        samples += len(each.samples) if isinstance(each, Clip) else 0
    return window


def _recognise_window(
    window: Sequence[Clip | Outcome],
    batch_size: int,
    most_samples: int,
    recognise: Callable[[Sequence[Clip]], Iterable[Outcome]],
    in_flight: int,
) -> list[Outcome]:
    clips = {place: each for place, each in enumerate(window) if isinstance(each, Clip)}
    outcomes: dict[int, Outcome] = {place: each for place, each in enumerate(window) if not isinstance(each, Clip)}
    batches = list(_batches({place: len(clip.samples) for place, clip in clips.items()}, batch_size, most_samples))

    def work(places: list[int]) -> list[Outcome]:
        return list(recognise([clips[place] for place in places]))

    found = map(work, batches) if in_flight == 1 else ordered(work, batches, workers=in_flight)
    for places, results in zip(batches, found, strict=True):
        outcomes.update(zip(places, results, strict=True))
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


class _UpToItsError(Iterable[Given]):
    """What an iterable gives; an error of its own ends it, and is raised once what came before it is answered."""

    def __init__(self, given: Iterable[Given]) -> None:
        self._given = given
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[Given]:
        try:
            for each in self._given:  # noqa: UP028 yield from would close the caller's generator where map is left early
                yield each
        except Exception as error:  # whatever it is, it is the caller's
            self._error = error

    def raise_error(self) -> None:
        """Raise the error that ended it, if one did."""
        if self._error is not None:
            raise self._error


def attempt(work: Callable[[Given], Made]) -> Callable[[Given], Made | Wav2EdgeError]:
    """The same work, returning its error instead of raising it."""

    def attempted(given: Given) -> Made | Wav2EdgeError:
        try:
            return work(given)
        except Wav2EdgeError as error:
            return error

    return attempted


def settled(
    outcomes: Iterator[Result | Wav2EdgeError], errors: Literal["raise", "return"]
) -> Iterator[Result | Wav2EdgeError]:
    """Pass outcomes on, or raise the first error.

    Raises:
        UsageError: ``errors`` is something else; at once, not when the outcomes are taken.
    """
    if errors not in ("raise", "return"):
        raise UsageError(f"errors is {errors!r}; choose from 'raise', 'return'")
    return outcomes if errors == "return" else _until_an_error(outcomes)


def _until_an_error(outcomes: Iterator[Result | Wav2EdgeError]) -> Iterator[Result | Wav2EdgeError]:
    for found in outcomes:
        if isinstance(found, Wav2EdgeError):
            raise found
        yield found


def ordered(
    work: Callable[[Given], Made],
    given: Iterable[Given],
    *,
    workers: int = WORKERS,
    interrupt: Callable[[], None] = lambda: None,
) -> Iterator[Made]:
    """Do the work on a few threads, and yield the outcomes in the order of what was given.

    Args:
        work: what to do with each item.
        given: items, taken one by one in the caller's thread, and no more of them than are worked on and one. If taking
            one fails, those before it are answered first.
        workers: threads.
        interrupt: ends work that is running. It is called on Ctrl-C, which otherwise waits for a long clip to finish.
    """
    from concurrent.futures import ThreadPoolExecutor

    pending: deque[Future[Made]] = deque()
    taken = _UpToItsError(given)
    with ThreadPoolExecutor(workers, thread_name_prefix="wav2edge") as pool:
        try:
            for each in taken:
                pending.append(pool.submit(work, each))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
            taken.raise_error()
        except KeyboardInterrupt:
            interrupt()
            raise
        finally:
            for future in pending:
                future.cancel()
