"""What a verb of the command line is; other packages bring theirs through the entry points ``wav2edge.commands``."""

from __future__ import annotations

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
