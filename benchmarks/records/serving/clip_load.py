"""Clips from many clients at once, one in fifty a bad file, next to ``Engine.map`` over the same files."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import wav2edge
from benchmarks.records.serving.served_process import Client, Outcome, ServedProcess, served, upload
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.serving.observing.service_metrics import length_class
from wav2edge_compare.measuring.statistics import ratio_of_medians

CLIPS, SHORTEST_S, LONGEST_S = 100, 0.5, 10.0
ONE_BAD_IN = 50
WARM_S = 15.0
"""Memory is compared from here on."""
LOOK_S = 0.2
"""Uploads and decoded clips come and go: memory is looked at so often."""
CPU = "process_cpu_seconds_total"
ROUNDS, TURN_S = 24, 2.5
"""``Engine.map`` and the server take turns, and while one works the other waits; other processes come and go."""
MAP = """
import os, sys, time, wav2edge
paths = sys.argv[2:]
engine = wav2edge.load(sys.argv[1])
list(engine.map(paths[:8]))
for line in sys.stdin:
    began, spent = time.perf_counter(), sum(os.times()[:2])
    def until():
        while True:
            for path in paths:
                if time.perf_counter() - began > float(line):
                    return
                yield path
    count = sum(1 for _ in engine.map(until()))
    print(count / (time.perf_counter() - began), (sum(os.times()[:2]) - spent) / count, flush=True)
