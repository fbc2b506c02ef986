"""``wav2edge export``: a checkpoint to a certified bundle."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from wav2edge.cli.verbs import Command
from wav2edge.errors import UsageError
from wav2edge.inference.sessions.cpu import NATIVE, TARGETS
from wav2edge_export.export_options import OPERATORS, PREFERENCES, ExportOptions
from wav2edge_export.quantization.recipes import RECIPES


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a transformers checkpoint: local folder or Hub name")
    parser.add_argument("--output", type=Path, required=True, metavar="BUNDLE", help="folder to write")
    parser.add_argument(
        "--precision",
        metavar="LIST",
        help="one or more with commas, the bundle's default first (default: int8, or fp32 with --batched). "
        + "; ".join(f"{name}: {recipe.summary}" for name, recipe in RECIPES.items()),
    )
    parser.add_argument(
        "--target",
        default=NATIVE,
        metavar="KIND",
        help=f"the processors that int8 MatMuls are made for (default: {NATIVE}, this one). "
        + "; ".join(f"{name}: {target.summary}" for name, target in TARGETS.items()),
    )
    parser.add_argument(
        "--prefer",
        default=next(iter(PREFERENCES)),
        metavar="KIND",
        help="which mixture within its budget auto takes (default: %(default)s). "
        + "; ".join(f"{name}: {summary}" for name, summary in PREFERENCES.items()).replace("%", "%%"),
    )
    parser.add_argument(
        "--operators",
        default=next(iter(OPERATORS)),
        metavar="KIND",
        help="; ".join(f"{name}: {summary}" for name, summary in OPERATORS.items()),
    )
    parser.add_argument(
        "--batched",
        action="store_true",
        help="graphs that take padded batches and a mask, for GPUs: each clip gets the logits it would get alone, "
        "within float rounding",
    )
    parser.add_argument("--data", type=Path, metavar="DATA", help="data set to certify the variants on")
    parser.add_argument("--split", metavar="NAME", help="which rows of it (default: test, else validation, else all)")
    parser.add_argument("--max-clips", type=int, metavar="N", help="use the first N of them")
    parser.add_argument(
        "--longest-clip",
        type=float,
        metavar="S",
        help="longest clip that the checkpoint was trained on, in seconds: longer recordings are answered in segments"
        " (default: what `wav2edge train` has written into its config)",
    )
    parser.add_argument(
        "--decoder",
        type=Path,
        metavar="FILE",
        help='JSON file with the decoder that the bundle is to decode with by default, such as {"beam": {"width": 16,'
        ' "lm": "words.arpa"}} or {"grammar": {"phrases": ["yes", "no"]}} (default: the best token of each frame)',
    )
    _add_stream_arguments(parser)


def _add_stream_arguments(parser: ArgumentParser) -> None:
    streams = parser.add_argument_group("streams, of a checkpoint that was trained with --streaming")
    streams.add_argument(
        "--stream",
        metavar="MS",
        help="also write graphs of streams that compute nothing twice, for chunks of so many milliseconds, one or more"
        " with commas, the default first: 160,320",
    )
    streams.add_argument(
        "--left-context",
        type=float,
        metavar="S",
        help="sound before a chunk that it attends to, in seconds (default: 1.28)",
    )
    streams.add_argument(
        "--look-ahead",
        type=int,
        metavar="MS",
        help="sound after a chunk that it is computed with; answers come so much later, and each chunk costs so much"
        " more (default: 0)",
    )


def _precisions(options: Namespace) -> tuple[str, ...]:
    """What is asked for, or what the graphs are best in."""
    for_batches = "fp32" if options.batched else "int8"
    return tuple((options.precision or ("fp16" if options.operators == "gpu" else for_batches)).split(","))


def _streams(options: Namespace) -> dict[str, Any]:
    """What is said of streams, as fields of ``ExportOptions``."""
    given = {"left_context_s": options.left_context, "look_ahead_ms": options.look_ahead}
    found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if options.stream is None:
        if found:
            raise UsageError("--left-context and --look-ahead are for streams; give --stream MS")
        return {}
    try:
        return {"stream_ms": tuple(int(part) for part in options.stream.split(",")), **found}
    except ValueError:
        raise UsageError(f"--stream {options.stream!r}: give milliseconds with commas, such as 160,320") from None


def _run(options: Namespace) -> int:
    from wav2edge_export.exporting import export_bundle  # here, so that --help does not wait for PyTorch

    export = export_bundle(
        ExportOptions(
            checkpoint=options.checkpoint,
            output=options.output,
            precisions=_precisions(options),
            operators=options.operators,
            target=options.target,
            prefer=options.prefer,
            batched=options.batched,
            data=options.data,
            split=options.split,
            max_clips=options.max_clips,
            longest_clip_s=options.longest_clip,
            decoder=options.decoder,
            **_streams(options),
        ),
        log=lambda line: print(f"wav2edge: {line}", file=sys.stderr, flush=True),
    )
    manifest = export.bundle.manifest
    for certificate in export.certificates:
        file = manifest.variants[certificate.precision].file
        print(f"{certificate.precision}\t{manifest.files[file].size_bytes / 1e6:.2f} MB\t{export.bundle.folder / file}")
    for precision, path in (manifest.stream.files if manifest.stream else {}).items():
        print(f"{precision} stream\t{manifest.files[path].size_bytes / 1e6:.2f} MB\t{export.bundle.folder / path}")
    for certificate in export.refused:
        print(
            f"wav2edge: {certificate.precision} refused, not written: {'; '.join(certificate.violations)}",
            file=sys.stderr,
        )
    return 1 if export.refused else 0


COMMAND = Command(
    name="export",
    summary="export a checkpoint through Optimum to a quantised bundle, and certify that it agrees with the original",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge export checkpoint/ --output bundle
  wav2edge export checkpoint/ --output bundle --precision int8,fp32 --data data/
  wav2edge export checkpoint/ --output bundle --precision auto,int8 --data data/ --target avx2
  wav2edge export checkpoint/ --output bundle --precision fp16 --batched
  wav2edge export facebook/wav2vec2-base-960h --output bundle --operators standard""",
)
