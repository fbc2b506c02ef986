"""Streams whose utterances are known: clips joined with pauses, and fed in blocks of 20 ms, as a microphone gives them.

    python -m benchmarks.records.streams.joined_streams BUNDLE DATA --result benchmarks/results/streams-words.json

BUNDLE was exported with ``--stream``, or not: then its streams are windowed only. DATA is the data set of
``benchmarks.records.accuracy.words``, whose test clips are joined with pauses of 1 to 2 s, clean and in noise. Where
speech begins and ends in a clip, voice activity that knows what comes before and after tells.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import wav2edge
from benchmarks.records.accuracy.joined_recordings import Place, join, levelled, touch
from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.audio.clip import load_clip
from wav2edge.audio.voice_activity import EnergyDetector
from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split
from wav2edge.evaluation.rates import count_word_errors
from wav2edge.inference.streaming.events import Event, Final, Partial
from wav2edge.inference.streaming.opening import chunk_lengths_ms, in_chunks
from wav2edge.output.result import Result

COMMAND = "python -m benchmarks.records.streams.joined_streams BUNDLE DATA --result RESULT"
LENGTH_S, PAUSE_S = 600.0, (1.0, 2.0)
"""Length of a recording, and of the silence between two clips, which is longer than what ends an utterance."""
NOISES: tuple[tuple[float | None, float], ...] = ((None, 0.0), (20.0, 1.0), (10.0, 1.0))
"""Signal-to-noise ratio in dB, and the exponent by which the noise falls."""
BLOCK_S = 0.02
MARGIN_S = 0.5
"""Silence around a clip while its speech is sought."""

Sound = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One utterance of a recording: when its speech begins and ends, and what the stream said of it, and when.

    ``said_s`` is when an event came, on the clock of the stream, with the time to compute.
    """

    row: Utterance
    start_s: float
    end_s: float
    finals: list[tuple[float, Final]] = field(default_factory=list)
    partials: list[tuple[float, Partial]] = field(default_factory=list)


def speech_of(clip: Sound) -> tuple[float, float]:
    """When speech begins and ends in a clip, in seconds; all of it where there is none."""
    silence = np.zeros(round(MARGIN_S * SAMPLE_RATE_HZ), np.float32)
    detector = EnergyDetector()
    scores = np.concatenate([detector.feed(np.concatenate([silence, clip, silence])), detector.finish()])
    places = np.flatnonzero(scores > detector.starts_above)
    if not len(places):
        return 0.0, len(clip) / SAMPLE_RATE_HZ
    first, last = (place * detector.hop / SAMPLE_RATE_HZ - MARGIN_S for place in (places[0], places[-1] + 1))
    return max(0.0, first), last


def hear(
    engine: wav2edge.Engine,
    rows: Sequence[Utterance],
    clips: Sequence[Sound],
    recording: Sound,
    places: Sequence[Place],
    **how: Any,
) -> tuple[list[Heard], int, float]:
    """What a stream says of each utterance; how many finals belong to none; and its real-time factor."""
    heard = []
    for start, _, row in places:
        begins_s, ends_s = speech_of(clips[row])
        at_s = start / SAMPLE_RATE_HZ
        heard.append(Heard(row=rows[row], start_s=at_s + begins_s, end_s=at_s + ends_s))
    strays, block = 0, round(BLOCK_S * SAMPLE_RATE_HZ)
    with engine.stream(**how) as stream:
        said: list[tuple[float, Event]] = []
        for at in range(0, len(recording), block):
            before_s = stream.compute_s
            events = stream.feed(recording[at : at + block])
            said += [(stream.clock_s + stream.compute_s - before_s, event) for event in events]
        said += [(stream.clock_s, event) for event in stream.finish()]
        factor = stream.compute_s / stream.clock_s
    for said_s, event in said:
        mine = [each for each in heard if touch(event, each.start_s, each.end_s)]
        for each in mine:
            if isinstance(event, Final):
                each.finals.append((said_s, event))
            else:
                each.partials.append((said_s, event))
        strays += isinstance(event, Final) and not mine
    return heard, strays, factor


def figures(heard: Sequence[Heard], strays: int) -> dict[str, Any]:
    """Accuracy, WER, and how soon answers came."""
    references = [each.row.transcription or "" for each in heard]
    transcripts = [" ".join(final.text or "" for _, final in each.finals) for each in heard]
    longest = [max((final for _, final in each.finals), key=lambda one: one.duration_s, default=None) for each in heard]
    right = [final is not None and final.label == each.row.label for final, each in zip(longest, heard, strict=True)]
    errors = count_word_errors(references, transcripts)
    return {
        "utterances": len(heard),
        "missed": sum(not each.finals for each in heard),
        "split": sum(len(each.finals) > 1 for each in heard),
        "false": strays,
        "wer": round(errors.rate, 4),
        "accuracy": round(float(np.mean(right)), 4),
        "first_partial_after_speech_began_s": spread([_first_partial_s(each) for each in heard]),
        "final_after_speech_ended_s": spread([each.finals[-1][0] - each.end_s for each in heard if each.finals]),
        "final_after_the_end_point_s": spread(_after_end_points(heard)),
        "word_stable_after_it_ended_s": spread([value for each in heard for value in _stable_after_s(each)]),
    }


