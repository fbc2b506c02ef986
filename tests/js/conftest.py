"""Node with ONNX Runtime and the package wav2edge, installed as npm would install it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.npm_packages import npm_install

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SOURCE = ROOT / "runtime" / "js"
INSTALLED = ROOT / "build" / "js"
"""Half a gigabyte of packages, kept between runs."""
OLDEST_NODE = 20
LIMIT_S = 300

Script = Callable[..., Any]


@pytest.fixture(scope="session")
def js_folder() -> Path:
    """A folder in which scripts find the packages ``wav2edge``, ``onnxruntime-node`` and ``onnxruntime-web``."""
    version = _version()
    if version < OLDEST_NODE:
        found = f"Node {version} is too old" if version else "Node or npm is absent"
        pytest.skip(f"{found}; the package for JavaScript needs Node {OLDEST_NODE}")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with FileLock(INSTALLED / "lock"):
        if _differs(HERE / "package.json", INSTALLED / "installed.json"):
            shutil.copyfile(HERE / "package.json", INSTALLED / "package.json")
            npm_install(INSTALLED, "ONNX Runtime")
            shutil.copyfile(HERE / "package.json", INSTALLED / "installed.json")
        copies = INSTALLED / "node_modules" / "wav2edge"
        for source in [SOURCE / "package.json", *SOURCE.glob("src/**/*.js")]:
            _bring_up_to_date(source, copies / source.relative_to(SOURCE))
        for script in [*HERE.glob("*.mjs"), *SOURCE.glob("examples/*.mjs")]:
            _bring_up_to_date(script, INSTALLED / script.name)
    return INSTALLED


@pytest.fixture(scope="session")
def run_script(js_folder: Path) -> Script:
    """A function that runs a script of this folder on a JSON-ready question, and gives the JSON that it prints."""

    def run(script: str, question: Any = None) -> Any:
        command = ["node", str(js_folder / script)]
        # JSON has no infinity; what is too large for a number is read as one.
        text = json.dumps(question).replace("Infinity", "1e999")
        done = subprocess.run(
            command, input=text, capture_output=True, encoding="utf-8", timeout=LIMIT_S, cwd=js_folder, check=False
        )
        assert done.returncode == 0, done.stderr[-2_000:]
        return json.loads(done.stdout)

    return run


def _version() -> int:
    """The major version of Node; 0 where Node or npm is absent."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return 0
    printed = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"v(\d+)\.", printed)
    return int(match[1]) if match else 0


def _differs(source: Path, copy: Path) -> bool:
    return not copy.is_file() or copy.read_bytes() != source.read_bytes()


def _bring_up_to_date(source: Path, copy: Path) -> None:
    if _differs(source, copy):
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
