"""The roofline record of a bundle, over MatMuls and copies that take no time."""

import json

import pytest

from benchmarks.records.speed.roofline import main
from tests.runtime.tiny_bundle import write_bundle
from wav2edge_compare.roofline import roofs


@pytest.fixture(autouse=True)
def small_roofs(monkeypatch):
    monkeypatch.setattr(roofs, "SHAPES", ((64, 128), (128, 64)))
    monkeypatch.setattr(roofs, "COPY_BYTES", 1 << 16)


def test_the_record_of_a_bundle_holds_each_variant_and_no_path_of_this_machine(tmp_path, capsys):
    bundle = write_bundle(tmp_path / "tiny")
    main([str(bundle), "--result", str(tmp_path / "deep/record.json"), "--durations", "0.1", "--threads", "1"])
    text = (tmp_path / "deep/record.json").read_text()
    record = json.loads(text)
    assert list(record["variants"]) == ["fp32", "int8"]
    assert record["variants"]["fp32"]["samples"][0]["clip_s"] == 0.1
    assert str(tmp_path) not in text
    assert "| fp32 MatMuls" in capsys.readouterr().out


def test_only_a_named_variant_is_measured(tmp_path):
    bundle, record = write_bundle(tmp_path / "tiny"), tmp_path / "record.json"
    main([str(bundle), "--variant", "int8", "--durations", "0.1,0.2", "--result", str(record)])
    document = json.loads(record.read_text())
    assert list(document["variants"]) == ["int8"]
    assert [each["clip_s"] for each in document["variants"]["int8"]["samples"]] == [0.1, 0.2]
