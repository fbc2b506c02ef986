"""Each example is short, says how it is run, and does it."""

from __future__ import annotations

import ast
import csv
import importlib.util
import math
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import wav2edge
from examples.bare_onnxruntime import recognize
from examples.compare_variants import run
from examples.live_captions import captions
from examples.syllable_rate import SyllableRate, syllable_rate
from tests.docs.pages import ROOT
from tests.runtime import tiny_bundle
from wav2edge.audio.clip import load_clip

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LONGEST = 60
MODELS = ROOT / "models"
CLIPS = sorted((MODELS / "clips").glob("*.flac"))


@pytest.fixture(scope="module")
def engine():
    return wav2edge.load(MODELS / "words", threads=1)


def example(name, *words):
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *map(str, words)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_says_how_it_is_run(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < LONGEST
    says = ast.get_docstring(ast.parse(text))
    assert f"python examples/{path.name}" in says or f"--app-dir examples {path.stem}:app" in says


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_without_arguments_says_how_it_is_used(path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.delenv("BUNDLE", raising=False)
    if path.name == "serve.py":
        pytest.importorskip("fastapi")
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(path), run_name="__main__")
    assert str(stopped.value).startswith("usage: ")
    assert path.stem in str(stopped.value)


@pytest.mark.slow
def test_a_file_is_transcribed():
    done = example("transcribe.py", MODELS / "words", MODELS / "clips/fu-dan-3.flac", MODELS / "clips/yu-yan-1.flac")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("  ")[:2] for line in done.stdout.splitlines()] == [["fu dan", "3"], ["yu yan", "1"]]


@pytest.mark.slow
def test_a_folder_becomes_a_table_and_what_fails_has_its_error_there(tmp_path):
    for clip in CLIPS[:3]:
        (tmp_path / clip.name).write_bytes(clip.read_bytes())
    (tmp_path / "notes.wav").write_text("no audio")
    done = example("folder_to_csv.py", MODELS / "words", tmp_path, tmp_path / "out.csv")
    assert (done.returncode, done.stderr) == (0, "")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert [(row["text"], row["label"]) for row in rows.values()][:3] == [
        ("bei jing", "0"),
        ("bei jing", "2"),
        ("fan dian", "3"),
    ]
    assert "text, not audio" in rows["notes.wav"]["error"]
    assert rows["notes.wav"]["text"] == ""


@pytest.mark.skipif(
    importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("httpx") is None,
    reason="fastapi and httpx are in the group dev",
)
def test_a_service_gives_the_result_of_a_posted_clip_and_the_reason_where_it_cannot(monkeypatch, engine):
    from fastapi.testclient import TestClient

    monkeypatch.setenv("BUNDLE", str(MODELS / "words"))
    from examples.serve import app

    client = TestClient(app)
    good = client.post("/recognize", content=CLIPS[0].read_bytes())
    assert (good.status_code, good.json()) == (200, engine(CLIPS[0]).to_dict())
    bad = client.post("/recognize", content=b"hello")
    assert bad.status_code == 422
    assert "text, not audio" in bad.json()["detail"]


def words(*onsets):
    return [wav2edge.Word(text="pa", start_s=each, end_s=each + 0.1, confidence=0.9) for each in onsets]


def test_regular_syllables_have_their_rate_and_no_variation():
    rate = syllable_rate(words(0.1, 0.3, 0.5, 0.7, 0.9))
    assert (rate.syllables, round(rate.rate_hz, 9), round(rate.interval_s, 9)) == (5, 5.0, 0.2)
    assert rate.variation == pytest.approx(0, abs=1e-9)


def test_irregular_syllables_have_the_coefficient_of_variation_of_their_intervals():
    rate = syllable_rate(words(0.0, 0.1, 0.4, 0.6))  # intervals 0.1, 0.3, 0.2
    assert rate.rate_hz == pytest.approx(5.0)
    assert rate.variation == pytest.approx(0.1 / 0.2)


def test_two_syllables_have_a_rate_and_no_regularity():
    assert syllable_rate(words(0.0, 0.25)) == SyllableRate(syllables=2, rate_hz=4.0, interval_s=0.25, variation=None)


@pytest.mark.parametrize("onsets", [(), (0.2,), (0.2, 0.2), (0.3, 0.1)])
def test_what_has_no_rate_is_refused(onsets):
    with pytest.raises(ValueError, match="two or more are needed"):
        syllable_rate(words(*onsets))


@pytest.mark.slow
def test_the_rate_of_a_clip_is_printed():
    done = example("syllable_rate.py", MODELS / "words", MODELS / "clips/zhong-guo-1.flac")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("zhong guo: ")
    rate_hz = float(done.stdout.split()[2])
    assert 0 < rate_hz < math.inf


@pytest.mark.parametrize("clip", CLIPS, ids=lambda path: path.stem)
def test_bare_onnxruntime_gives_what_the_engine_gives(engine, clip):
    result = engine(clip)
    assert recognize(MODELS / "words", load_clip(clip).samples) == (result.text, result.label)


@pytest.mark.slow
def test_bare_onnxruntime_reads_a_file_without_this_project():
    text = (ROOT / "examples/bare_onnxruntime.py").read_text(encoding="utf-8")
    assert "import wav2edge" not in text
    done = example("bare_onnxruntime.py", MODELS / "words", MODELS / "clips/fu-dan-3.flac")
    assert done.stdout == "fu dan\t3\n"


@pytest.mark.slow
def test_two_variants_are_compared_clip_by_clip(tmp_path):
    bundle = tiny_bundle.write_bundle(tmp_path / "tiny")
    done = example("compare_variants.py", bundle, "fp32", "int8", *CLIPS[:2])
    assert (done.returncode, done.stderr) == (0, "")
    *_, changed, first, second = done.stdout.splitlines()
    expected = [wav2edge.load(bundle, variant=variant)(CLIPS[0]).text for variant in ("fp32", "int8")]
    assert [run(str(bundle), variant, [str(CLIPS[0])]).results[0][0] for variant in ("fp32", "int8")] == expected
    assert changed.endswith("of 2 results changed")
    assert (first.split(":")[0], second.split(":")[0]) == ("fp32", "int8")


def test_captions_appear_while_words_are_spoken_and_stay_when_they_are_final(engine):
    silence = bytes(32_000)
    spoken = (np.round(load_clip(MODELS / "clips/fu-dan-3.flac").samples * 32767)).astype("<i2").tobytes()
    sound = silence + spoken + silence
    lines = list(captions(engine, [sound[at : at + 640] for at in range(0, len(sound), 640)]))
    assert lines[-1].endswith("s  fu dan")
    assert any("|" in line for line in lines[:-1])
