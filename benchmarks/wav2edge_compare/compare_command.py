"""``wav2edge compare``: a bundle compared with other systems that run the same checkpoint."""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser, Namespace
from importlib import util
from pathlib import Path

from wav2edge.cli.verbs import Command, tell
from wav2edge.errors import UsageError
from wav2edge.inference.sessions.device import physical_cores
from wav2edge_compare.comparison_options import ComparisonOptions

NEEDED = ("torch", "transformers", "optimum", "matplotlib", "markdown")
"""Needed by every comparison; a peer that is not installed is left out."""

RANDOM_WEIGHTS = "The weights are random: the figures show speed, memory, size and logit error, never accuracy."


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "bundle", metavar="BUNDLE", type=Path, nargs="?", help="folder written by `wav2edge export`; not with --shape"
    )
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="the checkpoint BUNDLE was exported from")
    parser.add_argument(
        "--shape", metavar="NAME", help="instead of both, random weights in the shape of xlsr-53 or base"
    )
    parser.add_argument(
        "--against",
        default="all",
        metavar="LIST",
        help="systems to compare with, such as torch,openvino-int8 (default: all)",
    )
    parser.add_argument("--variant", metavar="LIST", help="variants of BUNDLE to measure (default: int8,fp32)")
    parser.add_argument("--data", type=Path, metavar="DATA", help="data set for WER and accuracy in the same table")
    parser.add_argument("--split", metavar="NAME", help="split of DATA (default: test, else validation, else all)")
    parser.add_argument("--max-clips", type=int, metavar="N", help="evaluate only the first N clips")
    parser.add_argument(
        "--seconds", default="0.5,1,3,10", metavar="LIST", help="clip lengths in seconds (default: 0.5,1,3,10)"
    )
    parser.add_argument(
        "--rounds", type=int, default=10, metavar="N", help="turns per system and clip length (default: 10)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads per system (default: physical cores)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("wav2edge-comparison"),
        metavar="DIR",
        help="folder for the built models and the report (default: wav2edge-comparison)",
    )


def _run(options: Namespace) -> int:
    """0 if every system was measured, 1 if one failed and the others were measured."""
    for module in NEEDED:
        if util.find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    _check_usage(options)
    chosen = _comparison_options(options)

    from wav2edge_compare.comparing import compare, measure_roofline
    from wav2edge_compare.reporting.report_files import write_report
    from wav2edge_compare.reporting.sections import terminal_report

    if options.shape is not None:
        # Imports PyTorch, whose memory only this case should pay for.
        from wav2edge_compare.shapes.random_bundle import prepare_shape

        prepare_shape(options.shape, checkpoint=chosen.checkpoint, bundle=chosen.bundle, log=tell)
    comparison = compare(chosen, log=tell)
    tell("measuring the roofline of this machine")
    for path in write_report(comparison, chosen.output, measure_roofline(chosen, comparison)):
        tell(f"wrote {path}")
    print(terminal_report(comparison))
    return 1 if any(row.failure is not None for row in comparison.rows) else 0


def _check_usage(options: Namespace) -> None:
    if options.shape is not None and (options.bundle or options.checkpoint):
        raise UsageError("--shape makes its own bundle and checkpoint; leave BUNDLE and --checkpoint out")
    if options.shape is not None and options.data is not None:
        raise UsageError("--shape has random weights, whose accuracy means nothing; leave --data out")
    if options.shape is None and options.bundle is None:
        raise UsageError("a comparison needs a BUNDLE, or --shape")
    if options.shape is None and options.checkpoint is None:
        raise UsageError("a comparison needs the checkpoint that the bundle was exported from: --checkpoint DIR")


def _comparison_options(options: Namespace) -> ComparisonOptions:
    output = options.output
    return ComparisonOptions(
        bundle=options.bundle or output / f"{options.shape}-bundle",
        checkpoint=options.checkpoint or output / f"{options.shape}-checkpoint",
        output=output,
        against=options.against,
        variants=tuple(options.variant.split(",")) if options.variant else (),
        data=options.data,
        split=options.split,
        max_clips=options.max_clips,
        durations_s=_seconds(options.seconds),
        rounds=options.rounds,
        threads=physical_cores() if options.threads is None else options.threads,
        subject=None if options.shape is None else f"{options.shape} shape",
        note=None if options.shape is None else RANDOM_WEIGHTS,
        command=shlex.join(["wav2edge", *sys.argv[1:]]),
    )


def _seconds(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError:
        raise UsageError(f"--seconds takes comma-separated numbers such as 0.5,1,3,10; got {text!r}") from None


COMMAND = Command(
    name="compare",
    summary="compare a bundle with other systems that run the same checkpoint: speed, memory, size, accuracy",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge compare bundle --checkpoint checkpoint/ --data data/ --output report
  wav2edge compare --shape xlsr-53 --against torch,openvino-int8 --output report""",
)
