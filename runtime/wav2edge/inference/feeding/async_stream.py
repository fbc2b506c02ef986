"""A stream for asyncio: sound is recognised in a thread of its own, and the event loop goes on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from wav2edge.errors import UsageError
from wav2edge.inference.feeding.live_queue import Block, Gap
from wav2edge.inference.streaming.events import Event
from wav2edge.inference.streaming.stream import Stream


class AsyncStream:
    """Feeds a stream from coroutines, one block after the other in the order of the calls.

    A call that is cancelled loses nothing: its sound is recognised to the end, and what was found comes with the next
    call; ``finish`` gives what is left.

    Args:
        stream: of ``Engine.stream``; from here on nothing else may feed it.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="wav2edge-stream")
        self._found: deque[Event] = deque()  # not yet handed out
        self._finishing: Future[None] | None = None
        self._closed = False

    @property
    def stream(self) -> Stream:
        """The stream, to be looked at: its level, its clock, whether somebody speaks."""
        return self._stream

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._worker.shutdown(wait=False)

    async def feed(self, pcm: Block | bytes, *, rate_hz: int | None = None) -> list[Event]:
        """See ``Stream.feed``. Wait for it before the next block, or blocks wait in memory."""
        return await self._settled(self._feed(pcm, rate_hz))

    async def gap(self, lost_s: float) -> list[Event]:
        """See ``Stream.gap``."""
        return await self._settled(self._gap(lost_s))

    async def finish(self) -> list[Event]:
        """See ``Stream.finish``. A second call gives what a cancelled first one did not, or nothing."""
        if self._finishing is None:
            self._finishing = self._submit(self._stream.finish)
            self._worker.shutdown(wait=False)  # its thread ends once all is recognised
            self._closed = True
        return await self._settled(self._finishing)

    async def events(self, source: AsyncIterable[Block | bytes | Gap]) -> AsyncIterator[Event]:
        """Everything that the stream says of a source, up to its end.

        Where the source fails or the loop over the events is left early, ``finish`` gives what is left.

        Args:
            source: blocks as ``feed`` takes them, and a ``Gap`` where sound was lost.
        """
        async for item in source:
            work = self._gap(item.lost_s) if isinstance(item, Gap) else self._feed(item)
            await _done(work)
            while self._found:  # one by one: what a loop that ends here did not take is still there
                yield self._found.popleft()
        for event in await self.finish():
            yield event

    def _feed(self, pcm: Block | bytes, rate_hz: int | None = None) -> Future[None]:
        return self._submit(lambda: self._stream.feed(pcm, rate_hz=rate_hz))

    def _gap(self, lost_s: float) -> Future[None]:
        return self._submit(lambda: self._stream.gap(lost_s))

    def _submit(self, work: Callable[[], list[Event]]) -> Future[None]:
        if self._closed:
            raise UsageError("this stream is finished; open another with engine.stream()")
        return self._worker.submit(lambda: self._found.extend(work()))

    async def _settled(self, work: Future[None]) -> list[Event]:
        """Wait for the worker, and take what was found so far."""
        await _done(work)
        found: list[Event] = []
        while self._found:
            found.append(self._found.popleft())
        return found


async def _done(work: Future[None]) -> None:
    await asyncio.shield(asyncio.wrap_future(work))  # a cancelled wait must not take the work out of its queue
