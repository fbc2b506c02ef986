r"""Recordings whose utterances are known: clips joined with pauses, clean and in noise, answered segment by segment.

    python -m benchmarks.records.accuracy.joined_recordings BUNDLE DATA \
        --result benchmarks/results/joined-recordings.json

DATA is the data set of ``benchmarks.records.accuracy.words``. Its test clips, brought to one level, are joined in
random order with pauses of 0.3 to 2 s into recordings of one minute, ten minutes and one hour. Noise is white or falls
by 3 dB per octave, and lies under all of it, so many dB below the clips.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import wav2edge
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.benchmark.environment import environment
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split
from wav2edge.evaluation.rates import count_word_errors
from wav2edge.inference.streaming.events import Event
from wav2edge.output.documents import write_json
from wav2edge.output.result import Result, Segment
from wav2edge_export.demo.speech_corpus import coloured_noise

FloatSamples = npt.NDArray[np.float32]

LENGTHS_S = (60.0, 600.0, 3600.0)
NOISES: tuple[tuple[float | None, float], ...] = ((None, 0.0), (20.0, 0.0), (20.0, 1.0), (10.0, 0.0), (10.0, 1.0))
"""Signal-to-noise ratio in dB, and the exponent by which the noise falls."""
PAUSE_S = (0.3, 2.0)
LEVEL = 0.1
TOUCHES_S = 0.02
"""A segment and an utterance that share less do not belong together."""

Place = tuple[int, int, int]
"""First sample of an utterance, the sample after its last, and its row."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the recordings, answer them, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    rows = select_split(read_dataset(options.data), "test")
    clips = [levelled(load_clip(row.path).samples) for row in rows]
    engine = wav2edge.load(options.bundle)
    started_s = time.perf_counter()
    alone = [engine(clip, rate_hz=SAMPLE_RATE_HZ) for clip in clips]
    seconds = time.perf_counter() - started_s
    found = [
        {
            "length_s": length_s,
            "snr_db": snr_db,
            "noise_exponent": exponent,
            **measure(engine, rows, alone, *join(clips, length_s, snr_db=snr_db, exponent=exponent)),
        }
        for length_s in LENGTHS_S
        for snr_db, exponent in NOISES
    ]
    words = " ".join([f"python -m {__spec__.name}" if __spec__ else "", *map(str, arguments or sys.argv[1:])])
    record = {
        "what": "test clips joined with pauses, answered in segments; against the same clips one by one",
        "command": words.replace(str(options.data), "DATA"),
        "clips_alone": {"clips": len(clips), "seconds": round(seconds, 3)},
        "recordings": found,
        "environment": environment(),
    }
    write_json(options.result, record)


def levelled(samples: FloatSamples) -> FloatSamples:
    """A clip, ``[samples]``, at the level that all have."""
    return np.asarray(samples * (LEVEL / np.sqrt(np.mean(samples**2))), np.float32)


def join(
    clips: Sequence[FloatSamples],
    length_s: float,
    *,
    snr_db: float | None,
    exponent: float,
    seed: int = 0,
    pause_s: tuple[float, float] = PAUSE_S,
) -> tuple[FloatSamples, list[Place]]:
    """A recording of about a length, and where each utterance lies in it."""
    rng = np.random.default_rng(seed)
    parts: list[FloatSamples] = []
    places: list[Place] = []
    waiting: list[int] = []
    samples = 0
    while samples < length_s * SAMPLE_RATE_HZ:
        waiting = waiting or list(rng.permutation(len(clips)))
        row = int(waiting.pop())
        pause = np.zeros(round(rng.uniform(*pause_s) * SAMPLE_RATE_HZ), np.float32)
        parts += [pause, clips[row]]
        places.append((samples + len(pause), samples + len(pause) + len(clips[row]), row))
        samples = places[-1][1]
    recording = np.concatenate([*parts, np.zeros(SAMPLE_RATE_HZ // 2, np.float32)])
    if snr_db is not None:
        noise = coloured_noise(len(recording), exponent, rng)
        recording = np.asarray(recording + noise * (LEVEL / 10 ** (snr_db / 20)), np.float32)
    return recording, places


def measure(
    engine: wav2edge.Engine,
    rows: Sequence[Utterance],
    alone: Sequence[Result],
    recording: FloatSamples,
    places: Sequence[Place],
) -> dict[str, Any]:
    """How many utterances were found, and what was made of them."""
    started_s = time.perf_counter()
    segments = engine(recording, rate_hz=SAMPLE_RATE_HZ, segments=True).segments or ()
    seconds = time.perf_counter() - started_s
    hits = [[segment for segment in segments if _touches(segment, place)] for place in places]
    references = [str(rows[row].transcription) for *_, row in places]
    transcripts = [" ".join(str(segment.text) for segment in found) for found in hits]
    labels = [max(found, key=lambda each: each.duration_s).label if found else None for found in hits]
    owners = [sum(_touches(segment, place) for place in places) for segment in segments]
    return {
        "utterances": len(places),
        "missed": sum(not found for found in hits),
        "split": sum(len(found) > 1 for found in hits),
        "merged": sum(count > 1 for count in owners),
        "false": sum(count == 0 for count in owners),
        "wer": round(count_word_errors(references, transcripts).rate, 4),
        "wer_clip_by_clip": round(count_word_errors(references, [str(alone[row].text) for *_, row in places]).rate, 4),
        "accuracy": round(_share(labels, rows, places), 4),
        "accuracy_clip_by_clip": round(_share([alone[row].label for *_, row in places], rows, places), 4),
        "seconds": round(seconds, 3),
        "samples_s": round(len(recording) / SAMPLE_RATE_HZ, 1),
    }


def _touches(segment: Segment, place: Place) -> bool:
    return touch(segment, *(position / SAMPLE_RATE_HZ for position in place[:2]))


def touch(answer: Segment | Event, start_s: float, end_s: float) -> bool:
    """Whether an answer is about what lies between two times."""
    return min(answer.end_s, end_s) - max(answer.start_s, start_s) > TOUCHES_S


def _share(labels: Sequence[str | None], rows: Sequence[Utterance], places: Sequence[Place]) -> float:
    return float(np.mean([label == rows[row].label for label, (*_, row) in zip(labels, places, strict=True)]))


if __name__ == "__main__":
    main()
