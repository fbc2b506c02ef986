"""What all requests share: models, decoders, metrics, the log, and whether the server stops."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from wav2edge.errors import Wav2EdgeError
from wav2edge.serving.observing.request_log import RequestLog
from wav2edge.serving.observing.service_metrics import ServiceMetrics
from wav2edge.serving.recognising.decoder_pool import DecoderPool, Done, Withdrawal, stopped
from wav2edge.serving.recognising.served_models import ServedModel, pick
from wav2edge.serving.refusals import Refusal
from wav2edge.serving.serving_options import ServingOptions

Made = TypeVar("Made")
LOOK_S, REFUSING_S = 0.05, 1.0
"""A server that stops looks so often whether anything is still being answered, and so long sends its last refusals."""


@dataclass(kw_only=True)
class Facts:
    """What is known of a request: for its line in the log, and for metrics. ``extra`` are fields of the line."""

    began_s: float = field(default_factory=time.monotonic)
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    route: str = "other"
    model: str | None = None
    reason: str | None = None
    authorised: bool = True
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def total_s(self) -> float:
        """Seconds since the request came."""
        return time.monotonic() - self.began_s


class Service:
    """The state of a server.

    Args:
        models: by name.
        options: limits and rights.
        log: where events go.
    """

    def __init__(self, models: Mapping[str, ServedModel], options: ServingOptions, log: RequestLog) -> None:
        self.models, self.options, self.log = models, options, log
        self.pool = DecoderPool(options.decoders, options.queue)
        self.stopping = asyncio.Event()
        self.streams_open = self.sockets_open = 0
        self._uploads: set[asyncio.Timeout] = set()
        gauges: dict[str, Callable[[], float]] = {
            "queue_length": lambda: self.pool.waiting,
            "requests_taken": lambda: self.pool.taken,
            "requests_most": lambda: self.pool.places,
            "decoders_busy": lambda: self.pool.busy,
            "decoders": lambda: self.pool.decoders,
            "streams_open": lambda: self.streams_open,
            "streams_most": lambda: options.streams,
        }
        self.metrics = ServiceMetrics(models.values(), gauges)

    def model(self, name: str | None, facts: Facts) -> ServedModel:
        """The model that a request names.

        Raises:
            Refusal: there is none.
        """
        found = pick(self.models, name or None)
        facts.model = found.name
        return found

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among the requests that are taken.

        Raises:
            Refusal: there is none, or the server stops.
        """
        self.refuse_if_stopping()
        with self.pool.place():
            yield

    @contextmanager
    def stream_place(self) -> Iterator[None]:
        """A place among the streams that are open.

        Raises:
            Refusal: there is none, or the server stops.
        """
        self.refuse_if_stopping()
        if self.streams_open >= self.options.streams:
            message = f"{self.streams_open} streams are open already; ask again later"
            raise Refusal("too_many_streams", message, retry_after_s=5)
        self.streams_open += 1
        try:
            yield
        finally:
            self.streams_open -= 1

    @contextmanager
    def socket(self) -> Iterator[None]:
        """A WebSocket that is open; its stream has a place only once it has begun.

        Raises:
            Refusal: the server stops.
        """
        self.refuse_if_stopping()
        self.sockets_open += 1
        try:
            yield
        finally:
            self.sockets_open -= 1

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[None]:
        """The time that an upload may take; it is over, too, once a server that stops waits no longer.

        Raises:
            Refusal: it is over.
        """
        try:
            async with asyncio.timeout(self.options.timeout_s) as limit:
                self._uploads.add(limit)
                try:
                    yield
                finally:
                    self._uploads.discard(limit)
        except TimeoutError:
            late = f"not uploaded within {self.options.timeout_s:g} s; send it faster"
            raise (stopped() if self.stopping.is_set() else Refusal("upload_timeout", late)) from None

    def refuse_if_stopping(self) -> None:
        """Refuse new work while the server stops."""
        if self.stopping.is_set():
            raise stopped()

    async def recognise(self, work: Callable[[Withdrawal], Made], *, live: bool = False) -> Done[Made]:
        """Do work in a decoder, in the time that there is.

        Raises:
            Refusal: it took too long, or cannot be done.
        """
        try:
            async with asyncio.timeout(self.options.timeout_s):
                return await self.pool.run(work, live=live)
        except TimeoutError:
            message = f"not answered within {self.options.timeout_s:g} s; give shorter recordings, or ask again later"
            raise Refusal("timeout", message) from None
        except Wav2EdgeError as error:
            raise Refusal.of(error, {str(each.bundle.folder): each.name for each in self.models.values()}) from None

    async def drain(self, at_once: Callable[[], bool] = lambda: False) -> None:
        """Refuse what comes, answer what was taken, and end the decoders.

        Args:
            at_once: whether what was taken is to be refused, too.
        """
        self.stopping.set()
        self.log.event("stopping", requests=self.pool.taken, streams=self.streams_open)
        until_s = time.monotonic() + self.options.grace_s
        while (self.pool.taken or self.sockets_open) and time.monotonic() < until_s and not at_once():
            await asyncio.sleep(LOOK_S)
        self.pool.close()
        for limit in self._uploads:
            limit.reschedule(0)
        until_s = time.monotonic() + REFUSING_S
        while (self.pool.taken or self.sockets_open) and time.monotonic() < until_s:
            await asyncio.sleep(LOOK_S)


async def unless(
    end: Coroutine[Any, Any, object], why: Callable[[], Refusal], answer: Coroutine[Any, Any, Made]
) -> Made:
    """An answer, unless something ends first: then the work for it ends, too.

    Args:
        end: what may end first.
        why: the reason that there is then.
        answer: what is waited for.

    Raises:
        Refusal: it ended first.
    """
    task, ending = asyncio.ensure_future(answer), asyncio.ensure_future(end)
    try:
        await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise why()
        return task.result()
    finally:
        task.cancel()
        ending.cancel()
        await asyncio.gather(task, ending, return_exceptions=True)
