"""Options that several verbs share."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable

from wav2edge.bundle.manifest import Variant
from wav2edge.cli.verbs import tell
from wav2edge.inference.cpu import int8_saturation_warning
from wav2edge.inference.device import DEVICES
from wav2edge.inference.engine import Engine, load


def add_engine_options(parser: ArgumentParser) -> None:
    """``--variant``, ``--device`` and ``--threads``."""
    parser.add_argument(
        "--variant", metavar="NAME", help="which graph of the bundle: int8, fp32, ... (default: its own)"
    )
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where to run (default: cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads per clip (default: physical cores)")


def engine_from(options: Namespace) -> Engine:
    """The engine that the shared options describe."""
    return load(options.bundle, device=options.device, threads=options.threads, variant=options.variant)


def tell_int8_saturation(variants: Iterable[Variant], device: str = "cpu") -> None:
    """One line on standard error for each graph with int8 MatMuls that saturate on this processor."""
    for variant in variants:
        if message := int8_saturation_warning(variant, device):
            tell(message)
