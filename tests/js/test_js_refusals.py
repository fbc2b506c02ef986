"""What the package for JavaScript refuses: with the errors, the exit codes and the words of the Python package."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wav2edge
from wav2edge.bundle.manifest import sealed
from wav2edge.errors import Wav2EdgeError

pytestmark = pytest.mark.slow

WORDS = Path(__file__).parents[2] / "models" / "words"
GRAPH = "onnx/model_quantized.onnx"
RATE_HZ = 16_000
SECOND = (0.1 * np.random.default_rng(5).standard_normal(RATE_HZ)).astype(np.float32)
IN_JAVASCRIPT = {"rate_hz": "rateHz", "pip install -U wav2edge": "npm install wav2edge@latest"}
"""Words of Python that are others in JavaScript."""


def changed(samples: np.ndarray, place: Any, value: float) -> np.ndarray:
    copy = samples.copy()
    copy[place] = value
    return copy


STEREO = np.stack([SECOND, SECOND[::-1]], axis=1)
CLIPS: dict[str, tuple[np.ndarray, Any]] = {
    "no rate": (SECOND, None),
    "a rate in words": (SECOND, "16k"),
    "no rate at all": (SECOND, 0),
    "a rate too low": (SECOND, 3_999),
    "a rate too high": (SECOND, 1_000_000),
    "no samples": (SECOND[:0], RATE_HZ),
    "no samples in two channels": (STEREO[:0], RATE_HZ),
    "one sample": (SECOND[:1], RATE_HZ),
    "zeros": (0 * SECOND, RATE_HZ),
    "a constant": (0 * SECOND + 0.25, RATE_HZ),
    "a tiny constant": (0 * SECOND + 1.5e-7, RATE_HZ),
    "a silence of integers": (np.zeros(99, np.int16), RATE_HZ),
    "two silent channels": (0 * STEREO, RATE_HZ),
    "NaN": (changed(SECOND, [77, 500], np.nan), RATE_HZ),
    "infinity": (changed(SECOND, 3, np.inf), RATE_HZ),
    "minus infinity in a channel": (changed(STEREO, ([77, 500], 1), -np.inf), RATE_HZ),
    "too loud": (changed(SECOND, 9, 3e15), RATE_HZ),
    "65 channels": (np.repeat(SECOND[:, None], 65, axis=1), RATE_HZ),
    "less than a sample": (SECOND[:2], 96_000),
    # What follows is answered, with a warning.
    "far above full scale": (100 * SECOND, RATE_HZ),
    "clipped": (np.clip(20 * SECOND, -1, 1), RATE_HZ),
    "very quiet": (1e-3 * SECOND / np.abs(SECOND).max(), RATE_HZ),
    "channels that cancel": (np.stack([SECOND, -0.99 * SECOND, 0 * SECOND], axis=1), RATE_HZ),
    "a tenth of a second": (SECOND[:160], RATE_HZ),
    "shorter than a frame, at another rate": (SECOND[:500], 44_100),
    "six seconds": (np.tile(SECOND, 6), RATE_HZ),
    "a minute": (np.tile(SECOND, 60), RATE_HZ),
    "integers": ((SECOND * 20_000).astype(np.int16), RATE_HZ),
    "unsigned integers": ((SECOND * 100 + 128).astype(np.uint8), 8_000),
    "doubles": (SECOND.astype(np.float64), 48_000),
}


def type_of(samples: np.ndarray) -> str:
    name = {"f": "Float", "i": "Int", "u": "Uint"}[samples.dtype.kind]
    return f"{name}{8 * samples.dtype.itemsize}Array"


def python_answer(engine: wav2edge.Engine, samples: np.ndarray, rate_hz: Any) -> dict[str, Any]:
    try:
        return {"warnings": list(engine(samples, rate_hz=rate_hz, segments=False).warnings)}
    except Wav2EdgeError as error:
        return told(error)


def told(error: Wav2EdgeError) -> dict[str, Any]:
    words = re.sub(rf"\b({'|'.join(IN_JAVASCRIPT)})", lambda match: IN_JAVASCRIPT[match[0]], str(error))
    return {"error": {"name": type(error).__name__, "message": words, "exitCode": error.exit_code}}


def test_clips_are_refused_and_warned_about_with_the_words_of_python(tmp_path, run_script):
    clips = []
    for place, (samples, rate_hz) in enumerate(CLIPS.values()):
        path = tmp_path / f"{place}.raw"
        np.ascontiguousarray(samples.T).tofile(path)
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        clips.append({"path": str(path), "rateHz": rate_hz, "type": type_of(samples), "channels": channels})
    options = {"device": "cpu", "threads": 1}
    found = run_script(
        "answers.mjs", {"bundle": str(WORDS), "options": options, "run": {"segments": False}, "clips": clips}
    )
    engine = wav2edge.load(WORDS, threads=1)
    for name, here, (samples, rate_hz) in zip(CLIPS, found, CLIPS.values(), strict=True):
        expected = python_answer(engine, samples, rate_hz)
        assert {key: here.get(key) for key in expected} == expected, name
    assert sum("error" in answer for answer in found) == 19


def test_long_recordings_are_refused_block_by_block_as_in_python(tmp_path, run_script):
    silence, broken = np.zeros(40 * RATE_HZ, np.float32), np.tile(SECOND, 40)
    broken[600_000] = np.nan
    engine, clips, expected = wav2edge.load(WORDS, threads=1), [], []
    broken[550_000] = np.inf
    for name, samples in {"silence": silence, "broken": broken}.items():
        samples.tofile(tmp_path / name)
        clips.append({"path": str(tmp_path / name), "rateHz": RATE_HZ})
        with pytest.raises(Wav2EdgeError) as caught:
            engine(samples, rate_hz=RATE_HZ)
        expected.append(told(caught.value))
    options = {"device": "cpu", "threads": 1}
    assert run_script("answers.mjs", {"bundle": str(WORDS), "options": options, "clips": clips}) == expected


def test_a_long_recording_has_one_warning_for_its_peak_as_in_python(tmp_path, run_script):
    engine, clips, expected = wav2edge.load(WORDS, threads=1), [], []
    for gains in ((5.5, 1.0, 7.5), (1e-4, 1e-3, 1e-5)):
        samples = np.random.default_rng(0).uniform(-1, 1, 3 << 18) * np.repeat(gains, 1 << 18)
        path = tmp_path / str(gains)
        samples.astype(np.float32).tofile(path)
        clips.append({"path": str(path), "rateHz": RATE_HZ})
        expected.append(list(engine(samples.astype(np.float32), rate_hz=RATE_HZ).warnings))
    found = run_script(
        "answers.mjs", {"bundle": str(WORDS), "options": {"device": "cpu", "threads": 1}, "clips": clips}
    )
    assert [answer["warnings"] for answer in found] == expected
    assert ["peak" in warnings[0] for warnings in expected] == [True, True]


def test_samples_of_no_known_type_are_refused(tmp_path, run_script):
    np.arange(9).tofile(tmp_path / "clip")
    clip = {"path": str(tmp_path / "clip"), "rateHz": RATE_HZ, "type": "BigInt64Array"}
    (found,) = run_script("answers.mjs", {"bundle": str(WORDS), "clips": [clip]})
    message = "array: BigInt64Array samples; pass floats in [-1, 1] or integers"
    assert found == {"error": {"name": "AudioError", "message": message, "exitCode": 1}}


def put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of a manifest: another value in a place; ``...`` takes the place away."""

    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        if value is ...:
            del document[path[-1]]
        else:
            document[path[-1]] = value

    return change


