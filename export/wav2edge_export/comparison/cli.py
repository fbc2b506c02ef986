"""What ``wav2edge bench`` hands ``--against`` and ``--shape`` over to; it finds this by the name of an entry point."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from importlib import util
from pathlib import Path

from wav2edge.cli.options import tell
from wav2edge.device import physical_cores
from wav2edge.errors import UsageError
from wav2edge_export.comparison.options import ComparisonOptions

NEEDED = ("torch", "transformers", "optimum", "matplotlib")
"""What every comparison needs; a peer that is not installed is only left out."""

DEFAULT_OUTPUT = Path("wav2edge-comparison")
RANDOM_WEIGHTS = "The weights are random: speed, memory, size and logit error are shown, and nothing of accuracy."


def run(options: Namespace) -> int:
    """Compare as the command line asks: 0 where every system answered, 1 where one failed and the others answered.

    Raises:
        UsageError: the options do not go together.
        ModuleNotFoundError: a package that every comparison needs is not installed.
    """
    for module in NEEDED:
        if util.find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    _check_usage(options)
    wanted = _wanted(options)

    from wav2edge_export.comparison.comparing import compare
    from wav2edge_export.comparison.report import write_report
    from wav2edge_export.comparison.roof import roof_sections
    from wav2edge_export.comparison.story import on_a_terminal

    if options.shape is not None:
        from wav2edge_export.comparison.shape import prepare_shape  # brings PyTorch, which must not stay for nothing

        prepare_shape(options.shape, checkpoint=wanted.checkpoint, bundle=wanted.bundle, say=tell)
    comparison = compare(wanted, say=tell)
    tell("measuring the roof of this machine")
    for path in write_report(comparison, wanted.output, roof_sections(wanted, comparison)):
        tell(f"wrote {path}")
    print(on_a_terminal(comparison))
    return 1 if any(row.failure is not None for row in comparison.rows) else 0


def _check_usage(options: Namespace) -> None:
    """Refuse what cannot be meant."""
    refusals = {
        "--device is for one bundle alone; a comparison runs on the cpu": options.device != "cpu",
        "--json is for one bundle alone; a comparison writes its record into --output": options.json,
        "--no-spinning is for one bundle alone; in a comparison every system spins": options.no_spinning,
        "--runs is for one bundle alone; a comparison counts in --rounds": options.runs is not None,
        "--shape makes its own bundle and checkpoint; leave BUNDLE and --checkpoint out": options.shape is not None
        and bool(options.bundle or options.checkpoint),
        "--shape has random weights, which answer no data; leave --data out": options.shape is not None
        and options.data is not None,
        "a comparison needs a BUNDLE, or --shape": options.shape is None and options.bundle is None,
        "--against needs the checkpoint that the bundle was exported from: --checkpoint DIR": options.shape is None
        and options.checkpoint is None,
    }
    for message, refused in refusals.items():
        if refused:
            raise UsageError(message)


def _wanted(options: Namespace) -> ComparisonOptions:
    output = options.output or DEFAULT_OUTPUT
    return ComparisonOptions(
        bundle=options.bundle or output / f"{options.shape}-bundle",
        checkpoint=options.checkpoint or output / f"{options.shape}-checkpoint",
        output=output,
        against=options.against or "all",
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
        raise UsageError(f"--seconds takes numbers with commas, such as 0.5,1,3,10; not {text!r}") from None
