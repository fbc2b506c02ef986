"""A record holds the very commands that made it, and nothing of the machine's own paths."""

import json
from pathlib import Path

import pytest

from benchmarks.records.command_recorder import Road
from tests.runtime.tiny_bundle import write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def test_a_road_runs_the_command_and_records_it_under_the_name_it_was_given(bundle, tmp_path):
    road = Road({bundle: "BUNDLE"})
    facts = road.report("inspect", bundle, "--json")
    assert facts["heads"] == ["ctc", "classification"]
    road.write(tmp_path / "deep" / "record.json", {"facts": facts})
    record = json.loads((tmp_path / "deep" / "record.json").read_text())
    assert [step["command"] for step in record["steps"]] == ["wav2edge inspect BUNDLE --json"]
    assert record["steps"][0]["seconds"] > 0
    assert record["environment"]["physical_cores"] >= 1
    assert str(bundle) not in json.dumps(record["steps"])


def test_a_command_that_fails_ends_the_record(bundle, tmp_path):
    road = Road()
    with pytest.raises(Exception, match="exit status 3"):
        road.run("inspect", tmp_path / "nowhere")
    assert road.steps == []


def test_a_folder_is_named_in_every_path_below_it_and_in_no_other_word(tmp_path):
    road = Road({Path("data"): "DATA", Path("data/out"): "OUTPUT"})
    shown = road.command("train", Path("data"), "--data", "data/test", "--output", Path("data/out/model"), "database")
    assert shown == "wav2edge train DATA --data DATA/test --output OUTPUT/model database"
