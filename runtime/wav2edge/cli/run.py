"""``wav2edge run``: answer clips."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from wav2edge.audio.clip import AudioSource, read_standard_input
from wav2edge.audio.inputs import Input, expand_inputs
from wav2edge.cli.command import Command, tell
from wav2edge.cli.engine_options import add_engine_options, engine_from
from wav2edge.errors import Wav2EdgeError
from wav2edge.output.documents import strict_json
from wav2edge.output.progress import Progress
from wav2edge.output.result import Result

Answer = tuple[str, Result | Wav2EdgeError]


def _text(answers: Iterable[Answer], many: bool) -> Iterator[str]:
    for name, result in answers:
        if isinstance(result, Result):
            columns = [name] if many else []
            columns += [] if result.text is None else [result.text]
            columns += [] if result.label is None else [result.label]
            yield "\t".join(columns)


def _entry(name: str, result: Result | Wav2EdgeError) -> dict[str, Any]:
    return {"path": name, **(result.to_dict() if isinstance(result, Result) else {"error": str(result)})}


def _jsonl(answers: Iterable[Answer], many: bool) -> Iterator[str]:
    for name, result in answers:
        yield strict_json(_entry(name, result), indent=None)


def _json(answers: Iterable[Answer], many: bool) -> Iterator[str]:
    entries = [_entry(name, result) for name, result in answers]
    yield strict_json(entries if many else entries[0])


FORMATS: dict[str, Callable[[Iterable[Answer], bool], Iterator[str]]] = {"text": _text, "json": _json, "jsonl": _jsonl}
"""How answers are written: text as tab-separated columns, json as one document, jsonl as one object a clip."""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="folder that `wav2edge export` wrote")
    parser.add_argument("audio", metavar="AUDIO", nargs="+", help="files, folders, patterns, or - for standard input")
    parser.add_argument("--format", choices=FORMATS, default="text", help="how answers are written (default: text)")
    parser.add_argument(
        "--batch",
        type=int,
        default=1,
        metavar="N",
        help="clips answered at once by a bundle that was exported with --batched (default: 1)",
    )
    add_engine_options(parser)


def _run(options: Namespace) -> int:
    engine = engine_from(options)
    inputs = list(expand_inputs(options.audio))
    failures: list[str] = []
    with Progress("answering", len(inputs)) as progress:
        found = engine.map(_sources(inputs), errors="return", batch_size=options.batch)
        answers = _answers(found, inputs, progress, failures)
        for line in FORMATS[options.format](answers, len(inputs) > 1):
            progress.clear()
            print(line, flush=len(inputs) > 1)
    if failures and len(inputs) > 1:
        tell(f"{len(failures)} of {len(inputs)} inputs failed, the rest are answered")
    return 1 if failures else 0


def _answers(
    found: Iterator[Result | Wav2EdgeError], inputs: Sequence[Input], progress: Progress, failures: list[str]
) -> Iterator[Answer]:
    """Each input with its answer; what failed is said on standard error at once."""
    for each in inputs:
        result = next(found) if each.error is None else each.error
        progress.clear()
        if isinstance(result, Wav2EdgeError):
            failures.append(each.name)
            tell(str(result))
        else:
            for warning in result.warnings:
                tell(f"warning: {each.name}: {warning}")
        yield each.name, result
        progress.advance()


def _sources(inputs: Iterable[Input]) -> Iterator[AudioSource]:
    for each in inputs:
        if each.error is None:
            # Standard input is waited for here, on the main thread: a worker that waits could not be interrupted.
            yield read_standard_input() if each.name == "-" and sys.stdin is not None else each.name


COMMAND = Command(
    name="run",
    summary="answer clips: transcription, class, or both",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge run bundle clip.wav
  wav2edge run bundle recordings/ --format jsonl > answers.jsonl
  wav2edge run bundle 'recordings/**/*.flac' --threads 1
  wav2edge run bundle recordings/ --device cuda --batch 16
  ffmpeg -i talk.m4a -f wav - | wav2edge run bundle -""",
)
