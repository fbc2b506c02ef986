"""The record of a comparison: the files of a user's command, without samples and without this machine's paths."""

import json

import pytest

from benchmarks.records.command_recorder import CommandRecorder
from benchmarks.records.speed import peers


@pytest.fixture
def output(tmp_path):
    """The files of `wav2edge compare` that a record is made from."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("latency.png", "latency-dark.png", "memory.png", "time.png"):
        (folder / name).write_bytes(name.encode())
    (folder / "report.md").write_text(f"`wav2edge compare bundle --output {folder}`\n")
    (folder / "report.html").write_text("<p>")
    (folder / "samples.jsonl").write_text("{}\n")
    (folder / "summary.json").write_text(json.dumps({"systems": [], "command": f"wav2edge compare --output {folder}"}))
    return folder


def test_the_record_keeps_report_and_charts_and_no_path_of_this_machine(output, tmp_path):
    recorder = CommandRecorder({output: "OUTPUT"})
    peers.keep(output, tmp_path / "result", recorder)
    kept = {path.name for path in (tmp_path / "result").iterdir()}
    assert kept == {"latency.png", "latency-dark.png", "memory.png", "time.png", "report.md", "record.json"}
    record = json.loads((tmp_path / "result" / "record.json").read_text())
    assert record["command"] == "wav2edge compare --output OUTPUT"
    assert {"systems", "steps", "environment"} <= set(record)
    assert (tmp_path / "result" / "report.md").read_text() == "`wav2edge compare bundle --output OUTPUT`\n"


def test_the_command_is_one_that_a_user_types(output, tmp_path, monkeypatch):
    words = []
    monkeypatch.setattr(
        CommandRecorder, "run", lambda self, *each, accepted: words.extend([accepted, *map(str, each)]) or ""
    )
    arguments = ["--shape", "xlsr-53", "--rounds", "2", "--output", str(output), "--result", str(tmp_path / "result")]
    peers.main(arguments)
    assert words == [
        (0, 1),
        *("compare", "--against", "all", "--seconds", "0.5,1,3,10", "--rounds", "2", "--shape", "xlsr-53"),
        *("--output", str(output)),
    ]


def test_a_failing_peer_is_accepted_and_an_invalid_bundle_is_not(tmp_path):
    recorder = CommandRecorder()
    with pytest.raises(Exception, match="exit status 3"):
        recorder.run("inspect", tmp_path, accepted=(0, 1))