"""


def joined_clips(sources: Sequence[Path], folder: Path, *, longest_s: float = LONGEST_S) -> list[Path]:
    """Files of speech whose lengths are spread evenly between the shortest and the longest.

    Args:
        sources: clips that are joined, in turns, and cut.
        folder: where they go.
        longest_s: length of the longest in seconds.
    """
    words = cycle([load_clip(path).samples for path in sources])
    rng = np.random.default_rng(16)
    paths = []
    for number, length_s in enumerate(rng.permutation(np.linspace(SHORTEST_S, longest_s, CLIPS))):
        wanted, pieces, samples = round(length_s * SAMPLE_RATE_HZ), [], 0
        while samples < wanted:
            pieces.append(next(words))
            samples += len(pieces[-1])
        path = folder / f"clip-{number:03d}.flac"
        soundfile.write(path, np.concatenate(pieces)[:wanted], SAMPLE_RATE_HZ)
        paths.append(path)
    return paths


def bad_files(good: bytes) -> dict[str, tuple[bytes, int]]:
    """Files that cannot be recognised, each with the status that it must get."""
    return {
        "a web page": (b"<!doctype html><title>404 Not Found</title>", 415),
        "an M4A container": (b"\0\0\0\x20ftypM4A " + bytes(2_000), 415),
        "nothing": (b"", 415),
        "a clip that is cut off": (good[: len(good) // 2], 422),
        "a WAV header": (b"RIFF\x24\0\0\0WAVEfmt ", 422),
    }


@contextmanager
def mapping(bundle: Path, paths: Sequence[Path]) -> Iterator[Callable[[float], tuple[float, float]]]:
    """``Engine.map`` in a process of its own: for so many seconds, clips per second and processor time for each."""
    command = [sys.executable, "-c", MAP, str(bundle), *map(str, paths)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def run(seconds: float) -> tuple[float, float]:
            print(seconds, file=stdin, flush=True)
            rate, cpu_s = map(float, stdout.readline().split())
            return rate, cpu_s

        try:
            yield run
        finally:
            stdin.close()


async def load(server: ServedProcess, requests: Sequence[bytes], clients: int, seconds: float) -> list[Client]:
    """Each client sends the next request as soon as it has its answer."""
    numbers, end_s = cycle(range(len(requests))), time.monotonic() + seconds
    found = [Client(port=server.port) for _ in range(clients)]

    async def send(client: Client) -> None:
        while time.monotonic() < end_s:
            number = next(numbers)
            await client.ask(number, requests[number])
        client.close()

    await asyncio.gather(*(send(client) for client in found))
    return found


async def watched(
    server: ServedProcess, requests: Sequence[bytes], clients: int, seconds: float
) -> tuple[list[Outcome], list[tuple[float, float]]]:
    """What became of all requests, and the server's memory in MB from time to time."""
    memory: list[tuple[float, float]] = []

    async def watch() -> None:
        began_s = time.monotonic()
        while True:
            memory.append((time.monotonic() - began_s, server.resident_mb))
            await asyncio.sleep(LOOK_S)

    watching = asyncio.ensure_future(watch())
    found = await load(server, requests, clients, seconds)
    watching.cancel()
    return [each for client in found for each in client.outcomes], memory


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Requests, whole, with the status and the text that each must get, and the length of its clip."""

    contents: list[bytes]
    expected: list[tuple[int, str | None]]
    lengths_s: list[float]

    @classmethod
    def of(cls, paths: Sequence[Path], texts: Sequence[str | None]) -> Requests:
        """Uploads of files in turns, one in fifty a bad one."""
        bad = list(bad_files(paths[0].read_bytes()).values())
        lengths_s = [soundfile.info(path).duration for path in paths]
        found = cls(contents=[], expected=[], lengths_s=[])
        for number in range(len(paths) * len(bad)):
            place = number % len(paths)
            content, expected = paths[place].read_bytes(), (200, texts[place])
            if number % ONE_BAD_IN == ONE_BAD_IN - 1:
                content, status = bad[number // ONE_BAD_IN % len(bad)]
                expected = (status, None)
            found.contents.append(upload(content, "words"))
            found.expected.append(expected)
            found.lengths_s.append(lengths_s[place])
        return found


def measure(
    bundle: Path, sources: Sequence[Path], folder: Path, *, clients: int, seconds: float, options: Sequence[str] = ()
) -> dict[str, Any]:
    """The record: a load in one piece, and then the server and ``Engine.map`` in turns."""
    paths = joined_clips(sources, folder)
    engine = wav2edge.load(bundle)
    requests = Requests.of(paths, [engine(path).text for path in paths])
    with served([f"words={bundle}", *options], log=folder / "server.log") as server:
        began_s = time.monotonic()
        outcomes, memory = asyncio.run(watched(server, requests.contents, clients, seconds))
        took_s = max(each.at_s for each in outcomes) - began_s
        turns = in_turns(server, bundle, paths, requests, clients, min(TURN_S, seconds))
        files = server.metric("process_open_fds")
        code = server.stop()
    return {
        "clients": clients,
        "seconds": round(took_s, 1),
        "server_options": list(options),
        "requests": len(outcomes),
        **counted(outcomes, requests.expected),
        "latency_s": latencies(outcomes, requests.lengths_s),
        "clips_per_s": round(sum(each.status == 200 for each in outcomes) / took_s, 2),
        "memory": memory_growth(memory),
        "next_to_map": turns,
        "open_files_after": round(files),
        "exit_code": code,
    }


def in_turns(
    server: ServedProcess, bundle: Path, paths: Sequence[Path], requests: Requests, clients: int, seconds: float
) -> dict[str, Any]:
    """Clips per second and processor time of the server and of ``Engine.map``, which take turns."""
    rates: dict[str, list[float]] = {"server": [], "map": []}
    cpu_ms: dict[str, list[float]] = {"server": [], "clients": [], "map": []}
    with mapping(bundle, paths) as run_map:
        for _ in range(ROUNDS):
            rate, cpu_s = run_map(seconds)
            rates["map"].append(rate)
            cpu_ms["map"].append(1e3 * cpu_s)
            began_s, cpu_s, own_cpu_s = time.monotonic(), server.metric(CPU), time.process_time()
            done = asyncio.run(load(server, requests.contents, clients, seconds))
            outcomes = [each for client in done for each in client.outcomes]
            took_s = max(each.at_s for each in outcomes) - began_s
            rates["server"].append(sum(each.status == 200 for each in outcomes) / took_s)
            cpu_ms["server"].append(1e3 * (server.metric(CPU) - cpu_s) / len(outcomes))
            cpu_ms["clients"].append(1e3 * (time.process_time() - own_cpu_s) / len(outcomes))
    over = ratio_of_medians(*([[rate] for rate in rates[name]] for name in ("server", "map")))
    return {
        "clips_per_s": {name: [round(each, 2) for each in found] for name, found in rates.items()},
        "cpu_ms_per_clip": {name: round(float(np.median(found)), 2) for name, found in cpu_ms.items()},
        "rate_over_map": {name: round(value, 3) for name, value in vars(over).items()},
    }


def counted(outcomes: Sequence[Outcome], expected: Sequence[tuple[int, str | None]]) -> dict[str, Any]:
    """How many requests got what; ``wrong`` are answers that are not the engine's, ``lost`` those without an answer."""
    wrong = 0
    for each in outcomes:
        status, text = expected[each.request]
        as_wanted = each.status == status and (text is None or json.loads(each.content)["text"] == text)
        wrong += not (as_wanted or each.status in (0, 503))
    return {
        "statuses": {str(status): count for status, count in sorted(Counter(each.status for each in outcomes).items())},
        "wrong": wrong,
        "lost": sum(each.status == 0 for each in outcomes),
    }


def latencies(outcomes: Sequence[Outcome], lengths_s: Sequence[float]) -> dict[str, Any]:
    """Median, 95th percentile and maximum of answered requests, all together and by the length of their clips."""
    answered = [each for each in outcomes if each.status == 200]
    classes: dict[str, list[float]] = {"all": [each.seconds for each in answered]}
    for each in answered:
        classes.setdefault(length_class(lengths_s[each.request]), []).append(each.seconds)
    return {
        name: {
            "median": round(float(np.median(found)), 4),
            "p95": round(float(np.percentile(found, 95)), 4),
            "max": round(max(found), 4),
        }
        for name, found in sorted(classes.items())
    }


def memory_growth(memory: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Medians of the first and the last quarter of the time after the warm-up, in MB, and their difference."""
    warm = [each for each in memory if each[0] >= WARM_S] or list(memory)
    quarter = max(1, len(warm) // 4)
    first, last = (float(np.median([mb for _, mb in part])) for part in (warm[:quarter], warm[-quarter:]))
    return {"first_mb": round(first, 1), "last_mb": round(last, 1), "growth": round(last / first - 1, 4)}
