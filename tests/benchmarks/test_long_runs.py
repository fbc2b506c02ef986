"""Long recordings and many clips: how they are measured, and what the record shows."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.records.speed import long_runs
from wav2edge.evaluation.dataset import Utterance

RECORD = Path(__file__).parents[2] / "benchmarks/results/long-runs.json"


def test_time_and_memory_are_those_of_the_process():
    small = long_runs.measured("print(1)")
    large = long_runs.measured("held = bytearray(200_000_000); print(len(held))")
    assert (small["printed"], large["printed"]) == (1, 200_000_000)
    assert large["peak_mb"] - small["peak_mb"] > 150
    assert 0 < small["seconds"] < 30


def test_a_process_that_fails_is_told_of():
    with pytest.raises(subprocess.CalledProcessError):
        long_runs.measured("raise SystemExit(3)")


def test_links_go_round_the_clips(tmp_path, monkeypatch):
    monkeypatch.setattr(long_runs, "FILES", 5)
    rows = [Utterance(path=tmp_path / name, where="") for name in ("a", "b")]
    paths = long_runs.links(rows, tmp_path / "files")
    assert [path.readlink().name for path in paths] == ["a", "b", "a", "b", "a"]
    assert long_runs.links(rows, tmp_path / "files") == paths


def test_an_hour_takes_the_memory_of_a_minute_and_a_killed_run_loses_nothing():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    recordings = record["recordings"]
    assert recordings["hour, recognised"]["peak_mb"] <= 1.2 * recordings["minute, recognised"]["peak_mb"]
    assert recordings["hour, aligned"]["peak_mb"] - recordings["hour, recognised"]["peak_mb"] <= 300
    assert recordings["hour, aligned"]["seconds"] - recordings["hour, recognised"]["seconds"] <= 30
    assert record["killed"] == {**record["killed"], "same_bytes": True, "kills": 10, "files": 10_000}