def _first_partial_s(each: Heard) -> float | None:
    """From where speech begins to the first partial with text."""
    return next((said_s - each.start_s for said_s, event in each.partials if event.text), None)


def _after_end_points(heard: Sequence[Heard]) -> list[float]:
    """From the end point, which is known when the silence is long enough, to the final."""
    silence_s = wav2edge.Endpointing().silence_s
    return [
        said_s - (final.end_s + silence_s)
        for each in heard
        for said_s, final in each.finals
        if final.reason == "silence"
    ]


def _stable_after_s(each: Heard) -> list[float]:
    """From the end of each word of the last final to the event that first had it among the words that stay."""
    if not each.finals:
        return []
    said_s, final = each.finals[-1]
    found = []
    for place, word in enumerate(final.words or ()):
        settled = [at_s for at_s, event in each.partials if event.stable_words > place]
        found.append(min([*settled, said_s]) - word.end_s)
    return found


def spread(values: Sequence[float | None]) -> dict[str, float] | None:
    """Median, 95th percentile and maximum, in seconds."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    median, high = np.percentile(known, [50, 95])
    return {"median": round(float(median), 3), "p95": round(float(high), 3), "max": round(float(max(known)), 3)}


def clip_by_clip(recognise: Any, rows: Sequence[Utterance], clips: Sequence[Sound]) -> dict[str, float]:
    """WER and accuracy on the clips one by one."""
    results: list[Result] = [recognise(clip, rate_hz=SAMPLE_RATE_HZ, segments=False) for clip in clips]
    errors = count_word_errors([row.transcription or "" for row in rows], [each.text or "" for each in results])
    right = [result.label == row.label for result, row in zip(results, rows, strict=True)]
    return {"wer": round(errors.rate, 4), "accuracy": round(float(np.mean(right)), 4)}


def measure(
    engine: wav2edge.Engine,
    rows: Sequence[Utterance],
    clips: Sequence[Sound],
    kinds: Sequence[dict[str, Any]],
    seconds: float,
    **noise: Any,
) -> Iterator[dict[str, Any]]:
    """Each kind of stream on one recording, next to its clips one by one and without noise."""
    recording, places = join(clips, seconds, snr_db=noise["snr_db"], exponent=noise["noise_exponent"], pause_s=PAUSE_S)
    whole = clip_by_clip(engine, [rows[row] for *_, row in places], [clips[row] for *_, row in places])
    for how in kinds:
        heard, strays, factor = hear(engine, rows, clips, recording, places, **how)
        found = {**how, **noise, **figures(heard, strays), "real_time_factor": round(factor, 4)}
        yield {**found, "clip_by_clip": whole}


def main(arguments: Sequence[str] | None = None) -> None:
    """Join, stream in every kind, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--split", default="test", metavar="NAME")
    parser.add_argument(
        "--seconds", type=float, default=LENGTH_S, metavar="S", help=f"length of a recording (default: {LENGTH_S:g})"
    )
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    rows = select_split(read_dataset(options.data), options.split)
    clips = [levelled(load_clip(row.path).samples) for row in rows]
    engine = wav2edge.load(options.bundle)
    chunks_ms = list(chunk_lengths_ms(Bundle.open(options.bundle).manifest))
    kinds: list[dict[str, Any]] = [{"kind": "windowed"}]
    kinds += [{"kind": kind, "chunk_ms": chunk_ms} for kind in ("cached", "two-pass") for chunk_ms in chunks_ms]
    alone = {"whole": clip_by_clip(engine, rows, clips)}
    alone |= {f"{ms} ms": clip_by_clip(in_chunks(engine, ms), rows, clips) for ms in chunks_ms}
    streams = [
        measured
        for snr_db, exponent in NOISES
        for measured in measure(engine, rows, clips, kinds, options.seconds, snr_db=snr_db, noise_exponent=exponent)
    ]
    engine.decoder = wav2edge.Grammar(sorted({row.transcription for row in rows if row.transcription}))
    commands = measure(engine, rows, clips, kinds, options.seconds, snr_db=None, noise_exponent=0.0)
    recorder = CommandRecorder({})
    record = {
        "what": f"{options.split} clips joined with pauses of 1 to 2 s, as streams in blocks of 20 ms; latencies"
        " include the time to compute",
        "command": f"{COMMAND} --seconds {options.seconds:g}",
        "clips_alone": alone,
        "streams": streams,
        "streams_of_a_closed_grammar": list(commands),
    }
    recorder.write(options.result, record)


if __name__ == "__main__":
    main()
