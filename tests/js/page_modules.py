"""The browser that the page is used in: Chromium, driven by playwright-core."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.js.conftest import LIMIT_S, ROOT
from tests.npm_packages import npm_install

PACKAGE = Path(__file__).with_name("page_package.json")
INSTALLED = ROOT / "build" / "page"
DRIVER = Path(__file__).with_name("page_driver.mjs")
PAGE = ROOT / "runtime" / "js" / "page"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser() -> str:
    """The command of Chromium; the tests that need it are skipped where it is absent."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    pytest.skip("Chromium is absent; apt-get install chromium")


def page_tools() -> Path:
    """A node_modules folder with playwright-core and esbuild; tests are skipped where npm cannot fetch them."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with FileLock(INSTALLED / "lock"):
        wanted = PACKAGE.read_text(encoding="utf-8")
        installed = INSTALLED / "installed.json"
        if not installed.is_file() or installed.read_text(encoding="utf-8") != wanted:
            (INSTALLED / "package.json").write_text(wanted, encoding="utf-8")
            npm_install(INSTALLED, "playwright-core")
            installed.write_text(wanted, encoding="utf-8")
    return INSTALLED / "node_modules"


def use_page(
    modules: Path,
    bundles: Mapping[str, Path],
    scenarios: Sequence[Mapping[str, Any]],
    microphone: Path | None = None,
    page: Path = PAGE,
    *,
    gpu: bool = False,
) -> dict[str, Any]:
    """What a browser without a window saw in each scenario, by its name; see ``page_driver.mjs``.

    Args:
        modules: a node_modules folder with onnxruntime-web.
        bundles: folders of bundles by their names on the page.
        scenarios: names of scenarios, and what each wants.
        microphone: a WAV file that the microphone plays.
        page: the folder of the page.
        gpu: whether there is WebGPU, in software.
    """
    options = {
        "page": str(page),
        "modules": str(modules),
        "tools": str(page_tools()),
        "chromium": browser(),
        "bundles": {name: str(folder) for name, folder in bundles.items()},
        "microphone": None if microphone is None else str(microphone),
        "gpu": gpu,
        "scenarios": list(scenarios),
    }
    command = ["node", str(DRIVER), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
