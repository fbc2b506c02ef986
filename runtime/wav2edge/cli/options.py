"""Options that several verbs share, so that they read alike everywhere."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from wav2edge.device import DEVICES
from wav2edge.engine import Engine, load


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


def strict_json(document: Any, *, indent: int | None = 2) -> str:
    """JSON that any parser reads: no NaN, no Infinity."""
    return json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)
