"""Packages of npm for tests: installed once into a folder, and skipped where there is no registry."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH")
OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--fetch-retries=0")
LIMIT_S = 300


def npm_install(folder: Path, what: str) -> None:
    """Install the packages of ``folder/package.json``, or skip the test: ``what`` cannot be fetched."""
    command = [shutil.which("npm") or "npm", "install", *OPTIONS]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm could not fetch {what} within {LIMIT_S} s")
    if any(code in done.stderr for code in UNREACHABLE):
        pytest.skip(f"npm cannot reach its registry, and {what} is not installed yet")
    assert done.returncode == 0, done.stderr
