"""A bounded number of requests, and of threads that recognise: streams first, then clips in the order they came."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from wav2edge.serving.refusals import Refusal

Made = TypeVar("Made")
LATEST = 0.1
"""Weight of the latest job in the mean time of one."""


class Withdrawn(Exception):  # noqa: N818 it is no fault
    """Nobody waits for the result any more."""


class Withdrawal:
    """Whether a job is still wanted; the job looks from time to time."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Nobody wants it any more."""
        self._event.set()

    def check(self, *_: object) -> None:
        """Go on only where it is wanted; takes and ignores what callbacks are given.

        Raises:
            Withdrawn: it is not.
        """
        if self._event.is_set():
            raise Withdrawn


@dataclass(frozen=True, kw_only=True)
class Done(Generic[Made]):
    """What a job made, and its times in seconds."""

    value: Made
    waited_s: float
    took_s: float


@dataclass(kw_only=True, eq=False)
class _Job:
    work: Callable[[Withdrawal], Any]
    future: Future[Done[Any]] = field(default_factory=Future)
    withdrawal: Withdrawal = field(default_factory=Withdrawal)
    since_s: float = field(default_factory=time.monotonic)


class DecoderPool:
    """Recognises for an event loop, in threads of its own.

    Args:
        decoders: threads.
        queue: requests that may be taken beyond those that are recognised.
    """

    def __init__(self, decoders: int, queue: int) -> None:
        self.decoders, self.places = decoders, decoders + queue
        self.taken = 0
        """Requests that have a place: they upload, wait, or are recognised."""
        self.busy = 0
        """Threads that recognise."""
        self._streams: deque[_Job] = deque()
        self._clips: deque[_Job] = deque()
        self._running: set[_Job] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._mean_s = 0.0
        for number in range(decoders):
            threading.Thread(target=self._decode, name=f"wav2edge-decoder-{number}", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Jobs that no thread has begun."""
        return len(self._streams) + len(self._clips)

    @property
    def retry_after_s(self) -> float:
        """When a place is likely to be free: all that waits, at the mean time of a job."""
        return (len(self._clips) + 1) * self._mean_s / self.decoders

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue, from before an upload is read until it is answered.

        Raises:
            Refusal: there is none.
        """
        if self.taken >= self.places:
            message = f"{self.taken} requests are taken already; ask again later"
            raise Refusal("queue_full", message, retry_after_s=self.retry_after_s)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def run(self, work: Callable[[Withdrawal], Made], *, live: bool = False) -> Done[Made]:
        """Do work in one of the threads. Where this is cancelled, work that waits is dropped and other work told so.

        Args:
            work: given what tells whether it is still wanted.
            live: it is for a stream, and goes before clips.

        Raises:
            Refusal: the pool was closed meanwhile.
        """
        job = _Job(work=work)
        with self._changed:
            if self._closed:
                raise stopped()
            (self._streams if live else self._clips).append(job)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            self._withdraw(job)
            raise

    def close(self) -> None:
        """Refuse what waits, withdraw what runs, and end the threads."""
        with self._changed:
            self._closed = True
            waiting = [*self._streams, *self._clips]
            self._streams.clear()
            self._clips.clear()
            for job in self._running:
                job.withdrawal.set()
            self._changed.notify_all()
        for job in waiting:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(stopped())

    def _withdraw(self, job: _Job) -> None:
        job.withdrawal.set()
        with self._changed:
            for jobs in (self._streams, self._clips):
                if job in jobs:
                    jobs.remove(job)

    def _decode(self) -> None:
        while self._decode_next():
            pass

    def _decode_next(self) -> bool:
        """Do one job, and keep nothing of it; False after the last."""
        job = self._next()
        if job is None:
            return False
        if job.future.set_running_or_notify_cancel():
            self._do(job)
        with self._changed:
            self._running.discard(job)
            self.busy -= 1
        return True

    def _next(self) -> _Job | None:
        """The next job, waited for; None after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._streams or self._clips)
            if self._closed:
                return None
            job = (self._streams or self._clips).popleft()
            self._running.add(job)
            self.busy += 1
            return job

    def _do(self, job: _Job) -> None:
        began_s = time.monotonic()
        try:
            made = job.work(job.withdrawal)
        except Withdrawn:
            job.future.set_exception(stopped())
        except BaseException as error:
            job.future.set_exception(error)
        else:
            took_s = time.monotonic() - began_s
            self._mean_s += (took_s - self._mean_s) * (LATEST if self._mean_s else 1.0)
            job.future.set_result(Done(value=made, waited_s=began_s - job.since_s, took_s=took_s))


def stopped() -> Refusal:
    """The reason of a server that stops."""
    return Refusal("stopping", "the server stops; ask again later", retry_after_s=1)
