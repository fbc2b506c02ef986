"""The runtime and the C binding on Arm processors, in emulation: they answer as on this machine. Nothing on speed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.arm64 import prepare_arm64
from tests.arm64.prepare_arm64 import FOLDER, PACKAGES, PYTHON, ROOT
from wav2edge.bundle.manifest import sealed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("WAV2EDGE_ARM64" not in os.environ, reason="half an hour of emulation; make test-arm64 runs it"),
]

CPUS = {
    "cortex-a72": "2016, as in a Raspberry Pi 4: no dot products",
    "cortex-a76": "2018, as in a Raspberry Pi 5: dot products",
    "max,pauth-impdef=on": "all that QEMU knows: int8 matrix products, SVE2, SME",
}
"""Processors that ONNX Runtime has different kernels for."""
BUNDLE, STREAMING = ROOT / "models/words", ROOT / "models/words-stream"
CLIPS = sorted((ROOT / "models/clips").glob("*.flac"))
RECORDING = ROOT / "models/stream.flac"
FRAME_S = 0.02
LIMIT_S = 7200
COMPILER = "aarch64-linux-gnu-gcc"

NOT_IN_EMULATION = {
    "test_stream.py::test_what_is_said_does_not_depend_on_the_blocks": "slower than sound comes, it says less between",
    "test_stream.py::test_latency_of_a_final_is_the_silence_that_was_waited_for": "of this machine, not of emulation",
    "test_shipped_stream.py::test_the_first_partial_answer_comes_while_the_first_word_is_spoken": "the same",
    "test_stream.py::test_a_bad_block_is_refused_and_the_stream_goes_on_as_if_it_had_not_come": "as the first",
    "test_doctor.py::test_the_installation_of_the_tests_is_usable": "wav2edge is not installed there",
    "test_plot.py": "matplotlib is not there",
}
"""Tests of the runtime that are left out, with the reason."""

Answering = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    prepare_arm64.prepare()


@pytest.fixture(scope="module")
def answering() -> Answering:
    """What ``answering_arm64.py`` prints on a processor; on this machine's where None. Each is computed once."""
    known: dict[tuple[object, ...], Any] = {}

    def run(cpu: str | None, *words: object) -> Any:
        if (cpu, *words) not in known:
            script = [str(Path(__file__).with_name("answering_arm64.py")), *map(str, words)]
            known[cpu, *words] = json.loads(output_of([sys.executable if cpu is None else str(PYTHON), *script], cpu))
        return known[cpu, *words]

    return run


def output_of(command: list[str], cpu: str | None, **variables: str) -> str:
    environment = os.environ | variables | ({} if cpu is None else {"QEMU_CPU": cpu})
    how = {"capture_output": True, "encoding": "utf-8", "timeout": LIMIT_S, "check": False}
    done = subprocess.run(command, cwd=ROOT, env=environment, **how)
    assert done.returncode == 0, done.stderr + done.stdout[-5_000:]
    return done.stdout


def assert_answers_agree(found: dict[str, Any], expected: dict[str, Any], *, tolerance: float) -> None:
    """The same words and classes, and outputs as near as the golden file allows."""
    assert found["machine"] == "aarch64"
    assert expected["machine"] != "aarch64"
    assert [check for check in found["checks"] if not check["passed"]] == []
    worst = 0.0
    for name, clip in expected["clips"].items():
        answer = found["clips"][name]["answer"]
        assert (answer["text"], answer["label"]) == (clip["answer"]["text"], clip["answer"]["label"]), name
        for output, values in clip["outputs"].items():
            difference = np.abs(np.asarray(found["clips"][name]["outputs"][output]) - np.asarray(values)).max()
            worst = max(worst, difference / np.abs(values).max())
    print(f"outputs within {worst:.2e} of this machine's on {len(expected['clips'])} clips (tolerance {tolerance:g})")
    assert worst <= tolerance


def golden_tolerance(bundle: Path, variant: str) -> float:
    golden = json.loads((bundle / "golden.json").read_text(encoding="utf-8"))
    return float(golden["variants"][variant]["tolerance"])


@pytest.mark.parametrize("cpu", CPUS)
def test_the_golden_input_and_the_shipped_clips_are_recognised_as_here(cpu, answering):
    words = ("clips", BUNDLE, "null", *CLIPS)
    assert len(CLIPS) == 12
    tolerance = golden_tolerance(BUNDLE, "int8")
    assert_answers_agree(answering(cpu, *words), answering(None, *words), tolerance=tolerance)


