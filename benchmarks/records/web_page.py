"""The page for browsers: what it downloads, how soon it answers, the size of its JavaScript, and its main thread.

    python -m benchmarks.records.web_page models --modules build/js/node_modules --tools build/page/node_modules \
        --result benchmarks/results/web-page.json

MODELS holds the shipped bundles ``words`` and ``words-stream``, ``clips`` and ``stream.flac``. The modules are
onnxruntime-web, the tools playwright-core and esbuild, both in a folder of npm's: the tests of ``tests/js`` make such
folders. It needs Node and Chromium; the page comes from the loopback address. Where other programs keep the processor
busy, ``chrt -r 1`` before the command keeps them out of it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import soundfile

from benchmarks.records.command_recorder import CommandRecorder

COMMAND = "python -m benchmarks.records.web_page models --modules build/js/node_modules --tools build/page/node_modules"
COMMAND += " --result benchmarks/results/web-page.json"
ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "runtime" / "js"
DRIVER = ROOT / "tests" / "js" / "page_driver.mjs"
CLIP = "fu-dan-3"
ENTRIES = ("page.js", "engine-worker.js", "capture.js", "service-worker.js", "theme.js")
"""Of the page: what a document, a worker, an audio thread or a browser starts with."""
FIRST_ANSWER = ["page.js", "engine-worker.js", "service-worker.js", "theme.js"]
MICROPHONE = [
    "recording.js",
    "capture.js",
    "worker_stream.js",
    "open.js",
    "cached.js",
    "stream_graphs.js",
    "stream_entry.js",
]
STAGES = {
    "until the first answer to a file": FIRST_ANSWER,
    "with a cached stream of the microphone": [*FIRST_ANSWER, *MICROPHONE],
}
"""The modules that a visit begins with and loads on its way; what these import is loaded with them."""
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


def use_page(options: argparse.Namespace, scenarios: Sequence[Mapping[str, Any]], microphone: Path) -> dict[str, Any]:
    """What Chromium saw in each scenario of the driver, by its name."""
    question = {
        "page": str(PACKAGE / "page"),
        "modules": str(options.modules.resolve()),
        "tools": str(options.tools.resolve()),
        "chromium": options.chromium,
        "bundles": {name: str((options.models / name).resolve()) for name in ("words", "words-stream")},
        "microphone": str(microphone),
        "scenarios": list(scenarios),
    }
    command = ["node", str(DRIVER), json.dumps(question)]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    for name, each in found.items():
        if "failed" in each:
            raise RuntimeError(f"{name}: {each['failed']}")
    return found


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


def javascript(tools: Path, until_answer: Iterable[str]) -> dict[str, Any]:
    """Bytes of our JavaScript: as it lies there, and bundled and minified by esbuild, for a page that is published.

    Raises:
        RuntimeError: a browser loaded other modules until its first answer than ``FIRST_ANSWER`` and what it imports.
    """
    entries = [str(PACKAGE / "page" / name) for name in ENTRIES]
    switches = ["--bundle", "--splitting", "--minify", "--format=esm", "--external:onnxruntime-web*"]
    with tempfile.TemporaryDirectory() as folder:
        meta = Path(folder) / "meta.json"
        command = [str(tools.resolve() / ".bin" / "esbuild"), *entries, *switches, "--log-level=error"]
        subprocess.run([*command, f"--outdir={folder}", f"--metafile={meta}"], check=True, cwd=PACKAGE)
        made = {path.name: path.read_bytes() for path in Path(folder).rglob("*.js")}
        outputs = {
            Path(path).name: output for path, output in json.loads(meta.read_text(encoding="utf-8"))["outputs"].items()
        }
    stages = {name: bundled(outputs, modules) for name, modules in STAGES.items()}
    first = {module for chunk in stages["until the first answer to a file"] for module in outputs[chunk]["inputs"]}
    seen = {path[1:] for path in until_answer if path.endswith(".js") and path.startswith(("/page/", "/src/"))}
    if seen != first:
        raise RuntimeError(f"loaded until the first answer, or not, unlike STAGES: {sorted(seen ^ first)}")
    sizes: Counter[str] = Counter()
    for output in outputs.values():
        sizes.update({name: each["bytesInOutput"] for name, each in output["inputs"].items()})
    return {
        "tool": f"esbuild {' '.join(switches)}",
        **{name: code_size(sorted(chunks), outputs, made) for name, chunks in stages.items()},
        "in all": code_size(sorted(outputs), outputs, made),
        "minified_bytes_of_modules_until_the_first_answer": {name: sizes[name] for name in sorted(first)},
    }


def bundled(outputs: Mapping[str, Any], modules: Iterable[str]) -> set[str]:
    """The files of a bundle that are loaded with these modules."""
    entries = {Path(output["entryPoint"]).name: name for name, output in outputs.items() if "entryPoint" in output}
    found: set[str] = set()
    waiting = [entries[name] for name in modules]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            imports = [each for each in outputs[name]["imports"] if each["kind"] == "import-statement"]
            waiting += [Path(each["path"]).name for each in imports]
    return found


def code_size(chunks: Sequence[str], outputs: Mapping[str, Any], made: Mapping[str, bytes]) -> dict[str, int]:
    """Modules in some files of a bundle, and the bytes of both."""
    modules = {module for chunk in chunks for module in outputs[chunk]["inputs"]}
    return {
        "modules": len(modules),
        "source_bytes": sum((PACKAGE / module).stat().st_size for module in modules),
        "files": len(chunks),
        "minified_bytes": sum(len(made[chunk]) for chunk in chunks),
        "minified_gzip_bytes": sum(len(gzip.compress(made[chunk], 9)) for chunk in chunks),
    }


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
    clip = {"clip": str((models / "clips" / f"{CLIP}.flac").resolve()), "bundle": "words"}
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
        "javascript": javascript(options.tools, first["untilAnswer"]),
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
    parser.add_argument("models", type=Path, metavar="MODELS")
    parser.add_argument("--modules", type=Path, required=True, metavar="DIR", help="node_modules with onnxruntime-web")
    parser.add_argument("--tools", type=Path, required=True, metavar="DIR", help="with playwright-core and esbuild")
    parser.add_argument("--chromium", default="/usr/bin/chromium", metavar="FILE", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="visits of each kind (default: %(default)s)")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        record = measure(options, Path(folder))
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
