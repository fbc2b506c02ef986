"""A whole call on one second, samples to result: Python, Node and C in turns, each in a process of its own.

    python -m benchmarks.records.bindings.clip_calls models/words models/clips/fu-dan-3.flac \
        --c build/c/libwav2edge.so --node build/js --result benchmarks/results/binding-calls.json

The library in C is given the ONNX Runtime of the Python package; Node has its own. The tests of ``tests/c`` and
``tests/js`` make both folders. A fifth of the calls more go before those that are timed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime

import wav2edge
from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.audio.clip import load_clip
from wav2edge.evaluation.benchmark.resident_memory import peak_memory_bytes

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
COMMAND = "python -m benchmarks.records.bindings.clip_calls models/words models/clips/fu-dan-3.flac"
COMMAND += " --c build/c/libwav2edge.so --node build/js --result benchmarks/results/binding-calls.json"
TARGETS = {"c": 0.9, "node": 1.1}
"""The most of Python's median time."""
KEYS = ("wall_ms", "cpu_ms", "peak_mb")
RATE_HZ = 16_000


def python_calls(bundle: str, samples_file: str, threads: int, calls: int) -> dict[str, Any]:
    """What the other programs print, of this process."""
    samples = np.fromfile(samples_file, np.float32)
    engine = wav2edge.load(bundle, threads=threads)
    for _ in range(calls // 5):
        engine(samples, rate_hz=RATE_HZ)
    cpu_s, wall_ms = time.process_time(), []
    for _ in range(calls):
        started_s = time.perf_counter()
        engine(samples, rate_hz=RATE_HZ)
        wall_ms.append(1e3 * (time.perf_counter() - started_s))
    used_ms = 1e3 * (time.process_time() - cpu_s) / calls
    return {"wall_ms": wall_ms, "cpu_ms": used_ms, "peak_mb": peak_memory_bytes() / 2**20}


def measured(command: Sequence[str | Path], environment: Mapping[str, str]) -> dict[str, float]:
    """Median wall-clock time, processor time and peak memory of one process."""
    ran = subprocess.run(
        list(map(str, command)), env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return {**found, "wall_ms": median(found["wall_ms"])}


def built(library: Path, folder: Path) -> Path:
    """The program in C, linked with the library."""
    program = folder / "clip_calls"
    words = ("cc", "-O2", HERE / "clip_calls.c", "-I", ROOT / "runtime/c", "-o", program, library.resolve())
    subprocess.run([*map(str, words), f"-Wl,-rpath,{library.resolve().parent}"], check=True)
    return program


def compare(options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """Medians over rounds, and the ratios to Python of each round."""
    rounds: dict[str, list[dict[str, float]]] = {"python": [], "node": [], "c": []}
    script = options.node / "clip_calls.mjs"
    shutil.copyfile(HERE / script.name, script)
    runtime = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so*"))
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "second.f32"
        load_clip(options.clip).samples[:RATE_HZ].tofile(samples)
        run = (options.bundle.resolve(), samples, str(threads), str(options.calls))
        commands: dict[str, tuple[str | Path, ...]] = {
            "python": (sys.executable, "-m", "benchmarks.records.bindings.clip_calls", "--child", *run),
            "node": ("node", script, *run),
            "c": (built(options.c, Path(folder)), *run),
        }
        for number in range(options.rounds):
            for name in list(commands)[:: 1 if number % 2 == 0 else -1]:
                rounds[name].append(measured(commands[name], {"WAV2EDGE_ORT": str(runtime)}))
    return {
        "median": {name: {key: median(each[key] for each in taken) for key in KEYS} for name, taken in rounds.items()},
        "over_python": {
            name: {
                key: median(a[key] / b[key] for a, b in zip(rounds[name], rounds["python"], strict=True))
                for key in KEYS
            }
            for name in ("node", "c")
        },
        "rounds": rounds,
    }


def main() -> None:
    """Measure and write the record; with ``--child`` as first word, be the process in Python."""
    if sys.argv[1:2] == ["--child"]:
        bundle, samples, threads, calls = sys.argv[2:]
        print(json.dumps(python_calls(bundle, samples, int(threads), int(calls))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("clip", type=Path, metavar="CLIP", help="of which the first second is taken")
    parser.add_argument("--c", type=Path, required=True, metavar="FILE", help="the library built by CMake")
    parser.add_argument("--node", type=Path, required=True, metavar="DIR", help="a folder with the packages of npm")
    parser.add_argument("--rounds", type=int, default=21, metavar="N", help="processes of each (default: 21)")
    parser.add_argument("--calls", type=int, default=300, metavar="N", help="calls of a process (default: 300)")
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2), metavar="N", help="of a call (default: 1 2)")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args()
    record = {
        "what": "a call on one second, samples to result; ratios to Python of processes that ran one after the other",
        "command": COMMAND,
        "targets": TARGETS,
        "load_before": os.getloadavg()[0],
        "threads": {str(threads): compare(options, threads) for threads in options.threads},
    }
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
