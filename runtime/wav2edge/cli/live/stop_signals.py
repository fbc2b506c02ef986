"""Ctrl-C ends the wait for sound at once, and lets what is being recognised come to its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

Item = TypeVar("Item")
STOPPING = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal asked for the end. ``exit_code`` is what a shell expects then: 130 after an interrupt."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class StopSignals:
    """Turns the first signal into a ``Stopped`` where sound is waited for; a second one acts as ever."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._seen: int | None = None
        self._waiting = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other one may ask for signals
            heeded = [number for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What may take forever goes in here.

        Raises:
            Stopped: there was a signal meanwhile, or before.
        """
        self._waiting = True
        try:
            if self._seen is not None:
                raise Stopped(self._seen)
            yield
        finally:
            self._waiting = False

    def until_stopped(self, items: Iterable[Item]) -> Iterator[Item]:
        """Pass items on.

        Raises:
            Stopped: there was a signal while the next one was waited for, or before.
        """
        source = iter(items)
        while True:
            with self.waiting():
                item = next(source, None)
            if item is None:
                return
            yield item

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._seen = number
        self._restore()
        if self._waiting:
            self._waiting = False
            raise Stopped(number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
