"""The wheel as a user gets it: its content, and its use in a fresh environment without PyTorch."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge.evaluation.parity.signals import synthetic_signals

pytestmark = pytest.mark.slow

SOURCES = {
    "wav2edge": "runtime",
    "wav2edge_train": "train",
    "wav2edge_export": "export",
    "wav2edge_compare": "benchmarks",
}
"""Package -> the folder that it lies in."""
HEAVY = ("torch", "transformers", "optimum", "onnx", "accelerate", "huggingface_hub")
SIZE_BAR_MB = 175
LIMIT_S = 300

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """A process that does not see this test's environment."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
        env=environment,
        **options,
    )


def unavailable(reason: str) -> NoReturn:
    """Skip the test where this machine lacks what it needs; in CI, which must check the wheel, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI must provide it")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    for needed in ("build", "hatchling"):
        if importlib.util.find_spec(needed) is None:
            unavailable(f"{needed} is not installed, and without it the wheel cannot be built offline")
    folder = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, root)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def names(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


@pytest.fixture(scope="session")
def dist_info(wheel: Path) -> Callable[[str], str]:
    """Read a file of the wheel's metadata."""
    folder = f"wav2edge-{wav2edge.__version__}.dist-info"
    return lambda name: zipfile.ZipFile(wheel).read(f"{folder}/{name}").decode()


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_what_is_missing_fails_in_ci_and_is_skipped_elsewhere(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="hatchling is not installed"):
        unavailable("hatchling is not installed")


# What it holds


def test_the_wheel_is_named_by_the_version_and_runs_anywhere(wheel):
    assert wheel.name == f"wav2edge-{wav2edge.__version__}-py3-none-any.whl"


def test_the_wheel_holds_four_import_packages_and_nothing_else(names):
    tops = {name.split("/")[0] for name in names}
    assert tops == {*SOURCES, f"wav2edge-{wav2edge.__version__}.dist-info"}


def test_every_package_of_the_wheel_is_typed(names):
    assert {name for name in names if name.endswith("py.typed")} == {f"{package}/py.typed" for package in SOURCES}


@pytest.mark.parametrize(("package", "source"), list(SOURCES.items()))
def test_every_module_of_the_source_is_in_the_wheel(names, root, package, source):
    modules = {path.relative_to(root / source).as_posix() for path in (root / source / package).rglob("*.py")}
    assert modules <= set(names)


def test_the_wheel_holds_only_sources_and_their_data(names):
    strays = [name for name in names if "test" in name or "__pycache__" in name or name.startswith("benchmarks/")]
    assert strays == []
    assert any(name.endswith("LICENSE") for name in names)


def test_what_every_user_must_install_is_small(dist_info):
    requirements = [
        line.removeprefix("Requires-Dist: ") for line in dist_info("METADATA").splitlines() if "Requires-Dist" in line
    ]
    base = [line for line in requirements if "extra ==" not in line]
    assert sorted(line.partition(">")[0] for line in base) == ["numpy", "soundfile", "soxr"]


# What it does alone


