from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def models() -> Path:
    """The trained bundle and the clips that come with the repository."""
    return ROOT / "models"


@pytest.fixture
def clone(tmp_path: Path, models: Path) -> Path:
    """A folder that holds what a reader of the pages has after a clone, as far as the commands there touch it."""
    for name in ("models", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(models / "words", tmp_path / "bundle")
    shutil.copytree(models / "clips", tmp_path / "recordings")
    shutil.copytree(models / "clips", tmp_path / "data")
    shutil.copyfile(models / "clips" / "fu-dan-3.flac", tmp_path / "clip.flac")
    return tmp_path


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables under which `wav2edge` and `python` are those of this test, and profiles are not kept for its user."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    cache = str(tmp_path_factory.mktemp("cache"))
    return {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "COLUMNS": "120", "WAV2EDGE_CACHE": cache}