STREAM = {
    "chunk_frames": [8],
    "left_frames": 1,
    "look_ahead_frames": 0,
    "delay_frames": 0,
    "states": {},
    "files": {},
}
MANIFESTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "another format": put("format", value="other"),
    "no version": put("format_version", value=...),
    "a version in words": put("format_version", value="1"),
    "version 0": put("format_version", value=0),
    "a newer version": put("format_version", value=7),
    "no name": put("name", value=...),
    "a name that is a number": put("name", value=1.5),
    "heads in a list": put("heads", value=["ctc"]),
    "another sample rate": put("sample_rate_hz", value=8_000),
    "a missing kernel": put("conv_kernels", value=[10]),
    "no stride": put("conv_strides", 0, value=0),
    "no such default": put("default_variant", value="fp16"),
    "a variant without a file": put("variants", "int8", "file", value="other.onnx"),
    "a variant with an unknown key": put("variants", "int8", "colour", value="red"),
    "a file without a digest": put("files", GRAPH, "sha256", value=...),
    "a file outside": put("files", "../x", value={"sha256": "0", "size_bytes": 0}),
    "a negative length": put("longest_clip_s", value=-1),
    "a length in words": put("certified_up_to_s", value="long"),
    "word times in words": put("word_times", value="yes"),
    "a temperature of 0": put("confidence_temperature", value={"ctc": 0}),
    "a blank outside": put("heads", "ctc", "blank_id", value=99),
    "a token twice": put("heads", "ctc", "vocabulary", 1, value="b"),
    "a token that is a number": put("heads", "ctc", "vocabulary", 1, value=3),
    "no labels": put("heads", "classification", "labels", value=[]),
    "no silent ids": put("heads", "ctc", "silent_ids", value=...),
    "an unknown output": put("heads", "ctc", "output", value="letters"),
    "too few labels": put("heads", "classification", "labels", value=["0", "1"]),
    "a mask that the graph lacks": put("variants", "int8", "batched", value=True),
    "a decoder of no kind": put("decoder", value={"magic": {}}),
    "a decoder with an unknown option": put("decoder", value={"beam": {"depth": 3}}),
    "a decoder with a wrong option": put("decoder", value={"beam": {"width": 0}}),
    "a language model that is not there": put("decoder", value={"beam": {"lm": "lm.arpa"}}),
    "a stream without chunks": put("stream", value={**STREAM, "chunk_frames": []}),
    "a stream without states": put("stream", value={"chunk_frames": [8], "left_frames": 1}),
    "a stream in a graph that is not listed": put("stream", value={**STREAM, "files": {"int8": "stream.onnx"}}),
    "a stream with a state of no type": put(
        "stream", value={**STREAM, "states": {"x": {"shape": [1], "type": "int8"}}}
    ),
    "a CTC head with a number as separator": put("heads", "ctc", "token_separator", value=3),
    "an embedding of nothing": put("heads", value={"embedding": {"output": "a", "size": 0, "fewest_frames": 1}}),
    "no head": put("heads", value={}),
}


