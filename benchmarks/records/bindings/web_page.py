"""The page for browsers: what it downloads, how soon it answers, and its main thread.

    python -m benchmarks.records.bindings.web_page models --modules build/js/node_modules \
        --tools build/page/node_modules --result benchmarks/results/web-page.json

MODELS holds the shipped bundles ``words`` and ``words-stream``, ``clips`` and ``stream.flac``. The modules are
onnxruntime-web, the tools playwright-core, both in a folder of npm's: the tests of ``tests/js`` make such folders. It
needs Node and Chromium; the page comes from the loopback address. Where other programs keep the processor busy,
``chrt -r 1`` before the command keeps them out of it.
"""

from __future__ import annotations

import argparse
import gzip
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import soundfile

from benchmarks.records.bindings.page_javascript import CLIP, PACKAGE, add_options, use_page
from benchmarks.records.command_recorder import CommandRecorder

COMMAND = "python -m benchmarks.records.bindings.web_page models --modules build/js/node_modules"
COMMAND += " --tools build/page/node_modules --result benchmarks/results/web-page.json"
PARTS = {
    "/node_modules/": {".wasm": "ONNX Runtime, WebAssembly", ".mjs": "ONNX Runtime, JavaScript"},
    "/bundles/": {".onnx": "model", ".json": "manifest and golden file"},
    "/page/": {".js": "our JavaScript", "": "page, style, icon"},
    "/src/": {".js": "our JavaScript"},
}
"""What a download belongs to, by the beginning and the end of its path."""
SCHEDULING = {os.SCHED_OTHER: "shared", os.SCHED_FIFO: "real-time", os.SCHED_RR: "real-time"}
"""Whether other programs that run at the time can delay the measurement: not in real-time scheduling (``chrt``)."""

Downloads = Sequence[Mapping[str, Any]]


def part_of(path: str) -> str:
    """What a download belongs to."""
    for beginning, kinds in PARTS.items():
        for ending, part in kinds.items():
            if path.startswith(beginning) and path.endswith(ending):
                return part
    return "page, style, icon"


def summed(downloads: Downloads, sizes: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Bytes of each part, by ``sizes`` of paths where given, and of all; requests, and those that had content."""
    parts: Counter[str] = Counter()
    for each in downloads:
        if each["bytes"]:
            parts[part_of(each["path"])] += each["bytes"] if sizes is None else sizes[each["path"]]
    whole = {"bytes": dict(parts.most_common()), "total_bytes": sum(parts.values())}
    if sizes is not None:
        return whole
    return {**whole, "requests": len(downloads), "with_content": sum(each["status"] == 200 for each in downloads)}


def gzipped(downloads: Downloads, roots: Mapping[str, Path]) -> dict[str, int]:
    """Size of each downloaded file as a server with gzip would send it."""
    sizes = {}
    for path in {each["path"] for each in downloads if each["bytes"]}:
        beginning = next(each for each in roots if path.startswith(each))
        inside = path.removeprefix(beginning) or "index.html"
        sizes[path] = len(gzip.compress((roots[beginning] / inside).read_bytes(), 9))
    return sizes


def visits(rounds: Sequence[Mapping[str, Any]], which: str) -> dict[str, Any]:
    """When the model was ready and the first answer was shown, from the beginning of the visit."""
    samples = {name: [round(each[which][f"{name}_ms"]) for each in rounds] for name in ("ready", "first_answer")}
    return {f"{name}_ms": {"median": median(values), "samples": values} for name, values in samples.items()}


def renamed(found: Mapping[str, Any]) -> dict[str, Any]:
    """A visit of the driver with the names of a record."""
    return {
        which: {
            "ready_ms": found[which]["readyMs"],
            "first_answer_ms": found[which]["firstAnswerMs"],
            "downloads": found[which]["downloads"],
        }
        for which in ("cold", "warm")
    }


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The whole record."""
    models: Path = options.models
    clip = {"clip": str((models / CLIP).resolve()), "bundle": "words"}
    speech = folder / "speech.wav"
    soundfile.write(speech, *soundfile.read(models / "stream.flac", dtype="int16"))
    runs = [use_page(options, [{"name": "clip", **clip}], speech) for _ in range(options.rounds)]
    rounds = [renamed(run["clip"]) for run in runs]
    scenarios = [
        {"name": "tasks", **clip, "recording": str(long_recording(folder))},
        {"name": "microphone", "bundle": "words-stream", "seconds": soundfile.info(speech).duration},
    ]
    used = use_page(options, scenarios, speech)
    first, last = runs[0]["clip"], runs[-1]["clip"]
    cold, warm = rounds[0]["cold"]["downloads"], rounds[0]["warm"]["downloads"]
    roots = {
        "/node_modules/": options.modules,
        "/page/": PACKAGE / "page",
        "/src/": PACKAGE / "src",
        **{f"/bundles/{name}/": models / name for name in ("words", "words-stream")},
    }
    return {
        "what": "visits to the page in Chromium from the loopback address: the first ones, and second ones",
        "command": COMMAND,
        "browser": runs[0]["version"],
        "load_average": os.getloadavg(),
        "scheduling": SCHEDULING.get(os.sched_getscheduler(0), "other"),
        "cold": visits(rounds, "cold"),
        "warm": visits(rounds, "warm"),
        "downloads": {
            "cold": summed(cold),
            "warm": summed(warm),
            "cold, with gzip": summed(cold, gzipped(cold, roots)),
        },
        "clip": {"answers": first["answers"], "scores": first["scores"], "self_test": first["selfTest"].split("\n")},
        "figures": last["figures"],
        "longest_main_thread_task_cpu_ms": used["tasks"]["longestMs"],
        "observed_long_tasks_ms": [run["clip"]["seen"]["longTasksMs"] for run in runs],
        "microphone": {name: used["microphone"][name] for name in ("answers", "figures")},
    }


def long_recording(folder: Path) -> Path:
    """Two minutes in stereo, at a rate that has to be changed."""
    path = folder / "recording.wav"
    with soundfile.SoundFile(path, "w", 44_100, 2) as file:
        for _ in range(121):
            file.write([[0.01, -0.01]] * 44_100)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="visits of each kind (default: %(default)s)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        record = measure(options, Path(folder))
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
