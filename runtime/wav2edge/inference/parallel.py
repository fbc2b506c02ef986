"""Many clips: a few of them in progress at once, and their outcomes in the order of the clips."""

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
"""Clips in progress: one is decoded from its file while another is in the graph."""


def attempt(work: Callable[[Given], Outcome]) -> Callable[[Given], Outcome | Wav2EdgeError]:
    """The same work, returning its error instead of raising it."""

    def attempted(given: Given) -> Outcome | Wav2EdgeError:
        try:
            return work(given)
        except Wav2EdgeError as error:
            return error

    return attempted


def settled(
    outcomes: Iterable[Result | Wav2EdgeError], errors: Literal["raise", "return"]
) -> Iterator[Result | Wav2EdgeError]:
    """Pass outcomes on, or raise the first error."""
    for found in outcomes:
        if isinstance(found, Wav2EdgeError) and errors == "raise":
            raise found
        yield found


def ordered(
    work: Callable[[Given], Outcome], given: Iterable[Given], *, interrupt: Callable[[], None] = lambda: None
) -> Iterator[Outcome]:
    """Do the work on a few threads, and yield the outcomes in the order of what was given.

    Args:
        work: what to do with each item.
        given: items, taken one by one in the caller's thread.
        interrupt: ends work that is running. It is called on Ctrl-C, which otherwise waits for a long clip to finish.
    """
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
        except KeyboardInterrupt:
            interrupt()
            raise
        finally:
            for future in pending:
                future.cancel()
