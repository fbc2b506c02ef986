"""The child's end of the talk with the parent: JSON lines over pipes, and every failure as one line."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO

LONGEST_REASON = 240
"""Characters of somebody else's message that are passed on."""

PR_SET_PDEATHSIG = 1

Answer = dict[str, Any]


def converse(begin: Callable[[Any], tuple[Answer, Callable[[Any], Answer]]]) -> None:
    """Answer the request on the command line, then each line on standard input, until it closes.

    Args:
        begin: from the request to its answer, and to what answers the lines that follow.
    """
    channel = _private_stdout()
    _die_with_the_parent()
    try:
        ready, answer = begin(json.loads(sys.argv[1]))
        _say(channel, ready)
        for line in sys.stdin:
            _say(channel, answer(json.loads(line)))
    except Exception as error:  # each system raises its own kinds; the parent reports it and goes on with the others
        _say(channel, {"error": one_line(error)})
        raise SystemExit(1) from error


def one_line(error: Exception) -> str:
    """An error as a reason to print in a table: its kind unless it is one of ours, and the start of its message."""
    message = " ".join(str(error).split())
    ours = any(kind.__name__ == "Wav2EdgeError" for kind in type(error).__mro__)
    reason = message if ours else f"{type(error).__name__}: {message}" if message else type(error).__name__
    return reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 3] + "..."


def _die_with_the_parent() -> None:
    """A stopped process does not see its pipes close: on Linux it is ended with its parent (``prctl(2)``)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _private_stdout() -> TextIO:
    """Keep standard output for the parent; whatever a library prints goes to standard error instead."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def _say(channel: TextIO, answer: Answer) -> None:
    print(json.dumps(answer, allow_nan=False), file=channel, flush=True)
