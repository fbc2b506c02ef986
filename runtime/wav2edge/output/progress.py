"""A progress bar on standard error: only on a terminal, and only for work of more than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TextIO, TypeVar

Item = TypeVar("Item")

PATIENCE_S = 2.0
REDRAW_S = 0.1
WIDTH = 28


class Progress:
    """Counts steps towards ``total`` and draws them; use it as a context manager.

    ``done`` of them were finished before, and say nothing about the time that is left.
    """

    def __init__(self, title: str, total: int, *, done: int = 0, stream: TextIO | None = None) -> None:
        self._title, self._total = title, total
        self._stream = stream or sys.stderr
        self._visible = self._stream is not None and self._stream.isatty()  # None: standard error is closed
        self._done, self._before, self._started_s, self._drawn_s = done, done, time.monotonic(), 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def update(self, done: int) -> None:
        """Set the count of finished steps."""
        self._done = done
        now_s = time.monotonic()
        late = now_s - self._started_s > PATIENCE_S
        if self._visible and late and (now_s - self._drawn_s > REDRAW_S or done == self._total):
            self._drawn_s = now_s
            self._stream.write(f"\r\x1b[2K{self._line(now_s - self._started_s)}")
            self._stream.flush()

    def advance(self) -> None:
        """One more step is finished."""
        self.update(self._done + 1)

    def clear(self) -> None:
        """Erase the bar, so that the next line starts on an empty one."""
        if self._drawn_s:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._drawn_s = 0.0

    def _line(self, elapsed_s: float) -> str:
        share = self._done / self._total if self._total else 1.0
        filled = round(share * WIDTH)
        made = self._done - self._before
        left_s = elapsed_s * (self._total - self._done) / made if made else 0.0
        bar = "━" * filled + "─" * (WIDTH - filled)
        return f"{self._title} {bar} {self._done}/{self._total}  {_clock(elapsed_s)} < {_clock(left_s)}"


def track(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
    """Pass items on, and count each on the bar when the next is asked for."""
    with Progress(title, total) as progress:
        for item in items:
            yield item
            progress.advance()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
