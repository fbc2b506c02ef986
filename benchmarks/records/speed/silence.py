"""What leaving out silence saves: clips between half seconds of silence, and as they are, with and without, in turns.

    python -m benchmarks.records.speed.silence BUNDLE DATA --result benchmarks/results/silence.json

DATA is the data set of ``benchmarks.records.accuracy.words``; its test clips are answered one by one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

import wav2edge
from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split
from wav2edge.evaluation.rates import count_word_errors
from wav2edge_export.bundle.certification import between_silence

COMMAND = "python -m benchmarks.records.speed.silence BUNDLE DATA --result benchmarks/results/silence.json"
ROUNDS = 6


def measure(
    engine: wav2edge.Engine, rows: Sequence[Utterance], clips: Sequence[npt.NDArray[np.float32]]
) -> dict[str, Any]:
    """Median time of a call, accuracy and WER, with silence left in and left out."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    found: dict[bool, list[wav2edge.Result]] = {False: [], True: []}
    for number in range(ROUNDS):
        for clip in clips:
            for left_out in (False, True) if number % 2 == 0 else (True, False):
                engine.trims_silence = left_out
                started_s = time.perf_counter()
                result = engine(clip, rate_hz=SAMPLE_RATE_HZ, segments=False)
                seconds[left_out].append(time.perf_counter() - started_s)
                if number == 0:
                    found[left_out].append(result)
    times_s = {name: median(each) for name, each in seconds.items()}
    return {
        "mean_s": float(np.mean([len(clip) for clip in clips])) / SAMPLE_RATE_HZ,
        "call_ms": {"left in": 1e3 * times_s[False], "left out": 1e3 * times_s[True]},
        "ratio": times_s[True] / times_s[False],
        "figures": {"left in": _figures(rows, found[False]), "left out": _figures(rows, found[True])},
    }


def _figures(rows: Sequence[Utterance], results: Sequence[wav2edge.Result]) -> dict[str, float]:
    errors = count_word_errors([row.transcription or "" for row in rows], [each.text or "" for each in results])
    right = [each.label == row.label for each, row in zip(results, rows, strict=True)]
    return {"accuracy": float(np.mean(right)), "wer": errors.edits / errors.words}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)
    engine = wav2edge.load(options.bundle)
    rows = select_split(read_dataset(options.data), "test")
    clips = [load_clip(row.path).samples for row in rows]
    record = {
        "what": "silence at the ends of test clips left in and left out, calls in turns",
        "command": COMMAND,
        "clips": len(clips),
        "as they are": measure(engine, rows, clips),
        "between half seconds of silence": measure(engine, rows, [between_silence(clip) for clip in clips]),
    }
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
