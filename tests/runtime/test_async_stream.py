"""Streams fed from coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import numpy as np
import pytest

from wav2edge import AudioError, Endpointing, UsageError
from wav2edge.inference.feeding.async_stream import AsyncStream
from wav2edge.inference.feeding.live_queue import Gap

BLOCK = 480


class SlowStream:
    """Takes its time, and says each block as an event."""

    def __init__(self, pause_s: float = 0.05) -> None:
        self.pause_s = pause_s
        self.threads: set[threading.Thread] = set()
        self.taken: list[object] = []

    def feed(self, pcm, *, rate_hz=None):
        self.threads.add(threading.current_thread())
        time.sleep(self.pause_s)
        self.taken.append(pcm)
        return [f"{pcm} a", f"{pcm} b"]

    def gap(self, lost_s):
        self.taken.append(lost_s)
        return [f"lost {lost_s}"]

    def finish(self):
        return ["end"]


@pytest.fixture
def slow():
    return SlowStream()


async def given(*items):
    for item in items:
        await asyncio.sleep(0)
        yield item


async def collected(events) -> list[object]:
    return [event async for event in events]


def told(event) -> dict[str, object]:
    """An event without its latency, which is of the clock."""
    return {name: value for name, value in event.to_dict().items() if name != "latency_s"}


@pytest.mark.parametrize("lost_s", [None, 0.5])
def test_the_events_are_those_of_the_stream_itself(engine, second, lost_s):
    blocks = [second[first : first + BLOCK] for first in range(0, len(second), BLOCK)]
    items = [*blocks, Gap(lost_s=lost_s), *blocks] if lost_s is not None else blocks
    options = {"endpointing": Endpointing(vad="none"), "chunk_ms": 250}
    direct = engine.stream(**options)
    expected = [
        event for item in items for event in (direct.gap(item.lost_s) if isinstance(item, Gap) else direct.feed(item))
    ]
    expected += direct.finish()
    found = asyncio.run(collected(AsyncStream(engine.stream(**options)).events(given(*items))))
    assert [told(event) for event in found] == [told(event) for event in expected]
    assert len(found) > 2


def test_the_event_loop_goes_on_while_sound_is_recognised(slow):
    async def ticks() -> int:
        count = 0
        task = asyncio.ensure_future(AsyncStream(slow).feed("block"))
        while not task.done():
            count += 1
            await asyncio.sleep(0.001)
        return count

    assert asyncio.run(ticks()) > 5
    assert len(slow.threads) == 1
    assert threading.main_thread() not in slow.threads


def test_calls_at_once_are_taken_in_their_order(slow):
    async def feed_all() -> None:
        stream = AsyncStream(slow)
        await asyncio.gather(*(stream.feed(number) for number in range(4)), stream.gap(1.5))

    slow.pause_s = 0.002
    asyncio.run(feed_all())
    assert slow.taken == [0, 1, 2, 3, 1.5]
    assert len(slow.threads) == 1


def test_a_call_that_is_cancelled_loses_neither_its_sound_nor_its_events(slow):
    async def cancel() -> list[object]:
        stream = AsyncStream(slow)
        tasks = [asyncio.ensure_future(stream.feed(number)) for number in range(2)]  # one is worked on, one waits
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        return await stream.finish()

    assert asyncio.run(cancel()) == ["0 a", "0 b", "1 a", "1 b", "end"]


def test_a_finish_that_is_cancelled_can_be_asked_again(slow):
    async def cancel() -> list[object]:
        stream = AsyncStream(slow)
        feeding = asyncio.ensure_future(stream.feed("block"))
        await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stream.finish(), 0.01)
        return [*await stream.finish(), *await feeding, *await stream.finish()]

    assert sorted(asyncio.run(cancel())) == ["block a", "block b", "end"]


def test_a_loop_that_is_left_early_leaves_the_rest_to_finish(slow):
    async def leave() -> tuple[object, list[object]]:
        stream = AsyncStream(slow)
        async for event in stream.events(given("block", "never")):
            return event, await stream.finish()
        raise AssertionError

    assert asyncio.run(leave()) == ("block a", ["block b", "end"])


def test_a_source_that_fails_leaves_what_was_said_to_finish(slow):
    async def failing():
        yield "block"
        raise ConnectionError("hung up")

    async def fail() -> list[object]:
        stream = AsyncStream(slow)
        with pytest.raises(ConnectionError):
            await collected(stream.events(failing()))
        return await stream.finish()

    assert asyncio.run(fail()) == ["end"]


def test_a_block_that_is_refused_is_an_error_of_its_call_and_the_stream_goes_on(engine, second):
    async def refuse():
        stream = AsyncStream(engine.stream(endpointing=Endpointing(vad="none")))
        with pytest.raises(AudioError, match="not finite"):
            await stream.feed(np.full(160, np.nan))
        await stream.feed(second)
        return await stream.finish()

    assert asyncio.run(refuse())[-1].reason == "finish"


def test_a_stream_that_is_finished_or_left_takes_no_more(slow):
    async def feed_late() -> None:
        stream = AsyncStream(slow)
        assert await stream.finish() == ["end"]
        with pytest.raises(UsageError, match="this stream is finished"):
            await stream.feed("late")
        async with AsyncStream(slow) as left:
            assert left.stream is slow
        with pytest.raises(UsageError, match="this stream is finished"):
            await left.feed("late")

    asyncio.run(feed_late())
    assert slow.taken == []


def test_its_thread_ends_with_the_stream(slow):
    async def run() -> None:
        async with AsyncStream(slow) as stream:
            await stream.feed("block")

    asyncio.run(run())
    (thread,) = slow.threads
    thread.join(10)
    assert not thread.is_alive()
