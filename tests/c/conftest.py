"""The C library, its command and what its tests run, built once into build/c."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
from filelock import FileLock

import wav2edge
from tests.c.c_library import CLibrary

ROOT = Path(__file__).parents[2]
SOURCE, BUILD = ROOT / "runtime" / "c", ROOT / "build" / "c"
MODELS = ROOT / "models"
WORDS, WORDS_STREAM = MODELS / "words", MODELS / "words-stream"
LIMIT_S = 300

Command = Callable[..., subprocess.CompletedProcess[str]]


def build(folder: Path, *targets: str, **settings: str) -> Path:
    """Configure and build targets, and give their folder; processes of one test run take turns."""
    if shutil.which("cmake") is None or shutil.which("cc") is None:
        pytest.skip("the C library is built with cmake and a C compiler, which are no dependencies of wav2edge")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        options = [f"-D{name}={value}" for name, value in {"W2E_TESTS": "ON", **settings}.items()]
        run_checked("cmake", "-S", SOURCE, "-B", folder, *options)
        run_checked("cmake", "--build", folder, "--parallel", "4", *(("--target", *targets) if targets else ()))
    return folder


def run_checked(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command, which must succeed."""
    texts = [str(word) for word in command]
    done = subprocess.run(texts, capture_output=True, text=True, timeout=LIMIT_S, check=False, **options)
    assert done.returncode == 0, f"{' '.join(texts)}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def runtime_library() -> Path:
    """ONNX Runtime's library, as it comes with its Python package."""
    found = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    if not found:
        pytest.skip("the installed package onnxruntime has no libonnxruntime.so")
    return found[0]


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the libraries, the command, the examples and the probe."""
    return build(BUILD)


@pytest.fixture(scope="session")
def library(built: Path, runtime_library: Path) -> CLibrary:
    return CLibrary(built / "libwav2edge.so", runtime_library)


@pytest.fixture(scope="session")
def environment(runtime_library: Path) -> dict[str, str]:
    """The environment of commands that load ONNX Runtime."""
    return {**os.environ, "WAV2EDGE_ORT": str(runtime_library)}


@pytest.fixture(scope="session")
def command(built: Path, environment: dict[str, str]) -> Command:
    """Run ``wav2edge-c``; ``code`` is the exit code that is expected."""

    def run(*words: object, code: int = 0, stdin: bytes = b"", program: Path = built / "wav2edge-c"):
        texts = [str(program), *map(str, words)]
        done = subprocess.run(texts, input=stdin, capture_output=True, timeout=LIMIT_S, check=False, env=environment)
        assert done.returncode == code, done.stderr.decode()
        return subprocess.CompletedProcess(texts, code, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture(scope="session")
def words_engine() -> wav2edge.Engine:
    return wav2edge.load(WORDS, threads=1)


@pytest.fixture(scope="session")
def stream_engine() -> wav2edge.Engine:
    return wav2edge.load(WORDS_STREAM, threads=1)


@pytest.fixture(scope="session")
def wav_clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The twelve shipped clips as WAV files."""
    folder = tmp_path_factory.mktemp("wav")
    paths = []
    for clip in sorted((MODELS / "clips").glob("*.flac")):
        samples, rate_hz = soundfile.read(clip, dtype="int16")
        paths.append(folder / f"{clip.stem}.wav")
        soundfile.write(paths[-1], samples, rate_hz, subtype="PCM_16")
    assert len(paths) == 12
    return paths


@pytest.fixture(scope="session")
def clip(wav_clips: list[Path]) -> np.ndarray:
    """``[samples] int16``: fu dan."""
    (path,) = (path for path in wav_clips if path.stem == "fu-dan-3")
    return soundfile.read(path, dtype="int16")[0]


@pytest.fixture(scope="session")
def recording() -> np.ndarray:
    """``[samples] float32``: the twelve clips with a second of silence between them."""
    return soundfile.read(MODELS / "stream.flac", dtype="float32")[0]


@pytest.fixture(scope="session")
def real_words() -> Path:
    """Recorded words by speakers that the models never heard; the folder is no part of the repository."""
    folder = Path(os.environ.get("WAV2EDGE_WORDS", "none"))
    if not (folder / "metadata.csv").is_file():
        pytest.skip("no recorded words here; WAV2EDGE_WORDS names their folder")
    return folder
