"""Logs as JSON, one object a line, written by a thread of its own: a reader that stalls holds up no request."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from wav2edge.output.documents import json_ready, strict_json

MOST_LINES = 10_000
"""Lines that wait for a reader; what comes then is dropped, and counted."""
EVERY_S = 1.0
"""A message of a library is logged once in this time; what comes between is counted."""
MOST_MESSAGES = 1_000
"""Messages of libraries that are remembered for that."""
END_S = 2.0
"""So long a reader that stalls may hold up the end."""


class RequestLog(logging.Handler):
    """Takes events of the server, and what libraries log, above all uvicorn and asyncio.

    Args:
        stream: where to; standard error where None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream or sys.stderr
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_LINES)
        self.lines_lost = 0
        self._messages: dict[tuple[str, str], _Repeated] = {}
        self._thread = threading.Thread(target=self._write, name="wav2edge-log", daemon=True)
        self._thread.start()

    def event(self, name: str, **fields: Any) -> None:
        """Log an event; fields of None are left out."""
        known = {key: value for key, value in fields.items() if value is not None}
        lost = {"lines_lost": self.lines_lost} if self.lines_lost else {}
        line = strict_json(json_ready({"time": _now(), "event": name, **known, **lost}), indent=None)
        try:
            self._lines.put_nowait(line)
            self.lines_lost = 0
        except queue.Full:
            self.lines_lost += 1

    def emit(self, record: logging.LogRecord) -> None:
        """Log what a library says, and how often it said the same since it was logged last."""
        repeated = self._repeated(record)
        if repeated is None:
            return
        trace = self.formatter or logging.Formatter()
        error = trace.formatException(record.exc_info) if record.exc_info else None
        self.event(
            "server",
            level=record.levelname.lower(),
            message=record.getMessage().strip(),
            repeated=repeated or None,
            traceback=error,
        )

    def end(self) -> None:
        """Write what waits, and stop."""
        with suppress(queue.Full):
            self._lines.put(None, timeout=END_S)
            self._thread.join(END_S)

    def _repeated(self, record: logging.LogRecord) -> int | None:
        """How often a message was left out before; None where it is left out again.

        Messages are alike that have the same first line, before values are put in.
        """
        if len(self._messages) >= MOST_MESSAGES:
            self._messages.clear()
        key = record.name, str(record.msg).strip().partition("\n")[0]
        before, now_s = self._messages.get(key), time.monotonic()
        if before is not None and now_s < before.logged_s + EVERY_S:
            before.left_out += 1
            return None
        self._messages[key] = _Repeated(logged_s=now_s)
        return 0 if before is None else before.left_out

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            with suppress(OSError, ValueError):  # the reader has gone; the server goes on
                self._stream.write(line + "\n")
                if self._lines.empty():
                    self._stream.flush()
        with suppress(OSError, ValueError):
            self._stream.flush()


@dataclass(kw_only=True)
class _Repeated:
    """When a message was logged, and how often it was left out since."""

    logged_s: float
    left_out: int = 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
