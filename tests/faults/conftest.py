"""The fixtures of the runtime's tests, and the bundles and clips that come with the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

import wav2edge
from tests.runtime.conftest import *  # noqa: F403

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="session")
def words() -> wav2edge.Engine:
    """The engine of the shipped bundle, on one thread."""
    return wav2edge.load(MODELS / "words", threads=1)


@pytest.fixture(scope="session")
def spoken() -> list[Path]:
    """The shipped clips."""
    return sorted((MODELS / "clips").glob("*.flac"))
