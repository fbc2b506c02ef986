"""``wav2edge run``: recognise clips."""

from __future__ import annotations

import os
import stat
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wav2edge.audio.clip import AudioSource, PipedFile, read_standard_input
from wav2edge.audio.inputs import Input, expand_inputs, gives_many
from wav2edge.cli.engine_options import add_engine_options, engine_from
from wav2edge.cli.verbs import Command, tell
from wav2edge.errors import Wav2EdgeError
from wav2edge.output.documents import strict_json
from wav2edge.output.progress import Progress
from wav2edge.output.result import Result

ESCAPES = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An input and its result, or the error it failed with."""

    name: str
    result: Result | Wav2EdgeError

    @property
    def failed(self) -> bool:
        """Whether there is no result."""
        return isinstance(self.result, Wav2EdgeError)

    @property
    def messages(self) -> list[str]:
        """Lines for standard error: the error, or the result's warnings."""
        if isinstance(self.result, Wav2EdgeError):
            return [str(self.result)]
        return [f"warning: {self.name}: {warning}" for warning in self.result.warnings]

    def to_dict(self) -> dict[str, Any]:
        """The path with the result, or with the error."""
        found = {"error": str(self.result)} if isinstance(self.result, Wav2EdgeError) else self.result.to_dict()
        return {"path": self.name, **found}


Write = Callable[[Outcome], None]


@contextmanager
def _text(many: bool) -> Iterator[Write]:
    def write(outcome: Outcome) -> None:
        if isinstance(outcome.result, Result):
            columns = (outcome.name if many else None, outcome.result.text, outcome.result.label)
            print("\t".join(each.translate(ESCAPES) for each in columns if each is not None), flush=many)

    yield write


@contextmanager
def _jsonl(many: bool) -> Iterator[Write]:
    yield lambda outcome: print(strict_json(outcome.to_dict(), indent=None), flush=many)


@contextmanager
def _json(many: bool) -> Iterator[Write]:
    if not many:
        yield lambda outcome: print(strict_json(outcome.to_dict()))
        return
    separator = "["

    def write(outcome: Outcome) -> None:
        nonlocal separator
        entry = strict_json(outcome.to_dict()).replace("\n", "\n  ")
        print(f"{separator}\n  {entry}", end="", flush=True)
        separator = ","

    try:
        yield write
    finally:  # after an interrupt, too, what was written is JSON
        print("[]" if separator == "[" else "\n]")


FORMATS: dict[str, Callable[[bool], AbstractContextManager[Write]]] = {"text": _text, "json": _json, "jsonl": _jsonl}
"""How results are written: text as tab-separated columns, json as one document, jsonl as one object per clip.

Each takes whether many clips were asked for: text then has a column of paths, and json is a list.
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="folder that `wav2edge export` wrote")
    parser.add_argument("audio", metavar="AUDIO", nargs="+", help="files, folders, patterns, or - for standard input")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        help="text: tab-separated columns, the path first for a folder, a pattern or several inputs; json: one object,"
        " or a list for those; jsonl: one object per line (default: text)",
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=1,
        metavar="N",
        help="most clips at once for a bundle that was exported with --batched; long clips go in smaller batches"
        " (default: 1)",
    )
    add_engine_options(parser)


def _run(options: Namespace) -> int:
    engine = engine_from(options)
    inputs = list(expand_inputs(options.audio))
    clips = (each.name for each in inputs if each.error is None)
    results = engine.map(map(_source, clips), errors="return", batch_size=options.batch)
    failed = 0
    with Progress("recognising", len(inputs)) as progress, FORMATS[options.format](gives_many(options.audio)) as write:
        for outcome in _outcomes(inputs, results):
            progress.clear()
            for message in outcome.messages:
                tell(message)
            write(outcome)
            failed += outcome.failed
            progress.advance()
    if failed and len(inputs) > 1:
        tell(f"{failed} of {len(inputs)} inputs failed, the rest are answered")
    return 1 if failed else 0


def _outcomes(inputs: Iterable[Input], results: Iterator[Result | Wav2EdgeError]) -> Iterator[Outcome]:
    """Each input with its outcome: its own error, or the next result, since inputs with an error give no clip."""
    for each in inputs:
        yield Outcome(name=each.name, result=each.error or next(results))


def _source(name: str) -> AudioSource:
    """What the engine reads. Pipes are read here, on the main thread: a worker that waits cannot be interrupted."""
    if name == "-" and sys.stdin is not None:
        return read_standard_input()
    if not _is_named_pipe(name):
        return name
    if not name.startswith("/dev/"):  # a shell's <(command) has its writer already
        tell(f"{name}: a named pipe, waiting until it is written to and closed")
    return PipedFile(name, Path(name).read_bytes())


def _is_named_pipe(name: str) -> bool:
    return os.access(name, os.R_OK) and stat.S_ISFIFO(os.stat(name).st_mode)


COMMAND = Command(
    name="run",
    summary="recognise clips: transcript, class, or both",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge run bundle clip.wav
  wav2edge run bundle recordings/ --format jsonl > results.jsonl
  wav2edge run bundle 'recordings/**/*.flac' --threads 1
  wav2edge run bundle recordings/ --device cuda --batch 16
  ffmpeg -i talk.m4a -f wav - | wav2edge run bundle -""",
)
