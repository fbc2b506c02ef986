"""The record of a comparison: what a user's command wrote, without samples and without this machine's folders."""

import json

import pytest

from benchmarks.records.command_recorder import Road
from benchmarks.records.speed import peers


@pytest.fixture
def output(tmp_path):
    """What `wav2edge bench --against` leaves behind, as far as the record goes."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("latency.png", "latency-dark.png", "memory.png", "section-3.png"):
        (folder / name).write_bytes(name.encode())
    (folder / "report.md").write_text(f"`wav2edge bench bundle --output {folder}`\n")
    (folder / "report.html").write_text("<p>")
    (folder / "samples.jsonl").write_text("{}\n")
    (folder / "summary.json").write_text(json.dumps({"systems": [], "command": f"wav2edge bench --output {folder}"}))
    return folder


def test_the_record_keeps_report_and_charts_and_names_no_folder_of_this_machine(output, tmp_path):
    road = Road({output: "OUTPUT"})
    peers.keep(output, tmp_path / "result", road)
    kept = {path.name for path in (tmp_path / "result").iterdir()}
    assert kept == {"latency.png", "latency-dark.png", "memory.png", "section-3.png", "report.md", "record.json"}
    record = json.loads((tmp_path / "result" / "record.json").read_text())
    assert record["command"] == "wav2edge bench --output OUTPUT"
    assert {"systems", "steps", "environment"} <= set(record)
    assert (tmp_path / "result" / "report.md").read_text() == "`wav2edge bench bundle --output OUTPUT`\n"


def test_the_command_is_the_one_a_user_types(output, tmp_path, monkeypatch):
    words = []
    monkeypatch.setattr(Road, "run", lambda self, *each, accepted: words.extend([accepted, *map(str, each)]) or "")
    arguments = ["--shape", "xlsr-53", "--rounds", "2", "--output", str(output), "--result", str(tmp_path / "result")]
    peers.main(arguments)
    assert words == [
        (0, 1),
        *("bench", "--against", "all", "--seconds", "0.5,1,3,10", "--rounds", "2", "--shape", "xlsr-53"),
        *("--output", str(output)),
    ]


def test_a_failing_peer_is_accepted_and_a_bundle_that_is_none_is_not(tmp_path):
    road = Road()
    with pytest.raises(Exception, match="exit status 3"):
        road.run("inspect", tmp_path, accepted=(0, 1))
