"""What a verb of the command line is, and how it speaks to a person."""

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
    """One line on standard error, whatever line breaks a file name brings along."""
    print(f"wav2edge: {' '.join(message.splitlines())}", file=sys.stderr)
