"""An hour of one stream, its memory every minute; and eight streams on one engine, each in a thread of its own.

    python -m benchmarks.records.streams.long_streams BUNDLE CLIPS --result benchmarks/results/streams-long.json

CLIPS is a data set such as ``models/clips``, whose clips are joined with pauses in random order, again and again, and
fed in blocks of 20 ms as fast as they are taken.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import wav2edge
from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.benchmark.resident_memory import resident_sizes
from wav2edge.evaluation.dataset import read_dataset

COMMAND = "python -m benchmarks.records.streams.long_streams BUNDLE CLIPS --result RESULT"
HOUR_S, MINUTE_S, TOGETHER_S, BLOCK = 3600.0, 60.0, 120.0, 320
STREAMS, PAUSE_S = 8, (0.8, 2.0)

Sound = npt.NDArray[np.float32]


def blocks(clips: Sequence[Sound], seconds: float, seed: int) -> Iterator[Sound]:
    """Blocks of 20 ms of clips with pauses between them, for so many seconds."""
    rng, waiting, given = np.random.default_rng(seed), np.zeros(0, np.float32), 0
    while given < seconds * SAMPLE_RATE_HZ:
        pause = 1e-4 * rng.standard_normal(round(rng.uniform(*PAUSE_S) * SAMPLE_RATE_HZ))
        waiting = np.concatenate([waiting, pause.astype(np.float32), clips[int(rng.integers(len(clips)))]])
        while len(waiting) >= BLOCK:
            yield waiting[:BLOCK]
            waiting, given = waiting[BLOCK:], given + BLOCK


def hour(engine: wav2edge.Engine, clips: Sequence[Sound]) -> dict[str, Any]:
    """Memory after each minute of one stream, in MB, and how it grows from the first minute to the last.

    A minute of sound is made once and heard again and again: what makes sound would take memory, too.
    """
    finals = 0
    resident: list[int] = []
    minute = list(blocks(clips, MINUTE_S, seed=0))
    with engine.stream() as stream:
        for block in chain.from_iterable(repeat(minute, round(HOUR_S / MINUTE_S))):
            finals += sum(isinstance(event, wav2edge.Final) for event in stream.feed(block))
            if stream.clock_s >= MINUTE_S * (len(resident) + 1):
                resident.append(resident_sizes()["VmRSS"])
        return {
            "seconds": round(stream.clock_s, 1),
            "finals": finals,
            "real_time_factor": round(stream.compute_s / stream.clock_s, 4),
            "resident_mb": [round(each / 1e6, 2) for each in resident],
            "growth_after_a_minute": round(max(resident[1:]) / resident[0] - 1, 5),
        }


def said(engine: wav2edge.Engine, clips: Sequence[Sound], seed: int) -> tuple[list[Any], float]:
    """The finals of one stream, without their latency, and the seconds of its sound."""
    with engine.stream() as stream:
        events = [event for block in blocks(clips, TOGETHER_S, seed) for event in stream.feed(block)]
        events += stream.finish()
        finals = [event.to_dict() for event in events if isinstance(event, wav2edge.Final)]
        return [{name: value for name, value in each.items() if name != "latency_s"} for each in finals], stream.clock_s


def together(engine: wav2edge.Engine, clips: Sequence[Sound]) -> dict[str, Any]:
    """Streams one at a time, and all at once: whether they say the same, and the real-time factor of all at once."""
    alone = [said(engine, clips, seed)[0] for seed in range(STREAMS)]
    begun_s = time.perf_counter()
    with ThreadPoolExecutor(STREAMS) as pool:
        found = list(pool.map(lambda seed: said(engine, clips, seed), range(STREAMS)))
    took_s = time.perf_counter() - begun_s
    return {
        "streams": STREAMS,
        "finals": sum(map(len, alone)),
        "equal": [finals for finals, _ in found] == alone,
        "seconds_of_each": TOGETHER_S,
        "wall_s": round(took_s, 2),
        "wall_over_sound": round(took_s / found[0][1], 4),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("clips", type=Path, metavar="CLIPS")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    clips = [load_clip(row.path).samples for row in read_dataset(options.clips)]
    engine = wav2edge.load(options.bundle, threads=1)
    record = {
        "what": "one stream for an hour, and eight at once on one engine, one thread each; fed as fast as they take it",
        "command": COMMAND,
        "kind": "windowed" if engine.stream_graphs is None else "cached",
        "hour": hour(engine, clips),
        "together": together(engine, clips),
    }
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
