"""Options that several verbs share, so that they read alike everywhere."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable

from wav2edge.bundle.manifest import Variant
from wav2edge.cli.command import tell
from wav2edge.inference.cpu import misfit
from wav2edge.inference.device import DEVICES
from wav2edge.inference.engine import Engine, load


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


def tell_misfits(variants: Iterable[Variant], device: str = "cpu") -> None:
    """One line on standard error for each graph whose 8-bit products this processor gets wrong."""
    for variant in variants:
        if message := misfit(variant, device):
            tell(message)
