"""Every precision of one model: the exported graphs, their timing, and the table."""

import json
import shutil

import pytest

from benchmarks.records.command_recorder import CommandRecorder
from benchmarks.records.speed import precisions
from benchmarks.records.speed.precisions import Form, alternated_s, forms, table
from tests.runtime.tiny_bundle import write_bundle

CERTIFICATE = {"measured": {"relative_error": 0.02}, "clips": None, "summary": "logits within 0.1", "kept_in_float": []}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """`wav2edge export` writes a bundle with its certificate, and refuses int4."""
    commands = []

    def run(self, *words, accepted=(0,)):
        commands.append(list(map(str, words)))
        folder, precision = words[words.index("--output") + 1], words[words.index("--precision") + 1]
        if precision != "int4":
            write_bundle(folder)
            document = {"variants": {precision: CERTIFICATE}}
            (folder / "certificate.json").write_text(json.dumps(document))
        return ""

    monkeypatch.setattr(CommandRecorder, "run", run)
    return commands


def arguments(tmp_path, *more):
    folders = ["--output", str(tmp_path / "out"), "--result", str(tmp_path / "record.json")]
    return [str(tmp_path / "checkpoint"), *folders, "--seconds", "0.1", "--rounds", "2", "--threads", "1", *more]


def test_int8_is_exported_once_more_per_target_and_auto_per_preference():
    assert forms(["int8", "fp16"], ["exact"]) == [
        Form(name="int8", precision="int8"),
        Form(name="fp16", precision="fp16"),
        Form(name="int8 exact", precision="int8", words=("--target", "exact")),
    ]
    assert forms(["fp32", "auto"], []) == [
        Form(name="fp32", precision="fp32"),
        Form(name="auto", precision="auto"),
        Form(name="auto small", precision="auto", words=("--prefer", "small")),
    ]


def test_the_record_holds_the_certificates_and_names_refused_precisions(made, tmp_path, capsys):
    precisions.main(arguments(tmp_path, "--precision", "fp32,int8,int4", "--targets", "exact"))
    record = json.loads((tmp_path / "record.json").read_text())
    assert list(record["forms"]) == ["fp32", "int8", "int8 exact"]
    assert record["refused"] == ["int4"]
    assert record["forms"]["int8"]["size_bytes"] == (tmp_path / "out/int8/onnx/model_quantized.onnx").stat().st_size
    assert all(list(row["latency_s"]) == ["0.1"] for row in record["forms"].values())
    assert made[-1][-2:] == ["--target", "exact"]
    assert str(tmp_path) not in (tmp_path / "record.json").read_text()
    assert "| fp32 " in capsys.readouterr().out


def test_a_bundle_of_an_earlier_run_does_not_replace_one_that_is_refused_now(made, tmp_path):
    stale = write_bundle(tmp_path / "out/fp32")
    shutil.copytree(stale, tmp_path / "out/int4")
    precisions.main(arguments(tmp_path, "--precision", "fp32,int4"))
    assert json.loads((tmp_path / "record.json").read_text())["refused"] == ["int4"]


def test_bundles_can_be_measured_again_without_an_export(made, tmp_path):
    precisions.main(arguments(tmp_path, "--precision", "fp32,int8"))
    made.clear()
    precisions.main(arguments(tmp_path, "--precision", "fp32,int8", "--reuse"))
    assert made == []
    assert list(json.loads((tmp_path / "record.json").read_text())["forms"]) == ["fp32", "int8"]


def test_graphs_take_turns_and_the_first_round_is_discarded():
    turns = []

    def engine(name):
        return lambda clip, *, rate_hz: turns.append((name, len(clip)))

    measured = dict(alternated_s({"a": engine("a"), "b": engine("b")}, [0.5, 1.0], rounds=2))
    assert turns == [("a", 8_000), ("b", 8_000)] * 3 + [("a", 16_000), ("b", 16_000)] * 3
    assert set(measured[1.0]) == {"a", "b"}


def test_the_table_shows_ratios_to_fp32_and_intervals():
    clips = {"wer": {"variant": 0.12, "difference": 0.002, "interval": [-0.001, 0.004]}}
    row = {"size_bytes": 4e6, "latency_s": {"1": 0.2}, "measured": {"relative_error": 0.0}, "clips": None}
    small = {"size_bytes": 1e6, "latency_s": {"1": 0.1}, "measured": {"relative_error": 0.05}, "clips": clips}
    cells = [cell.strip() for cell in table({"fp32": row, "int8": small}).splitlines()[-1].strip("|").split("|")]
    assert cells == ["int8", "1.00", "0.250", "0.50", "0.0500", "WER 0.1200, +0.0020 (-0.0010 to +0.0040)"]
