"""Keeps the logs and progress bars of transformers and of the Hub's client off standard error."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import CRITICAL

from huggingface_hub.utils import logging as hub_logging
from transformers.utils import logging

LONGEST = 200
"""Most characters of a library's message that are passed on."""


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the warnings and bars of transformers, PyTorch and the Hub's client inside the block."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub_verbosity = hub_logging.get_verbosity()
    logging.set_verbosity(CRITICAL)
    hub_logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        hub_logging.set_verbosity(hub_verbosity)
        if bars:
            logging.enable_progress_bar()


def first_line(error: Exception) -> str:
    """The first line of an error's message, without its full stop, shortened to a line or two of a terminal."""
    lines = str(error).strip().splitlines()
    return textwrap.shorten(lines[0], LONGEST).rstrip(". ") if lines else type(error).__name__