ALTERED: dict[str, Callable[[bytes], bytes]] = {
    "another token, not sealed": lambda content: content.replace(b'"b"', b'"B"', 1),
    "the first version, not sealed": lambda content: content.replace(b'"format_version": 2', b'"format_version": 1'),
    "no seal": lambda content: content.replace(b'"content_sha256"', b'"other_sha256"'),
    "other line breaks": lambda content: content.replace(b"\n", b"\r\n"),
    "one space more": lambda content: content + b" ",
}
"""Alterations of a manifest's bytes that leave it JSON."""


def own_copy(folder: Path) -> Path:
    shutil.copytree(WORDS, folder)
    return folder


def damaged_bundles(folder: Path) -> dict[str, Path]:
    """Bundles by what is wrong with them."""
    found = {"nothing there": folder / "nowhere", "a checkpoint": folder / "checkpoint"}
    found["a file"] = folder / "checkpoint" / "config.json"
    found["a checkpoint"].mkdir()
    for name in ("config.json", "model.safetensors"):
        (found["a checkpoint"] / name).touch()
    for name, change in MANIFESTS.items():
        found[name] = own_copy(folder / name)
        path = found[name] / "manifest.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        change(document)
        path.write_text(sealed(document), encoding="utf-8")
    for name, change in ALTERED.items():
        found[name] = own_copy(folder / name)
        path = found[name] / "manifest.json"
        content = path.read_bytes()
        path.write_bytes(change(content))
        assert path.read_bytes() != content
    for name in ("no graph", "a shorter graph", "a flipped bit", "a manifest in a list", "a folder as manifest"):
        found[name] = own_copy(folder / name)
    (found["no graph"] / GRAPH).unlink()
    graph = (WORDS / GRAPH).read_bytes()
    (found["a shorter graph"] / GRAPH).write_bytes(graph[:1_000])
    (found["a flipped bit"] / GRAPH).write_bytes(graph[:-1] + bytes([graph[-1] ^ 1]))
    (found["a manifest in a list"] / "manifest.json").write_text("[]")
    (found["a folder as manifest"] / "manifest.json").unlink()
    (found["a folder as manifest"] / "manifest.json").mkdir()
    return found


