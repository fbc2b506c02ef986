"""The page for browsers as it may be published, minified: how many bytes of our JavaScript it loads, and when.

    python -m benchmarks.records.bindings.page_javascript models --modules build/js/node_modules \
        --tools build/page/node_modules --result benchmarks/results/page-javascript.json

MODELS holds the shipped bundles and clips. The modules are onnxruntime-web, the tools playwright-core and esbuild, both
in a folder of npm's: the tests of ``tests/js`` make such folders. Chromium asks the minified page for a first answer to
a file, so that those bytes are of what it really loads.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.records.command_recorder import CommandRecorder

COMMAND = "python -m benchmarks.records.bindings.page_javascript models --modules build/js/node_modules"
COMMAND += " --tools build/page/node_modules --result benchmarks/results/page-javascript.json"

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "runtime" / "js"
DRIVER = ROOT / "tests" / "js" / "page_driver.mjs"
CLIP = "clips/fu-dan-3.flac"
ENTRIES = ("page.js", "engine-worker.js", "capture.js", "service-worker.js", "theme.js")
"""Of the page: what a document, a worker, an audio thread or a browser starts with."""
OTHERS = ("index.html", "style.css", "icon.svg", "serve.mjs")
"""Files of the page that are published as they are, and its server."""
MINIFY = (
    *("--bundle", "--splitting", "--minify", "--format=esm", "--external:onnxruntime-web*"),
    *("--mangle-props=^_", "--chunk-names=[hash]", "--charset=utf8"),
)
"""Options of esbuild; properties that begin with an underscore are private, and get shorter names."""
FIRST_ANSWER = ["page.js", "engine-worker.js", "service-worker.js", "theme.js"]
MICROPHONE = [
    "recording.js",
    "capture.js",
    "worker_stream.js",
    "served_streams.js",
    "open.js",
    "cached.js",
    "stream_graphs.js",
    "stream_entry.js",
]
FIRST_STAGE = "until the first answer to a file"
STAGES = {
    FIRST_STAGE: FIRST_ANSWER,
    "to one in stereo, or at another rate": [*FIRST_ANSWER, "samples.js", "resampler.js"],
    "with a cached stream of the microphone": [*FIRST_ANSWER, *MICROPHONE],
}
"""The modules that a visit begins with and loads on its way; what these import is loaded with them."""


def use_page(
    options: argparse.Namespace,
    scenarios: Sequence[Mapping[str, Any]],
    microphone: Path | None = None,
    page: Path = PACKAGE / "page",
) -> dict[str, Any]:
    """What Chromium saw in each scenario of the driver, by its name."""
    question = {
        "page": str(page),
        "modules": str(options.modules.resolve()),
        "tools": str(options.tools.resolve()),
        "chromium": options.chromium,
        "bundles": {name: str((options.models / name).resolve()) for name in ("words", "words-stream")},
        "microphone": None if microphone is None else str(microphone),
        "scenarios": list(scenarios),
    }
    command = ["node", str(DRIVER), json.dumps(question)]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    for name, each in found.items():
        if "failed" in each:
            raise RuntimeError(f"{name}: {each['failed']}")
    return found


def minified_page(tools: Path, folder: Path) -> dict[str, Any]:
    """Writes the page as it may be published into ``folder``: bundled and minified by esbuild.

    Returns:
        what esbuild tells of each file that it wrote, by its name.
    """
    meta = folder.with_name("meta.json")
    entries = [str(PACKAGE / "page" / name) for name in ENTRIES]
    command = [str(tools.resolve() / ".bin" / "esbuild"), *entries, *MINIFY, "--log-level=error"]
    subprocess.run([*command, f"--outdir={folder}", f"--metafile={meta}"], check=True, cwd=PACKAGE)
    for name in OTHERS:
        shutil.copyfile(PACKAGE / "page" / name, folder / name)
    outputs = json.loads(meta.read_text(encoding="utf-8"))["outputs"]
    return {Path(path).name: output for path, output in outputs.items()}


def javascript(folder: Path, outputs: Mapping[str, Any], until_answer: Iterable[str]) -> dict[str, Any]:
    """Bytes of our JavaScript: as it lies there, and minified in ``folder``.

    Args:
        folder: what ``minified_page`` wrote.
        outputs: what it told.
        until_answer: paths that a browser loaded from that page until its first answer.

    Raises:
        RuntimeError: those are other files than ``FIRST_ANSWER`` and what it imports.
    """
    stages = {name: bundled(outputs, modules) for name, modules in STAGES.items()}
    seen = {Path(path).name for path in until_answer if path.startswith("/page/") and path.endswith(".js")}
    if seen != stages[FIRST_STAGE]:
        raise RuntimeError(
            f"loaded until the first answer, or not, unlike STAGES: {sorted(seen ^ stages[FIRST_STAGE])}"
        )
    page, worker = bundled(outputs, ["page.js"]), bundled(outputs, ["engine-worker.js"])
    threads = {"the page": page, "its worker": worker, "both": page & worker}
    return {
        "tool": f"esbuild {' '.join(MINIFY)}",
        **{name: code_size(folder, chunks, outputs) for name, chunks in stages.items()},
        "in all": code_size(folder, set(outputs), outputs),
        "minified_bytes_of_threads": {
            name: code_size(folder, chunks, outputs)["minified_bytes"] for name, chunks in threads.items()
        },
        "minified_bytes_of_modules_until_the_first_answer": sizes_of(outputs, stages[FIRST_STAGE]),
    }


def sizes_of(outputs: Mapping[str, Any], chunks: Iterable[str]) -> dict[str, int]:
    """Minified bytes of each module in some files."""
    found: dict[str, int] = {}
    for chunk in chunks:
        found.update({name: each["bytesInOutput"] for name, each in outputs[chunk]["inputs"].items()})
    return dict(sorted(found.items()))


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


def code_size(folder: Path, chunks: Iterable[str], outputs: Mapping[str, Any]) -> dict[str, int]:
    """Modules in some files of a bundle, and the bytes of both."""
    made = [(folder / chunk).read_bytes() for chunk in chunks]
    modules = {module for chunk in chunks for module in outputs[chunk]["inputs"]}
    return {
        "modules": len(modules),
        "source_bytes": sum((PACKAGE / module).stat().st_size for module in modules),
        "files": len(made),
        "minified_bytes": sum(map(len, made)),
        "minified_gzip_bytes": sum(len(gzip.compress(each, 9)) for each in made),
    }


def measure(options: argparse.Namespace, page: Path) -> dict[str, Any]:
    """The whole record; the minified page is written into ``page``."""
    outputs = minified_page(options.tools, page)
    clip = {"clip": str((options.models / CLIP).resolve()), "bundle": "words"}
    seen = use_page(options, [{"name": "first", **clip}], page=page)
    found = seen["first"]
    return {
        "what": "our JavaScript, minified, that the page loads until its first answer and later",
        "command": COMMAND,
        "browser": seen["version"],
        "answers": found["answers"],
        **javascript(page, outputs, (each["path"] for each in found["untilAnswer"])),
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """What both records of the page are told."""
    parser.add_argument("models", type=Path, metavar="MODELS")
    parser.add_argument("--modules", type=Path, required=True, metavar="DIR", help="node_modules with onnxruntime-web")
    parser.add_argument("--tools", type=Path, required=True, metavar="DIR", help="with playwright-core and esbuild")
    parser.add_argument("--chromium", default="/usr/bin/chromium", metavar="FILE", help="default: %(default)s")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        record = measure(options, Path(folder) / "page")
    CommandRecorder().write(options.result, record)


if __name__ == "__main__":
    main()
