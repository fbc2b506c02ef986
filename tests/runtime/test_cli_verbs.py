"""`wav2edge evaluate`, `wav2edge inspect`, and the verbs whose packages may be missing."""

from __future__ import annotations

import importlib

import pytest

from wav2edge.cli.command import Command
from wav2edge.cli.verbs import VERBS, load_command

# Evaluation data


@pytest.fixture
def dataset(save, second, tmp_path):
    """A data set of good clips, and the rows given."""

    def write(*rows: str):
        for name in ("a.wav", "b.wav"):
            save(f"data/{name}", second)
        lines = ["file_name,transcription,label", *rows]
        (tmp_path / "data/metadata.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "data"

    return write


def test_evaluate_reports_as_json_and_as_a_table(cli, bundle, dataset, engine, second):
    answer = engine(second, rate_hz=16_000)
    data = dataset(f"a.wav,{answer.text},{answer.label}", f"b.wav,zz,{answer.label}")
    outcome = cli("evaluate", bundle, data, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert (outcome.json["accuracy"], outcome.json["clips"]) == (1.0, 2)
    assert outcome.json["wer"] > 0
    table = cli("evaluate", bundle, data)
    assert f"WER       {outcome.json['wer']:.4f}" in table.out


def test_an_unknown_label_in_the_data_is_refused_with_its_line(cli, bundle, dataset):
    data = dataset("a.wav,x,1", "b.wav,x,left")
    outcome = cli("evaluate", bundle, data)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.complaint == (
        f"wav2edge: {data / 'metadata.csv'}:3: label 'left' is unknown to the model, which has 0, 1, 2, 3"
    )


def test_a_clip_that_cannot_be_heard_is_named_and_the_rest_is_reported(cli, bundle, dataset):
    data = dataset("a.wav,x,1", "gone.wav,x,1")
    outcome = cli("evaluate", bundle, data, "--json")
    assert (outcome.code, outcome.json["clips"]) == (1, 1)
    assert outcome.complaint == (
        f"wav2edge: {data / 'metadata.csv'}:3: {data / 'gone.wav'}: no such file; check the path"
    )


def test_a_split_that_is_not_there_is_refused(cli, bundle, dataset):
    outcome = cli("evaluate", bundle, dataset("a.wav,x,1"), "--split", "test")
    assert outcome.code == 1
    assert "no row belongs to the split 'test'" in outcome.complaint


# What a bundle is


def test_inspect_says_what_a_bundle_is_without_opening_a_graph(cli, own_bundle):
    (own_bundle / "onnx/model.onnx").unlink()
    outcome = cli("inspect", own_bundle, "--json")
    assert outcome.code == 0
    facts = outcome.json
    assert (facts["heads"], facts["labels"]) == (["ctc", "classification"], ["0", "1", "2", "3"])
    assert (facts["frame_ms"], facts["shortest_clip_ms"], facts["speed_class"]) == (20.0, 25.0, "tiny")
    assert facts["variants"]["int8"]["size_bytes"] == (own_bundle / "onnx/model_quantized.onnx").stat().st_size
    text = cli("inspect", own_bundle).out
    assert "(default)" in text
    assert "frames      one each 20 ms; clips from 25 ms" in text


# Verbs whose packages may be missing


@pytest.fixture
def export_needs(monkeypatch):
    """Make `wav2edge export` a verb that fails on the import of a module."""

    def install(module: str) -> None:
        def run(options: object) -> int:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)

        command = Command(name="export", summary="does something", add_arguments=lambda parser: None, run=run)
        monkeypatch.setattr(importlib.import_module("wav2edge.cli.main"), "load_command", lambda name: command)

    return install


def test_a_verb_that_finds_its_packages_missing_names_the_extra(cli, export_needs):
    export_needs("torch")
    outcome = cli("export")
    assert outcome.code == 3
    assert outcome.complaint == (
        "wav2edge: `wav2edge export` needs torch, which is not installed; run: pip install 'wav2edge[export]'"
    )


def test_a_missing_module_of_our_own_is_a_fault_and_no_missing_extra(cli, export_needs):
    export_needs("wav2edge_export.nothing")
    outcome = cli("export")
    assert outcome.code == 1
    assert "unexpected ModuleNotFoundError" in outcome.complaint


def test_every_verb_of_the_table_loads_and_is_listed_in_its_order(cli):
    listed = cli("--help").out
    places = [listed.index(f"\n    {name} ") for name in VERBS]
    assert places == sorted(places)
    assert [load_command(name).name for name in VERBS] == list(VERBS)
