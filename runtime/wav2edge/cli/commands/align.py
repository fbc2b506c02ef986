"""``wav2edge align``: when each word of a known text was said."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

from wav2edge.cli.engine_options import (
    add_bundle_argument,
    add_engine_options,
    check_one_recording,
    engine_from,
    read_text,
)
from wav2edge.cli.verbs import Command, tell
from wav2edge.errors import UsageError
from wav2edge.output.documents import json_for
from wav2edge.output.result import Alignment


def _write_text(alignment: Alignment, name: str) -> None:
    for word in alignment.words:
        print(f"{word.start_s:.3f}\t{word.end_s:.3f}\t{word.text}\t{word.confidence:.3f}")


def _write_json(alignment: Alignment, name: str) -> None:
    print(json_for(sys.stdout, alignment.to_dict()))


def _write_as(format_name: str, alignment: Alignment, name: str) -> None:
    """In a format of recordings, whose segments are the words between two pauses."""
    from wav2edge.output.formats import FORMATS  # here: most alignments are text or JSON
    from wav2edge.output.writers import Outcome

    writer, result = FORMATS[format_name](sys.stdout, many=False), alignment.result()
    for segment in result.segments or ():
        writer.segment(name, segment)
    writer.add(Outcome(name=name, result=result))
    writer.close()


WRITERS: dict[str, Callable[[Alignment, str], None]] = {
    "text": _write_text,
    "json": _write_json,
    **{name: partial(_write_as, name) for name in ("csv", "srt", "vtt", "textgrid", "elan")},
}
"""How an alignment is written: text as tab-separated columns, json as one document, the others as of recordings."""


def _add_arguments(parser: ArgumentParser) -> None:
    add_bundle_argument(parser)
    parser.add_argument("audio", metavar="AUDIO", help="a file, or - for standard input")
    parser.add_argument(
        "text",
        metavar="TEXT",
        nargs="?",
        help="what was said, in characters of the model's vocabulary; * as a word stands for anything",
    )
    parser.add_argument("--text-file", metavar="FILE", type=Path, help="file with the text, in UTF-8, in place of TEXT")
    parser.add_argument(
        "--format",
        choices=WRITERS,
        default="text",
        help="text: start and end in seconds, word, and confidence, with tabs between them; json: words and tokens,"
        " with the goodness of pronunciation; csv, srt, vtt, textgrid, elan: as `wav2edge run` writes them, a segment"
        " for the words between two pauses (default: text)",
    )
    add_engine_options(parser, profile=True)


def _run(options: Namespace) -> int:
    check_one_recording(options.audio)
    text = _text_of(options)
    alignment = engine_from(options).align(options.audio, text)
    for warning in alignment.warnings:
        tell(f"warning: {options.audio}: {warning}")
    WRITERS[options.format](alignment, options.audio)
    return 0


def _text_of(options: Namespace) -> str:
    if (options.text is None) == (options.text_file is None):
        raise UsageError("give what was said once: as TEXT after the audio, or in a --text-file")
    if options.text_file is None:
        return str(options.text)
    return read_text("--text-file", options.text_file)


COMMAND = Command(
    name="align",
    summary="find when each word of a known text was said",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge align bundle clip.wav 'what was said'
  wav2edge align bundle clip.wav 'the beginning * the end'
  wav2edge align bundle talk.flac --text-file talk.txt --format json > talk.json
  wav2edge align bundle talk.flac --text-file talk.txt --format textgrid > talk.TextGrid""",
)
