"""``wav2edge run``: recognise clips and recordings."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from wav2edge.audio.inputs import Input, expand_inputs, gives_many, is_named_pipe
from wav2edge.audio.sound_file import AudioSource, PipedFile, read_standard_input
from wav2edge.bundle.folder import Bundle
from wav2edge.cli.engine_options import (
    add_bundle_argument,
    add_decoder_options,
    add_engine_options,
    add_segment_options,
    engine_from,
    open_bundle,
    segmentation_from,
)
from wav2edge.cli.run_checks import check_run, failures
from wav2edge.cli.verbs import Command, tell
from wav2edge.errors import AudioError, DeviceError, UsageError, Wav2EdgeError
from wav2edge.inference.engine import Engine
from wav2edge.inference.sessions.device import physical_cores
from wav2edge.output.formats import FORMATS, Output, OutputFolder, parse_formats
from wav2edge.output.progress import Progress
from wav2edge.output.result import Result, Segment
from wav2edge.output.writers import Outcome


def _add_arguments(parser: ArgumentParser) -> None:
    add_bundle_argument(parser)
    parser.add_argument("audio", metavar="AUDIO", nargs="+", help="files, folders, patterns, or - for standard input")
    parser.add_argument(
        "--format",
        default="text",
        metavar="NAME[,NAME...]",
        help=f"one of {', '.join(FORMATS)}, or several with --output-dir. text: tab-separated columns, the path first"
        " for a folder, a pattern or several inputs, and a line with its times for each segment of a recording; json:"
        " one object, or a list for those; jsonl: one object per line (default: text)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--output", type=Path, metavar="FILE", help="write the results to this new file")
    where.add_argument("--output-dir", metavar="DIR", help="write a file per input and format below this folder")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="resume a run that ended early: answer the inputs that --output, in the format jsonl, does not hold yet;"
        " with --cluster, the shards that --output-dir does not hold",
    )
    add_segment_options(parser)
    parser.add_argument(
        "--batch",
        type=int,
        default=None,
        metavar="N",
        help="most clips at once for a bundle that was exported with --batched; long clips go in smaller batches"
        " (default: 1)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="clips recognised at once, which share the cores (default: one at a time on all cores); with --cluster,"
        " processes, each with --threads, or one (default: as many as there are cores for them)",
    )
    parser.add_argument(
        "--cluster",
        metavar="WHERE",
        help="recognise an archive shard by shard: local for processes of this machine, ray://HOST:PORT, or ray for the"
        " cluster of the environment, or else one on this machine; takes Parquet files and WebDataset tars, too, and"
        " writes a Parquet file for each, or for --shard clips, below --output-dir",
    )
    parser.add_argument("--shard", type=int, metavar="N", help="clips in a shard, with --cluster (default: 500)")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw the waveform of one recording with its segments and words: .png, .svg or .pdf",
    )
    add_decoder_options(parser)
    add_engine_options(parser, profile=True)


def _run(options: Namespace) -> int:
    if options.cluster is not None or options.shard is not None:
        from wav2edge.cli.archived_run import run_archive  # here: most runs are of one process

        return run_archive(options)
    formats = parse_formats(options.format)
    many = gives_many(options.audio)
    check_run(options, formats, many)
    bundle = open_bundle(options)
    engine = _engine(options, bundle)
    inputs = list(expand_inputs(options.audio))
    earlier = _earlier(options, bundle, engine, inputs)
    inputs_left = inputs[len(earlier) :]
    results = _results(engine, inputs_left, options)
    with (
        Progress("recognising", len(inputs), done=len(earlier)) as progress,
        _output(options, formats, many) as output,
    ):
        failed = 0
        for outcome in _outcomes(engine, inputs_left, results, output, options):
            progress.clear()
            for message in outcome.messages:
                tell(message)
            output.add(outcome)
            failed += outcome.failed
            _plot(outcome, options.plot)
            progress.advance()
    if failed and len(inputs) > 1:
        tell(failures("inputs", failed, len(inputs)))
    return 1 if failed else 0


def _plot(outcome: Outcome, path: Path | None) -> None:
    if path is not None and isinstance(outcome.result, Result):
        from wav2edge.output.plot import write_plot

        write_plot(path, outcome.result, outcome.name)


def _engine(options: Namespace, bundle: Bundle) -> Engine:
    """The engine; workers share the cores unless ``--threads`` says otherwise."""
    if options.workers is not None and options.threads is None:
        options.threads = max(1, physical_cores() // options.workers)
    engine = engine_from(options, bundle)
    engine.segmentation = segmentation_from(options, engine.comfortable_s)
    return engine


def _earlier(options: Namespace, bundle: Bundle, engine: Engine, inputs: list[Input]) -> list[str]:
    """The inputs that an earlier run has answered; a new file is made ready where there was none."""
    if options.output is None:
        return []
    from wav2edge.output.resume import prepare

    settings = {
        "bundle": bundle.manifest_sha256(),
        "variant": engine.precision,
        "segments": options.segments,
        "longest_segment": options.longest_segment,
        "vad": options.vad,
        "decoder": repr(engine.decoder),
        "reject": options.reject,
    }
    earlier = prepare(options.output, settings, resume=options.resume)
    for place, name in enumerate(earlier):
        if place >= len(inputs) or inputs[place].name != name:
            raise UsageError(
                f"{options.output}:{place + 1}: answers {name}, which is not input {place + 1} of this run; resume with"
                " the same inputs, or give another --output"
            )
    return earlier


@contextmanager
def _output(options: Namespace, formats: tuple[str, ...], many: bool) -> Iterator[Output]:
    """Where the results go, closed at the end, after an interrupt, too."""
    if options.output_dir is not None:
        folders = [Path(name) for name in options.audio if os.path.isdir(name)]
        output: Output = OutputFolder(Path(options.output_dir), formats, root=folders[0] if len(folders) == 1 else None)
        stream = None
    elif options.output is not None:
        stream = options.output.open("a", encoding="utf-8", errors="backslashreplace", newline="")
        output = FORMATS[formats[0]](stream, many=True)
    else:
        output, stream = FORMATS[formats[0]](sys.stdout, many=many), None
    try:
        yield output
    finally:
        output.close()
        if stream is not None:
            stream.close()


def _results(engine: Engine, inputs: list[Input], options: Namespace) -> Iterator[Result | Wav2EdgeError]:
    """The results of the inputs that give a clip."""
    clips = (each.name for each in inputs if each.error is None)
    return engine.map(
        map(_source, clips),
        errors="return",
        batch_size=options.batch,
        segments=options.segments,
        workers=options.workers,
    )


def _outcomes(
    engine: Engine,
    inputs: list[Input],
    results: Iterator[Result | Wav2EdgeError],
    output: Output,
    options: Namespace,
) -> Iterator[Outcome]:
    """Each input with its outcome; the segments of recordings have gone to the output before."""
    if len(inputs) == 1 and inputs[0].error is None and options.batch in (None, 1):
        (only,) = inputs  # its segments are written while the rest is recognised
        yield Outcome(name=only.name, result=_result(engine, only.name, options, partial(output.segment, only.name)))
        return
    for each in inputs:
        outcome = Outcome(name=each.name, result=each.error or next(results))
        if isinstance(outcome.result, Result):
            for segment in outcome.result.segments or ():
                output.segment(each.name, segment)
        yield outcome


def _result(
    engine: Engine, name: str, options: Namespace, on_segment: Callable[[Segment], None]
) -> Result | Wav2EdgeError:
    try:
        return engine(_source(name), segments=options.segments, on_segment=on_segment)
    except (AudioError, DeviceError) as error:
        return error


def _source(name: str) -> AudioSource:
    """What the engine reads. Pipes are read here, on the main thread: a worker that waits cannot be interrupted."""
    if name == "-" and sys.stdin is not None:
        return read_standard_input()
    if not is_named_pipe(name):
        return name
    if not name.startswith("/dev/"):  # a shell's <(command) has its writer already
        tell(f"{name}: a named pipe, waiting until it is written to and closed")
    with Path(name).open("rb") as pipe:
        return cast(BinaryIO, PipedFile(name, pipe))


COMMAND = Command(
    name="run",
    summary="recognise clips: transcript, class, or both",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge run bundle clip.wav
  wav2edge run bundle meeting.wav --format srt > meeting.srt
  wav2edge run bundle meeting.wav --plot meeting.png
  wav2edge run bundle recordings/ --format jsonl --output results.jsonl --resume
  wav2edge run bundle recordings/ --format srt,textgrid --output-dir transcripts --workers 2
  wav2edge run bundle 'recordings/**/*.flac' --threads 1
  wav2edge run bundle recordings/ --device cuda --batch 16
  wav2edge run bundle archive/*.tar --cluster local --output-dir results --resume
  wav2edge run bundle s3://bucket/archive --cluster ray://head:10001 --output-dir s3://bucket/results
  wav2edge run bundle commands/ --phrases phrases.txt --least-fit 0.5
  wav2edge run bundle commands/ --format jsonl --reject 0.8
  wav2edge run bundle talk.wav --beam 16 --lm words.arpa --hotword 'fu dan=3'
  ffmpeg -i talk.m4a -f wav - | wav2edge run bundle -""",
)
