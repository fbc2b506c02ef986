"""``wav2edge demo``: the whole road on a corpus made on the spot."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from wav2edge.cli.verbs import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("wav2edge-demo"),
        metavar="DIR",
        help="folder to write (default: wav2edge-demo)",
    )
    parser.add_argument(
        "--seed", type=int, default=42, metavar="N", help="of the corpus and the training (default: 42)"
    )


def _run(options: Namespace) -> int:
    from wav2edge_export.demo.pipeline import run_demo  # here, so that --help does not wait for PyTorch

    run_demo(options.output, seed=options.seed)
    return 0


COMMAND = Command(
    name="demo",
    summary="train, export, certify and run a small model on synthetic speech, in minutes on a CPU",
    add_arguments=_add_arguments,
    run=_run,
    examples="  wav2edge demo\n  wav2edge demo --output /tmp/demo --seed 7",
)
