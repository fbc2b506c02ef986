"""A bounded queue of sound between a thread that records and one that recognises; what is lost is counted and said."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Condition
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from wav2edge.audio.samples import check_rate, check_seconds, columns
from wav2edge.errors import UsageError
from wav2edge.inference.streaming.live_sound import as_array

NAME = "queue"


@dataclass(frozen=True, kw_only=True)
class Gap:
    """So much sound was lost here: hand it to ``Stream.gap``."""

    lost_s: float


Block: TypeAlias = npt.NDArray[Any]
"""Samples, ``[samples]`` or ``[samples, channels]``."""


class LiveQueue:
    """Blocks of sound in their order, at most so many seconds of them, with a ``Gap`` where some were lost.

    When it is full, all that waits is dropped, and not only its oldest block: a gap ends an utterance, so one long gap
    costs less than a short one after each block. The oldest and not the newest, because who reads along wants to be in
    the present again.

    Args:
        limit_s: most seconds of sound that wait; a single block that is longer is taken nevertheless.
        rate_hz: samples per second and channel.

    Raises:
        AudioError: no sound has this sample rate.
        UsageError: the limit is not above 0, or the sample rate is not a number.
    """

    def __init__(self, limit_s: float, rate_hz: int) -> None:
        if not limit_s > 0:
            raise UsageError(f"a queue of {limit_s} s holds no sound; give more than 0 s")
        check_rate(NAME, rate_hz)
        self._limit, self._rate_hz = round(limit_s * rate_hz), rate_hz
        self._items: deque[Block | Gap] = deque()
        self._waiting = 0  # samples
        self._changed = Condition()
        self._closed = False
        self._error: Exception | None = None
        self._lost_s = 0.0

    @property
    def lost_s(self) -> float:
        """Seconds of sound that were lost so far."""
        return self._lost_s

    @property
    def waiting_s(self) -> float:
        """Seconds of sound that wait."""
        return self._waiting / self._rate_hz

    @property
    def waiting_items(self) -> int:
        """Blocks and gaps that wait."""
        return len(self._items)

    def put(self, block: Block | bytes) -> None:
        """Add a copy of a block; never waits. After ``close`` it is left out.

        Args:
            block: whatever ``Stream.feed`` takes; bytes become the 16-bit integers that they hold. It is copied, as
                sound cards use their memory again.

        Raises:
            AudioError, UsageError: that is no block of sound.
        """
        block = as_array(NAME, block)
        columns(NAME, block)
        with self._changed:
            if self._closed or not len(block):
                return
            if self._waiting and self._waiting + len(block) > self._limit:
                self._drop()
            self._items.append(np.array(block))
            self._waiting += len(block)
            self._changed.notify()

    def lose(self, lost_s: float) -> None:
        """Say that the recorder itself lost so much sound after the latest block; of 0 s where it cannot tell.

        Raises:
            UsageError: that is NaN or infinite. A clock that ran backwards counts as 0 s.
        """
        if not lost_s < 0:
            check_seconds("lost_s", lost_s)
        with self._changed:
            if not self._closed:
                self._lost_s += max(0.0, lost_s)
                self._add_gap(max(0.0, lost_s))
                self._changed.notify()

    def close(self, error: Exception | None = None) -> None:
        """Say that nothing follows, because of an error or not; what waits can still be got."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
                self._changed.notify_all()

    def get(self, timeout_s: float | None = None) -> Block | Gap | None:
        """The next block or gap, waited for; None after the last.

        Raises:
            TimeoutError: nothing came in that time.
            Exception: the error that the queue was closed with, after the last block.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._closed, timeout_s):
                raise TimeoutError(f"no sound came in {timeout_s} s")
            if not self._items:
                if self._error is not None:
                    raise self._error
                return None
            item = self._items.popleft()
            if not isinstance(item, Gap):
                self._waiting -= len(item)
            return item

    def __iter__(self) -> Iterator[Block | Gap]:
        """The blocks and gaps until it is closed."""
        while (item := self.get()) is not None:
            yield item

    def _drop(self) -> None:
        dropped_s = self._waiting / self._rate_hz
        said_s = sum(item.lost_s for item in self._items if isinstance(item, Gap))
        self._items.clear()
        self._waiting = 0
        self._lost_s += dropped_s
        self._add_gap(said_s + dropped_s)

    def _add_gap(self, lost_s: float) -> None:
        """A gap behind all that waits; two in a row are one."""
        if self._items and isinstance(before := self._items[-1], Gap):
            self._items[-1] = Gap(lost_s=before.lost_s + lost_s)
        else:
            self._items.append(Gap(lost_s=lost_s))
