"""``wav2edge verify``: digests, golden outputs and certificates of a bundle, on this device."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.cli.engine_options import add_bundle_argument, open_bundle, tell_int8_saturation
from wav2edge.cli.verbs import Command
from wav2edge.errors import BundleError, UsageError
from wav2edge.evaluation.dataset import read_dataset
from wav2edge.evaluation.evaluator import choose_split
from wav2edge.inference.sessions.device import DEVICES
from wav2edge.output.documents import json_for
from wav2edge.output.progress import Progress

if TYPE_CHECKING:
    from wav2edge.evaluation.parity.repetition import Repetition
    from wav2edge.evaluation.verification import Check


def _add_arguments(parser: ArgumentParser) -> None:
    add_bundle_argument(parser)
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where to run (default: cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads per call (default: physical cores)")
    parser.add_argument(
        "--repeat",
        action="store_true",
        help="repeat the certificate here: every variant against PyTorch's recorded outputs for the synthetic signals",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DATA",
        help="repeat WER and accuracy on the clips that are in the certificate; of a bundle in several languages a"
        " folder with a data set per language, as it was exported with",
    )
    parser.add_argument("--split", metavar="NAME", help="which rows of DATA (default: test, else validation, else all)")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")


def _run(options: Namespace) -> int:
    from wav2edge.evaluation.verification import verify  # here, so that other verbs start without it

    if options.split is not None and options.data is None:
        raise UsageError("--split selects rows of a data set; give it with --data")
    bundle = open_bundle(options)
    manifest = bundle.manifest
    repetition = _repetition(bundle, options)
    languages = {name: _repetition(bundle, options, language=name) for name in bundle.languages[1:]}
    streams = _stream_repetitions(bundle, options)
    of_variants = (
        repetition if each.heads is None else languages[str(each.language)] for each in manifest.variants.values()
    )
    steps = len(manifest.files) + sum(each.steps for each in of_variants if each is not None)
    steps += sum(each.steps for each in streams.values()) * len(manifest.stream.files if manifest.stream else ())
    with Progress("verifying", steps) as progress:
        checks = list(
            verify(
                bundle,
                device=options.device,
                threads=options.threads,
                repetition=repetition,
                stream_repetitions=streams,
                language_repetitions={name: each for name, each in languages.items() if each is not None},
                advance=progress.advance,
            )
        )
    sha256 = bundle.manifest_sha256()
    if options.json:
        print(json_for(sys.stdout, {"manifest_sha256": sha256, "checks": [check.to_dict() for check in checks]}))
    else:
        print(f"{_table(checks)}\n{MANIFEST} has the SHA-256 {sha256}")
    tell_int8_saturation(manifest.variants.values(), options.device)
    failed = [_failure(check) for check in checks if not check.passed]
    if failed:
        raise BundleError(f"{options.bundle}: {len(failed)} of {len(checks)} checks failed: {', '.join(failed)}")
    return 0


def _stream_repetitions(bundle: Bundle, options: Namespace) -> dict[int, Repetition]:
    """What is repeated of the certificates of streams, by their chunk in milliseconds."""
    if bundle.manifest.stream is None:
        return {}
    from wav2edge.inference.streaming.opening import chunk_lengths_ms

    planned = {chunk_ms: _repetition(bundle, options, chunk_ms) for chunk_ms in chunk_lengths_ms(bundle.manifest)}
    return {chunk_ms: repetition for chunk_ms, repetition in planned.items() if repetition is not None}


def _repetition(
    bundle: Bundle, options: Namespace, chunk_ms: int | None = None, *, language: str | None = None
) -> Repetition | None:
    if not options.repeat and options.data is None:
        return None
    from wav2edge.evaluation.parity.repetition import plan_repetition

    data: Path | None = options.data
    if data is not None and len(bundle.languages) > 1:
        data = data / (language or bundle.languages[0])
    utterances = choose_split(read_dataset(data), options.split) if data is not None else ()
    planned = {"signals": options.repeat, "utterances": utterances, "chunk_ms": chunk_ms}
    return plan_repetition(bundle, **planned, language=language)


def _table(checks: Sequence[Check]) -> str:
    width = max(len(check.name) for check in checks)
    return "\n".join(f"{'ok  ' if check.passed else 'FAIL'}  {check.name:{width}}  {check.detail}" for check in checks)


def _failure(check: Check) -> str:
    """The check's name, and its detail where it has figures."""
    return check.name if check.figures is None else f"{check.name} ({check.detail})"


COMMAND = Command(
    name="verify",
    summary="check that a bundle is intact and gives the outputs here that it gave at its export",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge verify bundle
  wav2edge verify bundle --repeat
  wav2edge verify bundle --repeat --data data/ --split test
  wav2edge verify bundle --device cuda --json""",
)
