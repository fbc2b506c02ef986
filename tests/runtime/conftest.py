from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge.bundle.manifest import sealed
from wav2edge.cli import main

LENGTHS = (16_000, 400, 31_999, 719, 16_319, 3_000, 720, 401, 9_000)
"""Of the clips for batches: whole seconds, and around the ends of frames."""


@dataclass(frozen=True)
class Outcome:
    """What a command line left behind."""

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """The lines on standard error, none of them from a traceback."""
        assert "Traceback" not in self.err
        return self.err.splitlines()

    @property
    def complaint(self) -> str:
        """The one line on standard error."""
        assert len(self.complaints) == 1, self.err
        return self.complaints[0]

    def complaint_about(self, name: object) -> str:
        """The one line on standard error that names an input."""
        (line,) = [line for line in self.complaints if line.startswith(f"wav2edge: {name}")]
        return line

    @property
    def json(self) -> Any:
        return strict(self.out)

    @property
    def jsonl(self) -> list[Any]:
        return [strict(line) for line in self.out.splitlines()]


def strict(text: str) -> Any:
    """JSON as the standard has it: Python would also read NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """The command line in this process."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = capsys.readouterr()
        return Outcome(code=code, out=captured.out, err=captured.err)

    return run


@pytest.fixture(scope="session")
def python() -> Callable[..., subprocess.Popen[bytes]]:
    """A fresh interpreter with pipes on all its streams."""

    def start(*words: object, **options: Any) -> subprocess.Popen[bytes]:
        pipes = {name: options.pop(name, subprocess.PIPE) for name in ("stdin", "stdout", "stderr")}
        return subprocess.Popen([sys.executable, *map(str, words)], **pipes, **options)

    return start


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that no test may change."""
    return tiny_bundle.write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def own_bundle(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle to damage."""
    return Path(shutil.copytree(bundle, tmp_path / "own"))


@pytest.fixture
def edit_manifest(own_bundle: Path) -> Callable[..., Path]:
    """Change keys of the copy's manifest; a value of None takes the key out."""

    def edit(**changes: Any) -> Path:
        path = own_bundle / "manifest.json"
        document = {**json.loads(path.read_bytes()), **changes}
        path.write_text(sealed({key: value for key, value in document.items() if value is not None}))
        return own_bundle

    return edit


@pytest.fixture(scope="session")
def engine(bundle: Path) -> wav2edge.Engine:
    return wav2edge.load(bundle, threads=1)


@pytest.fixture(scope="session")
def batched_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose graph takes padded batches; no test may change it."""
    models = {"fp32": tiny_bundle.batched_graph()}
    return tiny_bundle.write_bundle(tmp_path_factory.mktemp("bundles") / "batched", models, batched=True)


@pytest.fixture(scope="session")
def batched(batched_bundle: Path) -> wav2edge.Engine:
    return wav2edge.load(batched_bundle, threads=1)


@pytest.fixture(scope="session")
def clips() -> list[np.ndarray]:
    """Noise of many lengths and loudnesses, each `[samples] float32`."""
    return [tiny_bundle.noise(length, seed=length, amplitude=0.01 + length / 40_000) for length in LENGTHS]


@pytest.fixture(scope="session")
def second() -> np.ndarray:
    """One second of noise, `[samples] float32`."""
    return tiny_bundle.noise(16_000)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write samples to a file below the test's folder."""

    def write(name: str, samples: np.ndarray, *, rate_hz: int = 16_000, **options: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate_hz, **options)
        return path

    return write


@pytest.fixture
def clip(save: Callable[..., Path], second: np.ndarray) -> Path:
    """A clip that can be recognised."""
    return save("good.wav", second)
