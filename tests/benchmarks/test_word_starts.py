"""The figures of word starts on the page on training are those of the records."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.records.accuracy import word_starts
from wav2edge.evaluation.dataset import Utterance
from wav2edge.output.result import Result, Word

ROOT = Path(__file__).parents[2]
PAGE = " ".join((ROOT / "docs/train.md").read_text(encoding="utf-8").split())


def record(name):
    return json.loads((ROOT / "benchmarks/results" / name).read_text(encoding="utf-8"))


def test_the_table_holds_the_figures_of_both_trainings_of_the_demo():
    trials = record("word-starts-demo.json")["trials"]
    for row, trial in (("plain CTC", "plain CTC"), ("bound to `word_starts_s`", "bound to word starts")):
        figures = trials[trial]["validation"]
        times = figures["word_times_error"]
        cells = f"{figures['wer']:.3f} | {times['median_s'] * 1e3:.0f} ms | {times['p95_s'] * 1e3:.0f} ms"
        assert f"| {row} | {cells} |" in PAGE


def test_the_shipped_model_has_the_word_starts_that_the_pages_name():
    times = record("shipped-words.json")["reports"]["int8"]["spoken"]["word_times_error"]
    assert f"{times['median_s'] * 1e3:.0f} ms in the median (95th percentile {times['p95_s'] * 1e3:.0f} ms)" in PAGE
    models = (ROOT / "models/README.md").read_text(encoding="utf-8")
    assert f"{times['median_s']:.3f} s in the median" in models
    assert f"{times['p95_s']:.3f} s at the 95th percentile" in models
    assert f"on the {times['words']} words" in models


@pytest.mark.parametrize("name", ["word-starts-shipped.json", "word-starts-demo-bundle.json"])
def test_a_bundle_keeps_the_word_starts_of_clips_in_recordings_recognised_and_aligned(name):
    times = record(name)["times"]
    assert set(times) == {f"{how}, {where}" for how in ("recognised", "aligned") for where in ("alone", "joined")}
    assert all(each["median_s"] <= 0.04 and each["p95_s"] <= 0.12 and each["words"] > 200 for each in times.values())


def test_the_page_names_the_word_starts_of_the_shipped_model_in_recordings():
    joined = record("word-starts-shipped.json")["times"]["aligned, joined"]
    assert f"joined with pauses {joined['median_s'] * 1e3:.0f} and {joined['p95_s'] * 1e3:.0f} ms" in PAGE


@pytest.fixture
def said(tmp_path):
    """Two utterances of two words, and an engine that hears them half a tenth of a second late."""

    class Late:
        def __call__(self, samples, *, rate_hz, segments=None):
            starts_s = (0.15, 0.55) if len(samples) <= 16_000 else (0.15, 0.55, 2.15, 2.55)
            pairs = zip("abab"[: len(starts_s)], starts_s, strict=True)
            words = tuple(Word(text=text, start_s=start, end_s=start + 0.1, confidence=1.0) for text, start in pairs)
            return Result(duration_s=len(samples) / rate_hz, text="a b", words=words)

    rows = [Utterance(path=tmp_path, where="", transcription="a b", word_starts_s=(0.1, 0.5)) for _ in range(2)]
    return Late(), rows


def test_errors_are_of_utterances_that_were_transcribed_as_they_were_said(said):
    engine, rows = said
    clips = [np.zeros(16_000, np.float32)] * 2
    assert list(word_starts.recognised_alone(engine, rows, clips)) == pytest.approx([0.05] * 4)
    joined = np.zeros(64_000, np.float32)
    found = word_starts.recognised_joined(engine, joined, [(rows[0], 0.0), (rows[1], 2.0)])
    assert list(found) == pytest.approx([0.05] * 4)
    other = dataclasses.replace(rows[1], transcription="a c")
    assert len(list(word_starts.recognised_joined(engine, joined, [(rows[0], 0.0), (other, 2.0)]))) == 2


def test_errors_are_summed_up_by_size():
    assert word_starts.summary([-0.02, 0.01, 0.03]) == {
        "words": 3,
        "median_s": pytest.approx(0.02),
        "p95_s": pytest.approx(0.029),
    }
