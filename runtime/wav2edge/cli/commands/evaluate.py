"""``wav2edge evaluate``: accuracy, WER and confusion matrix of a bundle or a checkpoint on a data set."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from importlib import import_module
from pathlib import Path

from wav2edge.bundle.folder import Bundle
from wav2edge.cli.engine_options import (
    add_decoder_options,
    add_engine_options,
    decoder_from,
    gpu_memory_from,
    is_checkpoint,
)
from wav2edge.cli.verbs import Command, tell
from wav2edge.errors import MissingDependencyError, UsageError
from wav2edge.evaluation.dataset import read_dataset
from wav2edge.evaluation.evaluator import choose_split, evaluate
from wav2edge.evaluation.text_normalization import TextNormalization, add_normalization_options
from wav2edge.inference.load import open_engine
from wav2edge.inference.recognizer import Recognizer
from wav2edge.output.documents import json_for
from wav2edge.output.progress import Progress

ORIGINALS = "wav2edge_train.checkpoint.original"
"""The module that runs a PyTorch checkpoint; imported by name, because it needs the extra ``train``."""
FOR_BUNDLES = {"stream": None, "variant": None, "device": "cpu", "threads": None, "gpu_memory": None}
"""Option that a checkpoint has no use for -> what it is where nobody gives it."""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a bundle or a PyTorch checkpoint (folder or Hub name)")
    parser.add_argument("data", metavar="DATA", type=Path, help="audiofolder with metadata.csv, or a .jsonl manifest")
    parser.add_argument("--split", metavar="NAME", help="which rows (default: test, else validation, else all)")
    parser.add_argument(
        "--revision", metavar="REV", help="commit, tag or branch of a bundle on the Hub (default: its main branch)"
    )
    parser.add_argument(
        "--stream",
        type=int,
        metavar="MS",
        help="hear each clip as a cached stream in chunks of so many milliseconds, without end points",
    )
    add_normalization_options(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_decoder_options(parser)
    add_engine_options(parser)


def _run(options: Namespace) -> int:
    utterances = choose_split(read_dataset(options.data), options.split)
    decoder = decoder_from(options)
    recognizer = _recognizer(options)
    recognizer.reject_below = options.reject
    if decoder is not None:
        recognizer.decoder = decoder
    normalization = TextNormalization(lowercase=options.lowercase, strip_punctuation=options.strip_punctuation)
    with Progress("evaluating", len(utterances)) as progress:
        evaluation = evaluate(recognizer, utterances, normalization=normalization, advance=progress.advance)
    for message in (*map(str, evaluation.failures), *evaluation.remarks):
        tell(message)
    print(json_for(sys.stdout, evaluation.to_dict()) if options.json else evaluation.table())
    return 1 if evaluation.failures else 0


def _recognizer(options: Namespace) -> Recognizer:
    if not is_checkpoint(options.model, options.revision):
        engine = open_engine(
            Bundle.open(options.model, revision=options.revision),
            variant=options.variant,
            language=options.language,
            device=options.device,
            threads=options.threads,
            memory_gb=gpu_memory_from(options),
        )
        if options.stream is None:
            return engine
        from wav2edge.inference.streaming.opening import in_chunks  # here: most evaluations hear clips whole

        return in_chunks(engine, options.stream)
    for name, unset in FOR_BUNDLES.items():
        if getattr(options, name) != unset:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} needs a bundle, and {options.model} is a PyTorch checkpoint; leave it out")
    if options.revision is not None:
        raise UsageError(f"{options.model}: no bundle on the Hub, and --revision is for those; leave it out")
    try:
        recognizer: Recognizer = import_module(ORIGINALS).load_original(options.model, language=options.language)
    except ImportError as error:
        raise MissingDependencyError(
            f"{options.model} is a PyTorch checkpoint, and {error.name or error} is not installed;"
            " run: pip install 'wav2edge[train]'"
        ) from None
    return recognizer


COMMAND = Command(
    name="evaluate",
    summary="report accuracy, precision, recall, F1, confusion matrix and WER of a bundle or a checkpoint",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge evaluate bundle data/
  wav2edge evaluate bundle data/ --variant fp32 --split validation --json
  wav2edge evaluate bundle data/ --stream 160
  wav2edge evaluate bundle data/ --lowercase --strip-punctuation
  wav2edge evaluate checkpoint/ data/""",
)
