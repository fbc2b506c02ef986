"""A verb of the command line, and messages to the person who runs it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Command:
    """One verb. ``run`` returns the exit code; a ``Wav2EdgeError`` it raises becomes one line and that error's code."""

    name: str
    summary: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]
    examples: str = ""


def tell(message: str) -> None:
    """Write one line to standard error, whatever line breaks a file name has."""
    if sys.stderr is not None:  # closed; print would write to standard output instead
        print(f"wav2edge: {' '.join(message.splitlines())}", file=sys.stderr)
