"""``wav2edge bench``: how fast one bundle answers here, alone or beside other systems."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib import metadata
from pathlib import Path

from wav2edge.benchmark import BenchmarkPlan, benchmark
from wav2edge.cli.command import Command
from wav2edge.cli.options import add_engine_options, engine_from, strict_json, tell, tell_misfits
from wav2edge.errors import MissingDependencyError, UsageError
from wav2edge.progress import Progress

COMPARISONS = "wav2edge.comparisons"
RUNS = 30


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "bundle", metavar="BUNDLE", type=Path, nargs="?", help="folder that `wav2edge export` wrote; --shape makes one"
    )
    parser.add_argument("--runs", type=int, metavar="N", help=f"timed answers a clip length (default: {RUNS})")
    parser.add_argument(
        "--no-spinning", action="store_true", help="let threads sleep between calls, as an embedded engine does"
    )
    parser.add_argument("--json", action="store_true", help="print every sample as JSON")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="alone: also write the JSON to this file; with --against or --shape: the folder of the report",
    )
    add_engine_options(parser)
    beside = parser.add_argument_group("beside other systems, which needs the extra `bench`")
    beside.add_argument(
        "--against", metavar="LIST", help="all, or names such as torch,openvino-int8; --variant takes several too"
    )
    beside.add_argument("--checkpoint", type=Path, metavar="DIR", help="what BUNDLE was exported from")
    beside.add_argument(
        "--shape", metavar="NAME", help="instead of both: random weights in the shape of xlsr-53 or base"
    )
    beside.add_argument("--data", type=Path, metavar="DATA", help="data set for WER and accuracy in the same table")
    beside.add_argument("--split", metavar="NAME", help="which rows of it (default: test, else validation, else all)")
    beside.add_argument("--max-clips", type=int, metavar="N", help="only the first N of them")
    beside.add_argument("--seconds", default="0.5,1,3,10", metavar="LIST", help="clip lengths (default: 0.5,1,3,10)")
    beside.add_argument("--rounds", type=int, default=10, metavar="N", help="turns of each system (default: 10)")


def _run(options: Namespace) -> int:
    if options.against is not None or options.shape is not None:
        return _compare(options)
    if options.bundle is None:
        raise UsageError("no BUNDLE; give the folder that `wav2edge export` wrote, or --shape")
    if options.output is not None and not options.output.parent.is_dir():
        raise UsageError(f"{options.output}: its folder does not exist; make it first")
    engine = engine_from(options)  # what cannot be used is said here, before a process is started
    tell_misfits([engine.variant], engine.device)
    plan = BenchmarkPlan(
        bundle=options.bundle,
        runs=RUNS if options.runs is None else options.runs,
        device=engine.device,
        threads=options.threads,
        variant=engine.variant.precision,
        spinning=not options.no_spinning,
    )
    del engine  # its memory is for the processes that are measured
    with Progress("measuring", plan.steps) as progress:
        report = benchmark(plan, advance=progress.advance)
    document = strict_json(report.to_dict())
    if options.output is not None:
        options.output.write_text(document + "\n", encoding="utf-8")
        tell(f"wrote {options.output}")
    print(document if options.json else report.table())
    return 0


def _compare(options: Namespace) -> int:
    """Hand over to the package that knows the other systems, and PyTorch."""
    try:
        (entry,) = metadata.entry_points(group=COMPARISONS, name="peers")
        code: int = entry.load()(options)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("wav2edge"):
            raise
        raise MissingDependencyError(
            f"`wav2edge bench` beside other systems needs {error.name or error}, which is not installed;"
            " run: pip install 'wav2edge[bench]'"
        ) from None
    return code


COMMAND = Command(
    name="bench",
    summary="measure latency, load, cold start and memory of a bundle on this machine, alone or beside other systems",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge bench bundle
  wav2edge bench bundle --variant fp32 --threads 1 --output fp32.json
  wav2edge bench bundle --against all --checkpoint checkpoint/ --data data/ --output report
  wav2edge bench --shape xlsr-53 --against torch,openvino-int8 --output report""",
)
