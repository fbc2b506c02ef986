"""Many clips: a few of them in work at once, and their outcomes in the order of the clips."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Literal, TypeVar

from wav2edge.errors import Wav2EdgeError
from wav2edge.output.result import Result

if TYPE_CHECKING:
    from concurrent.futures import Future

Given = TypeVar("Given")
Outcome = TypeVar("Outcome")

WORKERS = 2
"""Clips in flight: one is decoded from its file while another is in the graph."""


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
