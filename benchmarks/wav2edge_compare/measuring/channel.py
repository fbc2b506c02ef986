"""The child's end of the pipes: JSON lines in and out, every failure as one line."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO

MAX_REASON_CHARACTERS = 240
"""A library's error message is cut to this length."""

PR_SET_PDEATHSIG = 1

Reply = dict[str, Any]


def serve(prepare: Callable[[Any], tuple[Reply, Callable[[Any], Reply]]]) -> None:
    """Reply to the request on the command line, then to each line on standard input until it closes.

    Args:
        prepare: from the request to the first reply, and to the function that handles the lines that follow.
    """
    channel = _private_stdout()
    _die_with_the_parent()
    try:
        ready, handle = prepare(json.loads(sys.argv[1]))
        _send(channel, ready)
        for line in sys.stdin:
            _send(channel, handle(json.loads(line)))
    except Exception as error:  # each system raises its own kinds; the parent reports it and continues with the others
        _send(channel, {"error": one_line(error)})
        raise SystemExit(1) from error


def one_line(error: Exception) -> str:
    """An error as a reason to print in a table: its type unless it is one of ours, and the start of its message."""
    message = " ".join(str(error).split())
    ours = any(kind.__name__ == "Wav2EdgeError" for kind in type(error).__mro__)
    reason = message if ours else f"{type(error).__name__}: {message}" if message else type(error).__name__
    return reason if len(reason) <= MAX_REASON_CHARACTERS else reason[: MAX_REASON_CHARACTERS - 3] + "..."


def _die_with_the_parent() -> None:
    """A stopped process does not see its pipes close: Linux ends it with its parent (``prctl(2)``)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _private_stdout() -> TextIO:
    """Keep standard output for the parent; whatever a library prints goes to standard error instead."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def _send(channel: TextIO, reply: Reply) -> None:
    print(json.dumps(reply, allow_nan=False), file=channel, flush=True)
