"""``wav2edge stream``: recognise speech while it is spoken."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from contextlib import ExitStack, closing, suppress

from wav2edge.audio.segmentation import ENERGY
from wav2edge.cli.engine_options import (
    add_bundle_argument,
    add_decoder_options,
    add_engine_options,
    check_one_recording,
    engine_from,
)
from wav2edge.cli.live.live_output import LiveOutput, output_for
from wav2edge.cli.live.live_sources import LiveSource, check_source_options, open_source
from wav2edge.cli.live.piped_sound import ENCODINGS
from wav2edge.cli.live.stop_signals import Stopped, StopSignals
from wav2edge.cli.verbs import Command
from wav2edge.errors import AudioError, DeviceError, UsageError, Wav2EdgeError
from wav2edge.inference.feeding.live_queue import Block, Gap
from wav2edge.inference.streaming.endpoints import Endpointing
from wav2edge.inference.streaming.events import Event
from wav2edge.inference.streaming.live_sound import NAME
from wav2edge.inference.streaming.opening import KINDS, STEP_MS
from wav2edge.inference.streaming.stream import Stream


def _add_arguments(parser: ArgumentParser) -> None:
    add_bundle_argument(parser, nargs="?")
    parser.add_argument(
        "source",
        metavar="SOURCE",
        nargs="?",
        help="- for standard input (raw samples, or WAV while it is written), a named pipe, or a sound file (default:"
        " the microphone)",
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per line for each answer, partial or final"
    )
    parser.add_argument("--finals", action="store_true", help="only answers that are final")
    _add_source_options(parser)
    _add_stream_options(parser)
    add_decoder_options(parser)
    add_engine_options(parser)


def _add_source_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--microphone", metavar="NAME", help="part of the name, or the number, of a microphone (default: the system's)"
    )
    parser.add_argument(
        "--list-microphones", action="store_true", help="list the microphones, and do nothing else; needs no BUNDLE"
    )
    parser.add_argument(
        "--rate",
        type=int,
        metavar="HZ",
        help="sample rate of raw samples, or to record at (default: 16000; a microphone's own)",
    )
    parser.add_argument("--channels", type=int, metavar="N", help="channels of raw samples, or to record (default: 1)")
    parser.add_argument("--encoding", choices=ENCODINGS, help="what raw samples are (default: s16le)")
    parser.add_argument("--pace", action="store_true", help="read a file at the speed of real time")


def _add_stream_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--kind",
        choices=KINDS,
        default=KINDS[0],
        help="cached computes nothing twice; two-pass is cached, and recognises each utterance once more as a whole at"
        " its end; windowed, for every bundle, recognises an utterance again and again; auto is cached where the bundle"
        " was exported with --stream, else windowed (default: auto)",
    )
    parser.add_argument(
        "--chunk",
        type=int,
        metavar="MS",
        help=f"from one answer to the next; for cached streams one that the bundle has (default: its first; {STEP_MS})",
    )
    parser.add_argument(
        "--silence",
        type=float,
        default=Endpointing.silence_s,
        metavar="S",
        help=f"silence that ends an utterance (default: {Endpointing.silence_s})",
    )
    parser.add_argument(
        "--vad",
        default=ENERGY,
        metavar="NAME",
        help="what tells speech from noise: energy, silero for the installed package silero-vad, the path of its"
        " silero_vad.onnx, or none: everything is speech (default: energy)",
    )


def _run(options: Namespace) -> int:
    if options.list_microphones:
        from wav2edge.cli.live.microphone import microphones  # here: most streams need no sound card

        print(*microphones(), sep="\n")
        return 0
    if options.bundle is None:
        raise UsageError("no BUNDLE; give the folder that `wav2edge export` wrote")
    check_source_options(options)
    check_one_recording(options.source or "")
    return _stream(options)


def _stream(options: Namespace) -> int:
    endpointing = Endpointing(silence_s=options.silence, vad=options.vad)
    engine = engine_from(options)
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        output = stack.enter_context(closing(output_for(options)))
        try:
            with signals.waiting():
                source = stack.enter_context(closing(open_source(options, output.tell)))
            stream = engine.stream(
                rate_hz=source.rate_hz, kind=options.kind, chunk_ms=options.chunk, endpointing=endpointing
            )
            _recognise(_Listener(stream, output, source.name), source, signals)
        except Stopped as stopped:
            return stopped.exit_code
    return 0


def _recognise(listener: _Listener, source: LiveSource, signals: StopSignals) -> None:
    """Show what is said until the sound ends; however it ends, what was said before is answered."""
    try:
        try:
            listener.take(signals.until_stopped(source))
        except Stopped:
            with suppress(DeviceError):  # a device that is gone by now gives what it had recorded, and then its error
                listener.take(source.rest())
            raise
        if not listener.began:
            raise AudioError(f"{source.name}: no sound came; does what gives it work?")
    except (Wav2EdgeError, Stopped):
        listener.finish()
        raise
    listener.finish()


class _Listener:
    """Feeds a stream, shows what it says, and counts what was lost."""

    def __init__(self, stream: Stream, output: LiveOutput, name: str) -> None:
        self._stream, self._output, self._name = stream, output, name
        self._lost_s, self._gaps = 0.0, 0
        self.began = False

    def take(self, items: Iterable[Block | Gap]) -> None:
        """Recognise sound as it comes."""
        for item in items:
            self.began = True
            self._output.say(self._gap(item) if isinstance(item, Gap) else self._feed(item))
            self._output.follow(self._stream)

    def finish(self) -> None:
        """Show what is left, and tell in a line how it went; nothing where no sound came."""
        if not self.began:
            return
        self._output.say(self._stream.finish())
        self._output.close()
        heard_s = self._stream.clock_s - self._lost_s
        factor = f", real-time factor {self._stream.compute_s / heard_s:.2f}" if heard_s > 0 else ""
        places = "1 place" if self._gaps == 1 else f"{self._gaps} places"
        lost = f", and {self._lost_s:.1f} s lost in {places}: the machine is too slow" if self._gaps else ""
        self._output.tell(f"{heard_s:.1f} s of sound{factor}{lost}")

    def _gap(self, gap: Gap) -> list[Event]:
        self._lost_s, self._gaps = self._lost_s + gap.lost_s, self._gaps + 1
        return self._stream.gap(gap.lost_s)

    def _feed(self, block: Block) -> list[Event]:
        try:
            return self._stream.feed(block)
        except AudioError as error:
            reason = str(error).removeprefix(f"{NAME}: ")
            raise AudioError(f"{self._name}: after {self._stream.clock_s:.2f} s: {reason}") from None


COMMAND = Command(
    name="stream",
    summary="recognise speech while it is spoken, from a microphone or a pipe",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge stream bundle
  wav2edge stream --list-microphones
  wav2edge stream bundle --microphone 'USB Audio'
  wav2edge stream bundle talk.wav --pace
  arecord -t raw -f S16_LE -r 16000 | wav2edge stream bundle - --json
  ffmpeg -i URL -f wav - | wav2edge stream bundle -
  wav2edge stream bundle --phrases phrases.txt --least-fit 0.5 --silence 0.3 --finals""",
)
