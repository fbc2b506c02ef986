"""The package for JavaScript answers as the Python package does: golden outputs, clips, recordings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

import wav2edge
from tests.js.same_answers import assert_same
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.folder import Bundle
from wav2edge.evaluation.dataset import read_dataset

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[2] / "models"
WORDS, STREAM = MODELS / "words", MODELS / "words-stream"
DEVICES = {"cpu": 1e-4, "wasm": 5e-3}
"""Device -> how far confidences and scores may be apart. WebAssembly has other kernels, and where an activation lies
between two integers, it may round to the other one."""
GOLDEN_WITHIN = {"cpu": 1e-5, "wasm": 0.02}
"""Device -> the difference of golden outputs in units of the largest; bundles allow 0.1."""
DATA = "WAV2EDGE_WORDS"
"""The environment variable that names the folder of the data set that the shipped model was trained on."""
RATE_HZ = 16_000


def write_raw(folder: Path, clips: dict[str, np.ndarray]) -> list[Path]:
    """Samples as files without a header, since the package for JavaScript reads no FLAC."""
    paths = [folder / f"{name}.f32" for name in clips]
    for path, samples in zip(paths, clips.values(), strict=True):
        samples.astype("<f4").tofile(path)
    return paths


def question(bundle: Path, paths: list[Path], **more) -> dict:
    """What ``answers.mjs`` reads."""
    return {"bundle": str(bundle), "clips": [{"path": str(path), "rateHz": RATE_HZ} for path in paths], **more}


@pytest.fixture(scope="module")
def clips():
    """Name -> samples of the twelve shipped clips."""
    return {path.stem: load_clip(path).samples for path in sorted((MODELS / "clips").glob("*.flac"))}


@pytest.fixture(scope="module")
def raw_clips(clips, tmp_path_factory):
    assert len(clips) == 12
    return write_raw(tmp_path_factory.mktemp("raw"), clips)


@pytest.fixture(scope="module")
def recording(clips):
    """The twelve clips one after the other, with pauses and noise between some of them, and some without."""
    noise = np.random.default_rng(0)
    parts = []
    for place, samples in enumerate(clips.values()):
        pause = noise.normal(0, 1e-3, 12_000 if place % 3 else 400)
        parts += [samples, pause]
    return np.concatenate(parts).astype(np.float32)


@pytest.fixture(scope="module", params=DEVICES)
def shipped(request, raw_clips, run_script):
    """A device, and by bundle its self-test and its answers to the shipped clips."""
    bundles, paths = [str(WORDS), str(STREAM)], list(map(str, raw_clips))
    found = run_script("shipped.mjs", {"device": request.param, "bundles": bundles, "clips": paths})
    return request.param, dict(zip([WORDS, STREAM], found, strict=True))


@pytest.mark.parametrize("bundle", [WORDS, STREAM], ids=lambda path: path.name)
def test_golden_outputs_are_those_of_the_export(bundle, shipped):
    device, answered = shipped
    found = answered[bundle]["selfTest"]
    golden = Bundle.open(bundle).read_json("golden.json")["variants"][found["variant"]]
    assert found["passed"]
    assert found["device"] == device
    assert (found["text"], found["label"]) == (golden["text"], golden["label"])
    differences = [each for part in (found, *found["streams"]) for each in part["differences"].values()]
    assert max(differences) < GOLDEN_WITHIN[device]
    assert len(found["streams"]) == (2 if bundle == STREAM else 0)


@pytest.mark.parametrize("bundle", [WORDS, STREAM], ids=lambda path: path.name)
def test_the_shipped_clips_get_the_answers_of_python(bundle, shipped, clips):
    device, answered = shipped
    engine = wav2edge.load(bundle, threads=1)
    expected = [engine(samples, rate_hz=RATE_HZ).to_dict() for samples in clips.values()]
    assert_same(answered[bundle]["answers"], expected, DEVICES[device])


def test_unsure_answers_are_rejected_as_python_rejects_them(clips, raw_clips, run_script):
    engine = wav2edge.load(WORDS, threads=1)
    expected = [engine(samples, rate_hz=RATE_HZ) for samples in clips.values()]
    below, above = sorted(result.confidence for result in expected)[5:7]
    engine.reject_below = limit = (below + above) / 2
    options = {"device": "cpu", "threads": 1, "rejectBelow": limit}
    found = run_script("answers.mjs", question(WORDS, raw_clips, options=options))
    assert sum(answer.get("rejected", False) for answer in found) == 6
    for here, samples in zip(found, clips.values(), strict=True):
        assert_same(here, engine(samples, rate_hz=RATE_HZ).to_dict())


@pytest.mark.parametrize("longest_s", [None, 2.304, 1.0])
def test_recordings_get_the_segments_of_python(longest_s, recording, tmp_path, run_script):
    engine = wav2edge.load(WORDS, threads=1)
    options = {"device": "cpu", "threads": 1}
    if longest_s is not None:
        engine.segmentation = wav2edge.Segmentation(longest_s=longest_s, overlap_s=0.5, min_silence_s=0.6)
        options["segmentation"] = {"longestS": longest_s, "overlapS": 0.5, "minSilenceS": 0.6}
    (found,) = run_script("answers.mjs", question(WORDS, write_raw(tmp_path, {"all": recording}), options=options))
    expected = engine(recording, rate_hz=RATE_HZ).to_dict()
    assert len(expected["segments"]) >= 8
    assert_same(found, expected)


@pytest.mark.skipif(DATA not in os.environ, reason=f"{DATA} names no folder of recordings, which cannot be shipped")
def test_real_clips_get_the_answers_of_python(tmp_path, run_script):
    rows = [row for row in read_dataset(Path(os.environ[DATA])) if row.split == "test"]
    samples = {f"{place:03d}": load_clip(row.path).samples for place, row in enumerate(rows)}
    engine = wav2edge.load(WORDS, threads=1)
    options = {"device": "cpu", "threads": 1}
    found = run_script("answers.mjs", question(WORDS, write_raw(tmp_path, samples), options=options))
    assert len(found) == 240
    for here, each in zip(found, samples.values(), strict=True):
        assert_same(here, engine(each, rate_hz=RATE_HZ).to_dict())


def test_an_engine_in_a_worker_answers_as_one_in_the_same_thread(raw_clips, recording, tmp_path, run_script):
    (joined,) = write_raw(tmp_path, {"all": recording})
    paths = list(map(str, raw_clips[:2]))
    found = run_script("worker.mjs", {"bundle": str(WORDS), "clips": paths, "recording": str(joined)})
    assert found["there"] == found["here"]
    assert len(found["here"]["segments"]) >= 8
    assert [event["type"] for event in found["here"]["told"]] == ["final"]
    assert found["here"]["error"] == ["AudioError", "array: holds no samples; record or export the clip again", 1]
    assert found["here"]["closed"] == "this engine is closed; load the bundle again"


def test_the_example_for_files_prints_a_line_for_each_and_ends_with_the_code_of_what_failed(clips, js_folder, tmp_path):
    soundfile.write(tmp_path / "clip.wav", clips["fu-dan-3"], RATE_HZ)
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE_HZ), RATE_HZ)
    names = ["silence.wav", "nowhere.wav", "clip.wav"]
    command = ["node", js_folder / "node_file.mjs", WORDS, *(tmp_path / name for name in names)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"{tmp_path / 'clip.wav'}\tfu dan\t3\t0.")
    silent, absent = done.stderr.splitlines()
    assert silent == f"{tmp_path / 'silence.wav'}: silent, every sample is 0; check the microphone or the file"
    assert str(tmp_path / "nowhere.wav") in absent
    assert done.returncode == 1


@pytest.mark.parametrize("example", ["node_file.mjs", "node_stream.mjs"])
def test_an_example_without_arguments_says_how_it_is_used(example, js_folder):
    done = subprocess.run(["node", js_folder / example], capture_output=True, text=True, check=False)
    assert done.stderr.startswith(f"usage: node {example} BUNDLE")
    assert done.returncode == 2


def test_the_example_for_streams_prints_what_was_said(clips, js_folder):
    pcm = (clips["fu-dan-3"] * 32_767).astype("<i2").tobytes()
    done = subprocess.run(["node", js_folder / "node_stream.mjs", WORDS], input=pcm, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"fu dan\n"
