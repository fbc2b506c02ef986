"""Node with transformers.js, and the bundles of the export's tests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.export.conftest import *  # noqa: F403
from tests.npm_packages import npm_install

HERE = Path(__file__).parent
INSTALLED = Path(__file__).parents[2] / "build" / "interchange"
"""Half a gigabyte of packages, kept between runs."""
OLDEST_NODE = 20
LIMIT_S = 300

Script = Callable[..., list[dict[str, str]]]


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """A folder in which a script finds transformers.js."""
    version = _version()
    if version < OLDEST_NODE:
        found = f"Node {version} is too old" if version else "Node or npm is absent"
        pytest.skip(f"{found}; transformers.js needs Node {OLDEST_NODE}, which is no dependency of wav2edge, in CI too")
    _install(INSTALLED)
    return INSTALLED


@pytest.fixture(scope="session")
def run_script(node_folder: Path) -> Script:
    """A function that runs a script of the folder on arguments and input, and gives the JSON lines it prints."""

    def run(script: str, *arguments: object, text: str | None = None, folder: Path | None = None):
        command = ["node", str(node_folder / script), *(str(argument) for argument in arguments)]
        done = subprocess.run(
            command, cwd=folder, input=text, capture_output=True, encoding="utf-8", timeout=LIMIT_S, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def _version() -> int:
    """The major version of Node; 0 where Node or npm is absent."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return 0
    printed = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"v(\d+)\.", printed)
    return int(match[1]) if match else 0


def _install(folder: Path) -> None:
    """Install once, and bring the scripts up to date; processes of one test run take turns."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if _differs(HERE / "package.json", folder / "installed.json"):
            shutil.copyfile(HERE / "package.json", folder / "package.json")
            npm_install(folder, "transformers.js")
            shutil.copyfile(HERE / "package.json", folder / "installed.json")
        for script in HERE.glob("*.mjs"):
            if _differs(script, folder / script.name):
                shutil.copyfile(script, folder / script.name)


def _differs(source: Path, copy: Path) -> bool:
    return not copy.is_file() or copy.read_bytes() != source.read_bytes()
