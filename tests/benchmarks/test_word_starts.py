"""The figures of word starts on the page on training are those of the records."""

import json
from pathlib import Path

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