def python_refusal(bundle: Path, **options: Any) -> dict[str, Any]:
    with pytest.raises(Wav2EdgeError) as caught:
        wav2edge.load(bundle, **options)
    return told(caught.value)


def test_bundles_are_refused_with_the_words_of_python(tmp_path, run_script):
    bundles = damaged_bundles(tmp_path)
    questions = [{"bundle": str(folder), "options": {"device": "cpu", "threads": 1}} for folder in bundles.values()]
    found = run_script("load.mjs", questions)
    for here, (name, folder) in zip(found, bundles.items(), strict=True):
        assert here == python_refusal(folder, threads=1), name
        if name in ALTERED:
            assert "damaged or altered" in here["error"]["message"]


def test_what_is_no_json_or_no_graph_is_refused_with_the_reason(tmp_path, run_script):
    text, graph = own_copy(tmp_path / "text"), own_copy(tmp_path / "graph")
    (text / "manifest.json").write_text("{")
    noise = bytes(range(256))
    (graph / GRAPH).write_bytes(noise)
    document = json.loads((graph / "manifest.json").read_text(encoding="utf-8"))
    document["files"][GRAPH] = {"sha256": hashlib.sha256(noise).hexdigest(), "size_bytes": len(noise)}
    (graph / "manifest.json").write_text(sealed(document), encoding="utf-8")
    found = run_script("load.mjs", [{"bundle": str(folder), "options": {"device": "cpu"}} for folder in (text, graph)])
    beginnings = [f"{text / 'manifest.json'}: not JSON (", f"{graph / GRAPH}: ONNX Runtime "]
    for here, folder, beginning in zip(found, (text, graph), beginnings, strict=True):
        expected = python_refusal(folder)["error"]
        assert {**here["error"], "message": ""} == {**expected, "message": ""}
        assert here["error"]["message"].startswith(beginning)
        assert expected["message"].startswith(beginning)
        assert "\n" not in here["error"]["message"]


def test_options_are_refused_with_the_words_of_python(run_script):
    wrong = [{"variant": "fp16"}, {"threads": 0}, {"threads": 100_000}]
    found = run_script("load.mjs", [{"bundle": str(WORDS), "options": {"device": "cpu", **each}} for each in wrong])
    assert found == [python_refusal(WORDS, **each) for each in wrong]
    others = [{"device": "gpu"}, {"colour": "red"}, {"rejectBelow": 2}, {"segmentation": {"longestS": 0.1}}]
    found = run_script("load.mjs", [{"bundle": str(WORDS), "options": each} for each in others])
    assert [answer["error"]["name"] for answer in found] == ["UsageError"] * 4
    assert found[0]["error"]["message"] == "unknown device 'gpu'; choose from cpu, wasm, auto"


def test_a_threshold_is_refused_when_it_is_set_with_the_words_of_python(run_script):
    engine = wav2edge.load(WORDS, threads=1)

    def refusal(value: float) -> dict[str, Any] | None:
        try:
            engine.reject_below = value
        except Wav2EdgeError as error:
            return told(error)
        return None

    values = [0, 2, 0.5, -0.5, 1, 1.0001, float("inf")]
    found = run_script("reject_below.mjs", {"bundle": str(WORDS), "values": values})
    assert found == [refusal(value) for value in values]
    assert [answer is None for answer in found] == [True, False, True, False, True, False, False]