@pytest.fixture(scope="session")
def lean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that holds the wheel with its extra `cpu`."""
    folder = tmp_path_factory.mktemp("lean")
    created = run(sys.executable, "-m", "venv", folder)
    assert created.returncode == 0, created.stderr
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--retries", "1")
    installed = run(*pip, "install", "--quiet", f"{wheel}[cpu]")
    if installed.returncode:
        index = run(*pip, "install", "--quiet", "--dry-run", "--no-deps", "--ignore-installed", "numpy")
        if index.returncode:
            unavailable("the package index cannot be reached, and a fresh environment needs it")
        pytest.fail(f"the wheel cannot be installed alone: {installed.stderr}")
    return folder


@pytest.fixture(scope="session")
def site_packages(lean: Path) -> Path:
    (path,) = (path for path in lean.rglob("site-packages") if (path / "wav2edge").is_dir())
    return path


@pytest.fixture
def alone(lean: Path, tmp_path: Path) -> Command:
    """The installed command, started in an empty folder."""
    folder = "Scripts" if sys.platform == "win32" else "bin"
    return lambda *words: run(lean / folder / "wav2edge", *words, cwd=tmp_path)


def test_the_lean_environment_holds_no_heavy_package(site_packages):
    found = {path.name for path in site_packages.iterdir() if path.is_dir()}
    assert found >= {"wav2edge", "numpy", "onnxruntime", "soxr"}
    assert found.isdisjoint(HEAVY)


def test_the_lean_environment_is_small(site_packages):
    sizes_mb = {
        path.name: sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
        / 1e6
        for path in site_packages.iterdir()
        if not path.name.startswith(("pip", "setuptools", "pkg_resources", "_distutils", "distutils"))
    }
    largest = sorted(sizes_mb.items(), key=lambda item: -item[1])[:8]
    assert sum(sizes_mb.values()) <= SIZE_BAR_MB, largest


def test_a_clip_is_recognised_there(alone, bundle, clip):
    finished = alone("run", bundle, clip, "--format", "json")
    assert (finished.returncode, finished.stderr) == (0, "")
    expected = wav2edge.load(bundle)(clip)
    found = json.loads(finished.stdout)
    assert (found["text"], found["label"]) == (expected.text, expected.label)


def test_a_bundle_is_verified_there(alone, bundle):
    verified = alone("verify", bundle)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_a_certificate_is_repeated_there_without_pytorch(alone, bundle, clip, tmp_path):
    folder = Path(shutil.copytree(bundle, tmp_path / "repeatable"))
    signals = {case.name: case.samples for case in synthetic_signals(tiny_bundle.GEOMETRY, longest_s=1.0)}
    found = wav2edge.load(bundle)(clip)
    budget = {"relative_error": 0.25, "changed_results": 1.0}
    tiny_bundle.record_original(folder, signals, {clip: (found.text, found.label)}, budget)
    data = clip.with_name("metadata.csv")
    data.write_text(f"file_name,transcription\n{clip.name},a b\n")
    verified = alone("verify", folder, "--repeat", "--data", data.parent)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert "ok    fp32 clips" in verified.stdout
    assert "ok    int8 relative error" in verified.stdout


def test_help_is_given_there(alone):
    helped = alone("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "run " in helped.stdout


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["export", "checkpoint", "--output", "bundle"], "export"),
        (["train", "data", "--base", "checkpoint", "--output", "model"], "train"),
        (["demo"], "demo"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_verb_whose_packages_are_missing_says_which_extra_to_install(alone, tmp_path, words, extra):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.csv").write_text("file_name,label\na.wav,1\n")
    refused = alone(*words)
    assert (refused.returncode, refused.stdout) == (3, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"wav2edge: `wav2edge {extra}` needs ")
    assert line.endswith(f"which is not installed; run: pip install 'wav2edge[{extra}]'")


def test_a_bundle_on_the_hub_cannot_be_fetched_there_and_the_extra_is_named(alone):
    refused = alone("run", "owner/name", "clip.wav")
    assert (refused.returncode, refused.stdout) == (3, "")
    (line,) = refused.stderr.splitlines()
    assert line.endswith("run: pip install 'wav2edge[hub]'")


def test_a_comparison_cannot_be_made_there_and_the_extra_is_named(alone, bundle):
    refused = alone("compare", bundle, "--against", "torch", "--checkpoint", "checkpoint")
    assert (refused.returncode, refused.stdout) == (3, "")
    (line,) = refused.stderr.splitlines()
    assert line.endswith("run: pip install 'wav2edge[compare]'")


def test_a_checkpoint_cannot_be_evaluated_there_and_the_extra_is_named(alone, tmp_path):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text("{}")
    (tmp_path / "metadata.csv").write_text("file_name,label\na.wav,1\n")
    refused = alone("evaluate", "checkpoint", ".")
    assert refused.returncode == 3
    (line,) = refused.stderr.splitlines()
    assert line.endswith("run: pip install 'wav2edge[train]'")
