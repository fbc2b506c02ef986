"""The source archive holds all that `make check test` needs, and builds the same wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("build")
pytest.importorskip("hatchling")
pytestmark = pytest.mark.slow

NEEDED = (
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "constraints.txt",
    "mkdocs.yml",
    "pyproject.toml",
    "docs/index.md",
    "docs/images/architecture.svg",
    "examples/serve.py",
    "models/words/onnx/model_quantized.onnx",
    "benchmarks/results/shipped-words.json",
    "tests/runtime/tiny_bundle.py",
    "tests/interchange/transcribe.mjs",
)
LIMIT_S = 300


def run(*words: object, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A process in a folder that does not see the tree this test is in."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


@pytest.fixture(scope="module")
def unpacked(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    built = run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, root, folder=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def test_the_archive_holds_what_checks_and_tests_need(unpacked):
    assert [name for name in NEEDED if not (unpacked / name).is_file()] == []


def test_the_archive_holds_every_source_of_the_tree(unpacked, root):
    sources = {
        path.relative_to(root)
        for folder in ("runtime", "train", "export", "benchmarks", "tests", "docs", "examples")
        for path in (root / folder).rglob("*")
        if path.suffix in (".py", ".md", ".json") and "__pycache__" not in path.parts
    }
    assert sorted(path.as_posix() for path in sources if not (unpacked / path).is_file()) == []


def test_the_archive_builds_a_wheel(unpacked, tmp_path):
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ".", folder=unpacked)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert "wav2edge/inference/engine.py" in zipfile.ZipFile(wheel).namelist()


def test_the_tests_run_from_the_archive(unpacked):
    path = os.pathsep.join(str(unpacked / folder) for folder in ("runtime", "train", "export", "benchmarks"))
    done = run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *("tests/runtime/test_shipped_model.py", "tests/docs/test_reference.py"),
        folder=unpacked,
        PYTHONPATH=path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