def test_a_graph_that_was_saved_in_onnx_runtimes_format_here_runs_there(answering, tmp_path):
    """The graph is optimised on x86; nothing of that processor is in it."""
    from wav2edge_export.bundle.ort_format import save_as_ort

    bundle = shutil.copytree(BUNDLE, tmp_path / "bundle")
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    source = manifest["variants"]["int8"]
    graph = bundle / source["file"]
    save_as_ort(graph, graph.with_suffix(".ort"))
    graph.write_bytes(graph.with_suffix(".ort").read_bytes())
    renamed = Path(source["file"]).with_suffix(".ort").as_posix()
    graph.rename(bundle / renamed)
    record = manifest["files"].pop(source["file"])
    record["size_bytes"], record["sha256"] = (bundle / renamed).stat().st_size, sha256(bundle / renamed)
    manifest["files"][renamed], source["file"] = record, renamed
    (bundle / "manifest.json").write_text(sealed(manifest), encoding="utf-8")
    words = ("clips", bundle, '"int8"', *CLIPS[:3])
    found, expected = answering("cortex-a76", *words), answering(None, *words)
    assert_answers_agree(found, expected, tolerance=golden_tolerance(BUNDLE, "int8"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_stream_says_there_what_it_says_here(answering):
    found = answering("cortex-a76", "stream", STREAMING, RECORDING)
    expected = answering(None, "stream", STREAMING, RECORDING)
    assert found["machine"] == "aarch64"
    assert len(expected["finals"]) > 5
    assert [final["text"] for final in found["finals"]] == [final["text"] for final in expected["finals"]]
    assert [final["label"] for final in found["finals"]] == [final["label"] for final in expected["finals"]]
    for one, other in zip(found["finals"], expected["finals"], strict=True):
        assert one["end_s"] == pytest.approx(other["end_s"], abs=2 * FRAME_S)


@pytest.fixture(scope="module")
def c_command() -> str:
    """The command of the C binding, compiled for arm64."""
    if shutil.which(COMPILER) is None:
        pytest.skip(f"{COMPILER} is not installed; run: apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
    sources = [str(ROOT / "runtime/c" / name) for name in ("wav2edge.c", "cli.c")]
    command = FOLDER / "wav2edge-c"
    subprocess.run([COMPILER, "-std=c11", "-O2", *sources, "-lm", "-o", str(command)], check=True)
    return str(command)


def in_c(command: str, cpu: str, *words: object) -> str:
    (library,) = (PACKAGES / "onnxruntime/capi").glob("libonnxruntime.so.*")
    emulated = [str(FOLDER / "qemu/usr/bin/qemu-aarch64"), "-L", str(FOLDER / "debian"), command]
    return output_of([*emulated, *map(str, words)], cpu, WAV2EDGE_ORT=str(library))


@pytest.mark.parametrize("cpu", CPUS)
def test_the_c_binding_recognises_the_golden_input_and_the_shipped_clips_as_python_does_here(
    cpu, c_command, answering, tmp_path
):
    files = []
    for clip in CLIPS:
        samples, rate_hz = soundfile.read(clip, dtype="int16")
        files.append(tmp_path / f"{clip.stem}.wav")
        soundfile.write(files[-1], samples, rate_hz, subtype="PCM_16")
    found = [json.loads(line) for line in in_c(c_command, cpu, "run", BUNDLE, *files, "--json").splitlines()]
    expected = [clip["answer"] for clip in answering(None, "clips", BUNDLE, "null", *CLIPS)["clips"].values()]
    assert len(found) == len(expected) == 12
    for one, other in zip(found, expected, strict=True):
        assert (one["text"], one["label"]) == (other["text"], other["label"])
        assert one["confidence"] == pytest.approx(other["confidence"], abs=0.05)
    assert "golden int8" in in_c(c_command, cpu, "verify", BUNDLE)


def test_the_runtime_passes_its_tests():
    left_out = [f"--{'deselect' if '::' in name else 'ignore'}=tests/runtime/{name}" for name in NOT_IN_EMULATION]
    command = [str(PYTHON), "-m", "pytest", "tests/runtime", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
    out = output_of([*command, *left_out], "cortex-a76")
    print(out.splitlines()[-1])
    assert " passed" in out.splitlines()[-1]
    assert "failed" not in out.splitlines()[-1]
