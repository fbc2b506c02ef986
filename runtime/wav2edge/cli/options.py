"""Options that several verbs share, so that they read alike everywhere."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from typing import Any

from wav2edge.device import DEVICES
from wav2edge.engine import Engine, load
from wav2edge.manifest import Variant
from wav2edge.processor import misfit


def add_engine_options(parser: ArgumentParser) -> None:
    """``--variant``, ``--device`` and ``--threads``."""
    parser.add_argument(
        "--variant", metavar="NAME", help="which graph of the bundle: int8, fp32, ... (default: its own)"
    )
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where to run (default: cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of one answer (default: physical cores)")


def engine_from(options: Namespace) -> Engine:
    """The engine that the shared options ask for."""
    return load(options.bundle, device=options.device, threads=options.threads, variant=options.variant)


def tell(message: str) -> None:
    """One line on standard error, whatever line breaks a file name brings along."""
    print(f"wav2edge: {' '.join(message.splitlines())}", file=sys.stderr)


def tell_misfits(variants: Iterable[Variant], device: str = "cpu") -> None:
    """One line on standard error for each graph whose 8-bit products this processor gets wrong."""
    for variant in variants:
        if message := misfit(variant, device):
            tell(message)


def strict_json(document: Any, *, indent: int | None = 2) -> str:
    """JSON that any parser reads: no NaN, no Infinity."""
    return json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)
