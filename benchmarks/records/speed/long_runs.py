"""Long recordings and many clips: memory and time of an hour, its alignment, two workers, and a run that is killed.

    python -m benchmarks.records.speed.long_runs BUNDLE DATA --output build/long-runs \
        --result benchmarks/results/long-runs.json

DATA is the data set of ``benchmarks.records.accuracy.words``. Its test clips are joined to a minute and to an
hour, and linked to 10,000 files. Each measurement of memory is a process of its own; it needs Linux.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import soundfile

import wav2edge
from benchmarks.records.accuracy.joined_recordings import join
from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split

COMMAND = "python -m benchmarks.records.speed.long_runs BUNDLE DATA --output build/long-runs"
COMMAND += " --result benchmarks/results/long-runs.json"
LENGTHS_S = {"minute": 60.0, "hour": 3600.0}
FILES, KILLS, WORKED_ON, ROUNDS = 10_000, 10, 1_500, 3
PEAK = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
"""Prints the peak memory of a process in KiB. That of ``getrusage`` begins with what its parent had."""
SEGMENTS = "import sys, wav2edge; e = wav2edge.load(sys.argv[1]); print(sum(1 for _ in e.segments(sys.argv[2])))"
ALIGNED = """
import sys, wav2edge
engine, text = wav2edge.load(sys.argv[1]), open(sys.argv[3], encoding="utf-8").read()
print(len(engine.align(sys.argv[2], text).words))
"""


def measured(code: str, *words: str | Path) -> dict[str, Any]:
    """Time and peak memory of Python code in a process of its own, and the count that it prints."""
    command = [sys.executable, "-c", f"{code}\n{PEAK}", *map(str, words)]
    started_s = time.perf_counter()
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    seconds = round(time.perf_counter() - started_s, 2)
    return {"seconds": seconds, "peak_mb": round(int(printed[-1]) / 1024, 1), "printed": int(printed[-2])}


def recordings(bundle: Path, rows: Sequence[Utterance], folder: Path) -> dict[str, Any]:
    """A minute and an hour, recognised in segments, and the hour aligned with its transcript."""
    clips = [load_clip(row.path).samples for row in rows]
    found = {}
    for name, length_s in LENGTHS_S.items():
        joined, places = join(clips, length_s, snr_db=None, exponent=0.0)
        audio, text = folder / f"{name}.flac", folder / f"{name}.txt"
        soundfile.write(audio, joined, SAMPLE_RATE_HZ)
        text.write_text(" ".join(str(rows[row].transcription) for *_, row in places), encoding="utf-8")
        found[f"{name}, recognised"] = measured(SEGMENTS, bundle, audio)
        found[f"{name}, aligned"] = measured(ALIGNED, bundle, audio, text)
    return found


def links(rows: Sequence[Utterance], folder: Path) -> list[Path]:
    """So many files, in order."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:05d}.flac" for number in range(FILES)]
    for number, path in enumerate(paths):
        if not path.is_symlink():
            path.symlink_to(rows[number % len(rows)].path.resolve())
    return paths


def workers(bundle: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """Clips a second of one worker and of two, each with one thread, in turns."""
    engine = wav2edge.load(bundle, threads=1)
    found: dict[int, list[float]] = {1: [], 2: []}
    for number in range(ROUNDS):
        for count in (1, 2) if number % 2 == 0 else (2, 1):
            started_s = time.perf_counter()
            answered = sum(1 for _ in engine.map(map(str, paths), workers=count))
            found[count].append(answered / (time.perf_counter() - started_s))
    ratios = [two / one for one, two in zip(found[1], found[2], strict=True)]
    return {"one": median(found[1]), "two": median(found[2]), "ratio": median(ratios), "clips": len(paths)}


def killed(bundle: Path, clips: Path, folder: Path) -> dict[str, Any]:
    """A run over many files that is killed at random moments and resumed, against one that is not."""
    run = [sys.executable, "-m", "wav2edge", "run", str(bundle), str(clips), "--format", "jsonl", "--workers", "2"]
    whole, cut = folder / "whole.jsonl", folder / "cut.jsonl"
    for path in (whole, cut):
        for each in folder.glob(f"{path.name}*"):
            each.unlink()
    started_s = time.perf_counter()
    subprocess.run([*run, "--output", str(whole)], check=True)
    total_s = time.perf_counter() - started_s
    rng = random.Random(1)
    for _ in range(KILLS):
        process = subprocess.Popen([*run, "--output", str(cut), "--resume"])
        try:
            process.wait(rng.uniform(0.5, total_s / (KILLS - 3)))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    subprocess.run([*run, "--output", str(cut), "--resume"], check=True)
    same = cut.read_bytes() == whole.read_bytes()
    return {"files": FILES, "kills": KILLS, "same_bytes": same, "clips_per_s": FILES / total_s}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where recordings and links go")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    rows = select_split(read_dataset(options.data), "test")
    paths = links(rows, options.output / "files")
    record = {
        "what": "an hour and its alignment, two workers, and a run over many clips that is killed and resumed",
        "command": COMMAND,
        "recordings": recordings(options.bundle, rows, options.output),
        "workers": workers(options.bundle, paths[:WORKED_ON]),
        "killed": killed(options.bundle, options.output / "files", options.output),
    }
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
