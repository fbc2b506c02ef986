"""A stream between the event loop, which takes sound, and the decoders, which recognise it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from wav2edge.errors import AudioError
from wav2edge.inference.feeding.live_queue import Block, Gap, LiveQueue
from wav2edge.inference.streaming.events import Event
from wav2edge.inference.streaming.stream import Stream
from wav2edge.serving.recognising.decoder_pool import Withdrawal
from wav2edge.serving.refusals import Refusal
from wav2edge.serving.websocket.stream_messages import WHEN_LATE, Start

WAITING_S = 10.0
"""Most sound of a stream that waits to be recognised."""
WAITING_ITEMS = 10_000
"""Most blocks and gaps of a stream that wait, however short they are: each costs memory and time of its own."""
TURN_S = 1.0
"""So much sound a decoder recognises before it turns to another stream."""


@dataclass(kw_only=True)
class Heard:
    """What a turn of a decoder gave: events as they are sent, and whether the stream has ended, and why."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False
    refusal: Refusal | None = None


class FedStream:
    """Sound that waits, in a ``LiveQueue``, and the stream that recognises it.

    Args:
        stream: of ``Engine.stream``.
        start: how sound comes, and whether it is dropped where it comes too fast.
        loop: the event loop that gives sound.
    """

    def __init__(self, stream: Stream, start: Start, loop: asyncio.AbstractEventLoop) -> None:
        self._stream, self._rate_hz = stream, start.rate_hz
        self._queue = LiveQueue(WAITING_S, start.rate_hz)
        self._waits = start.when_late == WHEN_LATE[0]
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._loop = loop

    @property
    def clock_s(self) -> float:
        """Seconds of sound that were recognised or lost."""
        return self._stream.clock_s

    @property
    def compute_s(self) -> float:
        """Seconds that it took."""
        return self._stream.compute_s

    @property
    def lost_s(self) -> float:
        """Seconds of sound that were lost."""
        return self._queue.lost_s

    def summary(self) -> dict[str, float]:
        """How it went."""
        return {
            "duration_s": round(self.clock_s, 4),
            "lost_s": round(self.lost_s, 4),
            "compute_s": round(self.compute_s, 4),
        }

    async def put(self, block: Block) -> None:
        """Add sound; where its sender is to wait, once there is room for it."""
        await self._room_for(len(block) / self._rate_hz)
        self._queue.put(block)
        self._news.set()

    async def lose(self, lost_s: float) -> None:
        """Say that so much sound was lost before it came here."""
        await self._room_for(0.0)
        self._queue.lose(lost_s)
        self._news.set()

    async def _room_for(self, block_s: float) -> None:
        """Wait for room; for one more item even where sound may be dropped."""
        while (self._waits and 0 < self._queue.waiting_s > WAITING_S - block_s) or (
            self._queue.waiting_items >= WAITING_ITEMS
        ):
            self._room.clear()
            await self._room.wait()

    def end(self, refusal: Refusal | None = None) -> None:
        """Say that nothing follows, and why if it did not end by itself."""
        self._queue.close(refusal)
        self._news.set()

    async def something(self) -> None:
        """Wait until there is something to recognise."""
        await self._news.wait()
        self._news.clear()

    def recognise(self, withdrawal: Withdrawal) -> Heard:
        """Recognise what waits, or as much of it as one turn takes; runs in a decoder."""
        heard = Heard()
        try:
            for item in _joined(self._turn(heard)):
                withdrawal.check()
                heard.documents += self._gap(item) if isinstance(item, Gap) else self._events(self._stream.feed(item))
        except AudioError as error:
            heard.refusal = Refusal.of(error)
        if heard.ended or heard.refusal is not None:
            heard.documents += self._events(self._stream.finish())
        self._loop.call_soon_threadsafe(self._room.set)
        return heard

    def _turn(self, heard: Heard) -> Iterator[Block | Gap]:
        """What waits, up to the sound of one turn; notes it where nothing follows."""
        samples = 0
        while samples < TURN_S * self._rate_hz:
            try:
                item = self._queue.get(0)
            except TimeoutError:
                return
            except Refusal as refusal:
                heard.refusal = refusal
                return
            if item is None:
                heard.ended = True
                return
            samples += 0 if isinstance(item, Gap) else len(item)
            yield item
        self._loop.call_soon_threadsafe(self._news.set)  # more may wait

    def _gap(self, gap: Gap) -> list[dict[str, Any]]:
        start_s = self._stream.clock_s
        events = self._events(self._stream.gap(gap.lost_s))
        return [*events, {"type": "gap", "start_s": round(start_s, 4), "lost_s": round(gap.lost_s, 4)}]

    def _events(self, events: Iterable[Event]) -> list[dict[str, Any]]:
        return [event.to_dict() for event in events]


def _joined(items: Iterable[Block | Gap]) -> Iterator[Block | Gap]:
    """The same with blocks that follow one another in one: ten at once cost half of what they do one by one."""
    for is_gap, alike in groupby(items, key=lambda item: isinstance(item, Gap)):
        if is_gap:
            yield from alike
        else:
            yield np.concatenate(list(alike))
