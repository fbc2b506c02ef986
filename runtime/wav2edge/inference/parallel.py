"""Many clips: which of them are worked on at once, and their outcomes in the order of the clips."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypeVar

from wav2edge.audio.clip import Clip
from wav2edge.errors import Wav2EdgeError
from wav2edge.output.result import Result

if TYPE_CHECKING:
    from concurrent.futures import Future

Given = TypeVar("Given")
Outcome = TypeVar("Outcome")

WORKERS = 2
"""Clips in flight: one is decoded from its file while another is in the graph."""
BATCHES_AHEAD = 4
"""So many batches share out their clips by length. With lengths drawn evenly, batches of eight are then one fifth
padding instead of two fifths."""


def attempt(work: Callable[[Given], Outcome]) -> Callable[[Given], Outcome | Wav2EdgeError]:
    """The same work, with its error as an outcome."""

    def attempted(given: Given) -> Outcome | Wav2EdgeError:
        try:
            return work(given)
        except Wav2EdgeError as error:
            return error

    return attempted


def settled(
    outcomes: Iterable[Result | Wav2EdgeError], errors: Literal["raise", "return"]
) -> Iterator[Result | Wav2EdgeError]:
    """Pass outcomes on, or end at the first error."""
    for found in outcomes:
        if isinstance(found, Wav2EdgeError) and errors == "raise":
            raise found
        yield found


def ordered(work: Callable[[Given], Outcome], given: Iterable[Given]) -> Iterator[Outcome]:
    """Do the work on a few threads, and give the outcomes in the order of what was given."""
    from concurrent.futures import ThreadPoolExecutor

    pending: deque[Future[Outcome]] = deque()
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="wav2edge") as pool:
        try:
            for each in given:
                pending.append(pool.submit(work, each))
                if len(pending) > WORKERS:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


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
