"""Keeps the logs and progress bars of the libraries that load, train and export models off standard error."""

from __future__ import annotations

import logging
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.utils import logging as hub_logging
from transformers.utils import logging as transformers_logging

LONGEST = 200
"""Most characters of a library's message that are passed on."""


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the warnings and bars of transformers, PyTorch and the Hub's client inside the block."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    hub_verbosity = hub_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.CRITICAL)
    hub_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        hub_logging.set_verbosity(hub_verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Silence tracer warnings and the advice of quantisers inside the block: parity is measured afterwards."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def first_line(error: Exception) -> str:
    """The first line of an error's message, without its full stop, shortened to a line or two of a terminal."""
    lines = str(error).strip().splitlines()
    return textwrap.shorten(lines[0], LONGEST).rstrip(". ") if lines else type(error).__name__
