"""2,000 clips by two workers, as threads of one process, as processes, and as actors of Ray; what is killed half-way.

    python -m benchmarks.records.archives --models models --output build/archives \
        --result benchmarks/results/archives.json

The clips are of half a second to 3.5, joined from those that come with the repository; one in a hundred is a bad file.
The systems take turns. A rate is that of the clips between the first line that a command prints and its last one, which
leaves out start-up. It needs Linux, where processor time is added up for every process that a command has started.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import soundfile

from benchmarks.records.archives import killed_workers
from benchmarks.records.archives.archive_commands import FIRST, OTHERS, SHARD, SYSTEMS, WORKERS, clear, command, lines
from benchmarks.records.archives.process_time import timed
from benchmarks.records.command_recorder import CommandRecorder
from benchmarks.records.serving.clip_load import bad_files, joined_clips

COMMAND = "python -m benchmarks.records.archives --models models --output build/archives"
COMMAND += " --result benchmarks/results/archives.json"
CLIPS, LONGEST_S, BAD_ONE_IN, ROUNDS = 2_000, 3.5, 100, 4
TINY_SHARDS, IN_LARGE = 400, 20
"""So many shards of one clip show what a shard costs by itself, next to fewer with so many clips."""
LINES = "lines.jsonl"


def corpus(models: Path, folder: Path, count: int) -> Path:
    """A folder of so many clips, as links to a hundred files and to bad ones."""
    sources = folder / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    good = joined_clips(sorted((models / "clips").glob("*.flac")), sources, longest_s=LONGEST_S)
    bad = []
    for number, (content, _) in enumerate(bad_files(good[0].read_bytes()).values()):
        bad.append(sources / f"bad-{number}.flac")
        bad[-1].write_bytes(content)
    clips = folder / "clips"
    clips.mkdir(exist_ok=True)
    for number in range(count):
        of = bad if number % BAD_ONE_IN == 0 else good
        link = clips / f"{number:05d}.flac"
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(of[number // (BAD_ONE_IN if of is bad else 1) % len(of)], clips))
    return clips


def kept(folder: Path, system: str) -> Path:
    """Where the latest results of a system stay."""
    return folder / system.replace(" ", "-")


def in_turns(bundle: Path, clips: Path, folder: Path) -> dict[str, Any]:
    """Every system over all clips, in turns: its rate, and whether its lines are those of one process."""
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in SYSTEMS}
    for number in range(ROUNDS):
        for name in SYSTEMS if number % 2 == 0 else reversed(SYSTEMS):
            output = clear(kept(folder, name))
            spent = timed(command(bundle, clips, output, SYSTEMS[name], SHARD))
            if name == FIRST:
                (folder / LINES).write_text(spent.printed, encoding="utf-8")
            samples[name].append(
                {
                    "first_line_s": round(spent.first_s, 2),
                    "clips_per_s": round(spent.clips / spent.work_s, 2),
                    "cpu_ms_per_clip": round(1e3 * spent.cpu_s / spent.clips, 3),
                    "others_load": round(max(0.0, os.getloadavg()[0] - WORKERS), 1),
                }
            )
            print(name, samples[name][-1], file=sys.stderr, flush=True)
    expected = lines(folder / LINES)
    same = {name: {"same_lines": lines(kept(folder, name)) == expected} for name in OTHERS}
    return {
        "systems": {
            name: {key: round(median(each[key] for each in rounds), 3) for key in rounds[0]} | same.get(name, {})
            for name, rounds in samples.items()
        },
        "time_over_threads": {name: ratios(samples[name], samples[FIRST]) for name in OTHERS},
        "samples": samples,
        "lines": len(expected),
        "failed": sum('"error"' in line for line in expected),
    }


def ratios(rounds: Sequence[Mapping[str, float]], others: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Time for a clip over that of another system in the same round: median, least and most; and processor time."""
    pairs = list(zip(rounds, others, strict=True))
    time = [other["clips_per_s"] / each["clips_per_s"] for each, other in pairs]
    cpu = [each["cpu_ms_per_clip"] / other["cpu_ms_per_clip"] for each, other in pairs]
    found = {"median": median(time), "low": min(time), "high": max(time), "cpu_time": median(cpu)}
    return {name: round(value, 3) for name, value in found.items()}


def sizes(clips: Path, archive: Path, jsonl: Path) -> dict[str, Any]:
    """Bytes that go in and out for each second of speech."""
    speech_s, given = 0.0, 0
    for each in sorted(clips.iterdir()):
        try:
            speech_s += soundfile.info(each).duration
        except soundfile.LibsndfileError:
            continue
        given += each.stat().st_size
    parquet = sum(each.stat().st_size for each in archive.glob("*.parquet"))
    return {
        "speech_s": round(speech_s, 1),
        "flac_bytes_per_s": round(given / speech_s),
        "parquet_bytes_per_s": round(parquet / speech_s, 1),
        "json_lines_bytes_per_s": round(jsonl.stat().st_size / speech_s, 1),
    }


def cost_of_a_shard(bundle: Path, clips: Path, folder: Path) -> dict[str, Any]:
    """Processor time that a shard takes by itself: shards of one clip next to shards of twenty."""
    good = [each for each in sorted(clips.iterdir()) if "bad" not in each.readlink().name][:TINY_SHARDS]
    found = {}
    for name in OTHERS:
        large, tiny = (
            timed(command(bundle, good, clear(folder / "results"), SYSTEMS[name], shard)) for shard in (IN_LARGE, 1)
        )
        more_s = tiny.cpu_s / tiny.clips - large.cpu_s / large.clips
        found[name] = {
            "cpu_ms": round(1e3 * more_s / (1 - 1 / IN_LARGE), 2),
            "shards_per_s": round(tiny.clips / tiny.work_s, 1),
        }
    return {"shards": len(good), **found}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="the repository's folder models/")
    parser.add_argument("--clips", type=int, default=CLIPS, metavar="N", help=f"so many clips (default: {CLIPS})")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where clips and results go")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)
    bundle, folder = options.models / "words", options.output
    clips = corpus(options.models, folder, options.clips)
    record: dict[str, Any] = {
        "what": "an archive by two workers, in three ways; and what is killed half-way",
        "command": COMMAND,
    }
    record |= in_turns(bundle, clips, folder)
    record["sizes"] = sizes(clips, kept(folder, OTHERS[0]), folder / LINES)
    record["cost_of_a_shard"] = cost_of_a_shard(bundle, clips, folder)
    record["killed"] = killed_workers.measure(bundle, clips, folder, lines(folder / LINES))
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
