"""A record holds the commands that made it, without the machine's paths."""

import json
from pathlib import Path

import pytest

from benchmarks.records.command_recorder import CommandRecorder
from tests.runtime.tiny_bundle import write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def test_a_command_is_run_and_recorded_with_the_names_of_its_paths(bundle, tmp_path):
    recorder = CommandRecorder({bundle: "BUNDLE"})
    facts = recorder.report("inspect", bundle, "--json")
    assert facts["heads"] == ["ctc", "classification"]
    recorder.write(tmp_path / "deep" / "record.json", {"facts": facts})
    record = json.loads((tmp_path / "deep" / "record.json").read_text())
    assert [step["command"] for step in record["steps"]] == ["wav2edge inspect BUNDLE --json"]
    assert record["steps"][0]["seconds"] > 0
    assert record["environment"]["physical_cores"] >= 1
    assert str(bundle) not in json.dumps(record["steps"])


def test_a_command_that_fails_ends_the_record(bundle, tmp_path):
    recorder = CommandRecorder()
    with pytest.raises(Exception, match="exit status 3"):
        recorder.run("inspect", tmp_path / "nowhere")
    assert recorder.steps == []


def test_a_folder_is_named_in_every_path_below_it_and_in_no_other_word(tmp_path):
    recorder = CommandRecorder({Path("data"): "DATA", Path("data/out"): "OUTPUT"})
    shown = recorder.command(
        "train", Path("data"), "--data", "data/test", "--output", Path("data/out/model"), "database"
    )
    assert shown == "wav2edge train DATA --data DATA/test --output OUTPUT/model database"


@pytest.mark.parametrize(
    ("left", "ran"),
    [
        (None, ["train DATA --output OUTPUT"]),
        ("checkpoints/1", ["train DATA --output OUTPUT --resume"]),
        ("report.json", []),
    ],
)
def test_a_complete_checkpoint_is_kept_and_an_interrupted_training_resumed(left, ran, monkeypatch, tmp_path):
    commands = []
    monkeypatch.setattr(
        CommandRecorder,
        "run",
        lambda self, *words, **_: commands.append(self.command(*words).removeprefix("wav2edge ")),
    )
    checkpoint = tmp_path / "checkpoint"
    if left is not None:
        (checkpoint / left).parent.mkdir(parents=True)
        (checkpoint / left).write_text("{}")
    recorder = CommandRecorder({checkpoint: "OUTPUT"})
    assert recorder.train_once("train", "DATA", checkpoint=checkpoint) == "wav2edge train DATA --output OUTPUT"
    assert commands == ran
