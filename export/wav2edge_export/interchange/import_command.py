"""``wav2edge import``: a CTC graph that somebody else exported to a certified bundle."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from wav2edge.cli.verbs import Command
from wav2edge.errors import UsageError


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("graph", metavar="FILE", type=Path, help="ONNX file of Optimum, torch.onnx or another exporter")
    parser.add_argument(
        "--like",
        required=True,
        metavar="CHECKPOINT",
        help="what it was exported from: a transformers checkpoint with a CTC head, local folder or Hub name",
    )
    parser.add_argument(
        "--output", type=Path, metavar="BUNDLE", help="folder to write (default: FILE without its .onnx)"
    )
    parser.add_argument("--language", metavar="CODE", help="of a checkpoint with an adapter per language: which one")
    parser.add_argument("--data", type=Path, metavar="DATA", help="data set to certify it on")
    parser.add_argument("--split", metavar="NAME", help="which rows of it (default: test, else validation, else all)")
    parser.add_argument("--max-clips", type=int, metavar="N", help="use the first N of them")


def _run(options: Namespace) -> int:
    output: Path = options.output or options.graph.with_suffix("")
    if output == options.graph:
        raise UsageError(f"{options.graph}: has no suffix to leave out; give --output BUNDLE")
    from wav2edge_export.interchange.importing import ImportOptions, import_bundle  # here: --help waits for nothing

    bundle, certificate = import_bundle(
        ImportOptions(
            graph=options.graph,
            checkpoint=options.like,
            output=output,
            language=options.language,
            data=options.data,
            split=options.split,
            max_clips=options.max_clips,
        ),
        log=lambda line: print(f"wav2edge: {line}", file=sys.stderr, flush=True),
    )
    file = bundle.manifest.variants[bundle.manifest.default_variant].file
    print(f"{certificate.precision}\t{bundle.manifest.files[file].size_bytes / 1e6:.2f} MB\t{bundle.folder / file}")
    return 0


COMMAND = Command(
    name="import",
    summary="make a bundle of a CTC graph that somebody else exported, after holding it against its checkpoint",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge import model.onnx --like checkpoint/
  wav2edge import model.onnx --like facebook/wav2vec2-base-960h --output bundle --data data/""",
)
