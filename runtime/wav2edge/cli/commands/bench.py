"""``wav2edge bench``: latency, load, cold start and memory of one bundle on this machine."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from pathlib import Path

from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.cli.engine_options import (
    add_bundle_argument,
    add_engine_options,
    engine_from,
    open_bundle,
    tell_int8_saturation,
)
from wav2edge.cli.verbs import Command, tell
from wav2edge.errors import UsageError
from wav2edge.evaluation.benchmark.latency import DURATIONS_S, BenchmarkPlan, BenchmarkReport, benchmark
from wav2edge.evaluation.benchmark.stream_latency import StreamReport, benchmark_streams
from wav2edge.inference.engine import Engine
from wav2edge.output.documents import json_for, strict_json
from wav2edge.output.progress import Progress

RUNS = 30
ALL_CHUNKS = 0
"""Stands for every length of chunk that a bundle has."""


def _add_arguments(parser: ArgumentParser) -> None:
    add_bundle_argument(parser)
    parser.add_argument(
        "--runs", type=int, default=RUNS, metavar="N", help=f"timed runs per clip length (default: {RUNS})"
    )
    parser.add_argument(
        "--stream",
        nargs="?",
        const=ALL_CHUNKS,
        type=int,
        metavar="MS",
        help="measure cached streams instead, in chunks of so many milliseconds (default: each that the bundle has)",
    )
    parser.add_argument(
        "--spinning",
        action=BooleanOptionalAction,
        default=False,
        help="let idle threads spin between calls; they sleep by default, as with `wav2edge run` and `wav2edge.load`",
    )
    parser.add_argument("--json", action="store_true", help="print every sample as JSON")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the JSON to this file")
    add_engine_options(parser)


def _run(options: Namespace) -> int:
    if options.output is not None and not options.output.parent.is_dir():
        raise UsageError(f"{options.output}: its folder does not exist; make it first")
    bundle = open_bundle(options)
    engine = engine_from(options, bundle)  # refuses what cannot be used before a process is started
    variant = bundle.variant(engine.precision)
    tell_int8_saturation([variant], engine.device)
    shortest_s = engine.geometry.shortest(engine.heads.fewest_frames) / SAMPLE_RATE_HZ
    plan = BenchmarkPlan(
        bundle=bundle.folder,  # of a bundle on the Hub the cache: the processes wait for no network
        durations_s=[duration_s for duration_s in DURATIONS_S if duration_s >= shortest_s],
        runs=options.runs,
        device=engine.device,
        threads=options.threads,
        variant=variant.name,
        spinning=options.spinning,
    )
    chunks_ms = [] if options.stream is None else _chunks_ms(engine, bundle, options.stream)
    del engine  # frees its memory for the measured processes
    report: BenchmarkReport | StreamReport
    with Progress("measuring", len(chunks_ms) or plan.steps) as progress:
        if chunks_ms:
            report = benchmark_streams(plan, chunks_ms, advance=progress.advance)
        else:
            report = benchmark(plan, advance=progress.advance)
    if options.output is not None:
        options.output.write_text(strict_json(report.to_dict()) + "\n", encoding="utf-8")
        tell(f"wrote {options.output}")
    print(json_for(sys.stdout, report.to_dict()) if options.json else report.table())
    return 0


def _chunks_ms(engine: Engine, bundle: Bundle, asked_ms: int) -> list[int]:
    """The lengths of chunks to measure; a graph that cannot be used is refused before a process is started."""
    from wav2edge.inference.streaming.opening import chunk_lengths_ms, in_chunks

    in_chunks(engine, None if asked_ms == ALL_CHUNKS else asked_ms)
    return list(chunk_lengths_ms(bundle.manifest)) if asked_ms == ALL_CHUNKS else [asked_ms]


COMMAND = Command(
    name="bench",
    summary="measure latency, load, cold start and memory of a bundle on this machine",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge bench bundle
  wav2edge bench bundle --stream
  wav2edge bench bundle --variant fp32 --threads 1 --output fp32.json""",
)
