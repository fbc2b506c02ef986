"""Every table of docs/gpu.md has the figures of its record."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/gpu"
PAGE = (ROOT / "docs/gpu.md").read_text(encoding="utf-8")


def record(name):
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def table(first_cell):
    """The rows of the table whose header begins so, without header and record column."""
    block = next(block for block in PAGE.split("\n\n") if block.startswith(f"| {first_cell} |"))
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]]


def test_the_latencies_are_those_of_the_record():
    found = [
        [
            str(case["batch"]),
            f"{case['clip_s']:g}",
            *(f"{case['median_ms'][name]:.3g}" for name in ("wav2edge fp16", "wav2edge fp32", "pytorch fp16")),
            f"{fast:.3g}" if (fast := case["median_ms"].get("torch.compile fp16")) else "",
            f"{case['wav2edge_fp16_over']['pytorch fp16']:.2f}",
            f"{case['wav2edge_fp16_over']['torch.compile fp16']:.2f}" if fast else "",
        ]
        for case in record("latency.json")["cases"]
    ]
    assert table("batch") == found


def test_the_answers_are_those_of_the_record():
    variants = record("answers.json")["variants"]
    for name, *cells in table("variant"):
        each = variants[name]
        assert [float(cell) for cell in cells[:2]] == pytest.approx(
            [each["relative_error"], each["relative_error_padded"]], rel=0.04
        )
        assert cells[2:] == [str(each["same_transcripts"]), str(each["same_labels"]), f"{each['call_ms']:.2f}"]


def test_the_trained_models_are_those_of_their_records():
    for name, *cells, _ in table("augmentation"):
        report = record(f"words-medium-{name}/record.json")["reports"]["test"]
        assert cells == [f"{report['accuracy']:.3f}", f"{report['wer']:.3f}"]


def test_the_throughput_is_that_of_the_record():
    found = record("throughput.json")
    theirs = [each["gpu_busy"] for each in found["rounds"] if each["loop"] == "pytorch"]
    sentence = " ".join(PAGE.split())
    assert f"on {found['clips_per_s']['wav2edge']:.0f} clips a second, {found['ratio']:.1f} times as many" in sentence
    assert f"busy for {found['gpu_busy']:.2f} of the time, {sum(theirs) / 2:.2f} there" in sentence
