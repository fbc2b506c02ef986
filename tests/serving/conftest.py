"""Servers of tiny bundles; clients of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import wav2edge
from tests.runtime.conftest import *  # noqa: F403
from tests.serving.served import HeldEngine, Running, serving

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="session")
def server(engine: wav2edge.Engine, bundle: Path) -> Iterator[Running]:
    """A server of one tiny bundle, for tests that leave it as it is."""
    with serving({"tiny": (engine, bundle)}) as running:
        yield running


@pytest.fixture
def held(engine: wav2edge.Engine) -> Iterator[HeldEngine]:
    """An engine that answers when it is told to."""
    found = HeldEngine(engine)
    yield found
    found.let_go.set()


@pytest.fixture(scope="session")
def shipped() -> dict[str, tuple[wav2edge.Engine, Path]]:
    """The two bundles that come with the repository."""
    names = {"words": "words", "live": "words-stream"}
    return {name: (wav2edge.load(MODELS / folder, threads=1), MODELS / folder) for name, folder in names.items()}


@pytest.fixture(scope="session")
def shipped_server(shipped: dict[str, tuple[wav2edge.Engine, Path]]) -> Iterator[Running]:
    """A server of these."""
    with serving(shipped) as running:
        yield running
