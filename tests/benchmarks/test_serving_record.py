"""The record of the server: what it counts is what there was."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from benchmarks.records.serving import clip_load, killed_server, stream_load
from benchmarks.records.serving.served_process import Outcome, served, upload
from tests.docs.pages import ROOT

MODELS = ROOT / "models"
SOURCES = sorted((MODELS / "clips").glob("*.flac"))


def outcome(request: int, status: int, text: str = "", seconds: float = 0.1) -> Outcome:
    return Outcome(request=request, status=status, content=json.dumps({"text": text}).encode(), seconds=seconds, at_s=0)


def test_answers_are_counted_as_wrong_lost_or_refused():
    expected = [(200, "fu dan"), (415, None)]
    outcomes = [
        outcome(0, 200, "fu dan"),
        outcome(0, 200, "bei jing"),
        outcome(0, 503),
        outcome(0, 0),
        outcome(1, 415),
        outcome(1, 200),
    ]
    found = clip_load.counted(outcomes, expected)
    assert found == {"statuses": {"0": 1, "200": 3, "415": 1, "503": 1}, "wrong": 2, "lost": 1}


def test_latencies_are_those_of_answered_requests_by_length():
    outcomes = [outcome(0, 200, seconds=1.0), outcome(1, 200, seconds=3.0), outcome(0, 415, seconds=9.0)]
    found = clip_load.latencies(outcomes, [0.7, 7.0])
    assert {name: each["max"] for name, each in found.items()} == {"0-1": 1.0, "5-10": 3.0, "all": 3.0}
    assert found["all"]["median"] == 2.0


def test_memory_is_compared_after_the_warm_up():
    rising = [(second, 50.0 if second < clip_load.WARM_S else 100.0 + second) for second in range(50)]
    found = clip_load.memory_growth(rising)
    assert (found["first_mb"], found["last_mb"]) == (118.5, 145.5)
    assert found["growth"] == pytest.approx(145.5 / 118.5 - 1, abs=1e-4)


def test_clips_are_joined_to_lengths_between_the_shortest_and_the_longest(tmp_path):
    lengths_s = sorted(soundfile.info(path).duration for path in clip_load.joined_clips(SOURCES, tmp_path))
    assert np.allclose(lengths_s, np.linspace(0.5, 10.0, clip_load.CLIPS), atol=1e-3)


@pytest.mark.slow
def test_the_three_parts_run_on_small_loads(tmp_path, monkeypatch):
    for name in ("clips", "streams", "kills"):
        (tmp_path / name).mkdir()
    options = ("--threads", "1")
    monkeypatch.setattr(clip_load, "ROUNDS", 1)
    clips = clip_load.measure(MODELS / "words", SOURCES, tmp_path / "clips", clients=2, seconds=1.0, options=options)
    assert (clips["wrong"], clips["lost"], clips["exit_code"]) == (0, 0, 0)
    assert clips["requests"] > 0
    assert all(len(each) == clip_load.ROUNDS for each in clips["next_to_map"]["clips_per_s"].values())
    assert clips["next_to_map"]["rate_over_map"]["low"] > 0
    (streams,) = stream_load.measure(
        MODELS / "words-stream", SOURCES[0], tmp_path / "streams", streams=2, kinds=["cached"], options=options
    )
    assert (streams["streams_with_the_files_finals"], streams["lost_s"], streams["exit_code"]) == (2, 0.0, 0)
    kills = killed_server.measure(
        MODELS / "words", SOURCES, tmp_path / "kills", clients=2, times=1, seconds=0.5, options=options
    )
    assert [each["exit_codes"] for each in kills] == [[-9, 0], [0, 0]]
    for each in kills:
        assert (each["others"], each["hung"], each["zombies"], each["files_left"]) == (0, 0, 0, [])
        assert each["requests"] == each["answered_as_the_engine"] + each["refused"]


@pytest.mark.slow
def test_a_server_that_does_not_start_is_said_so(tmp_path):
    with pytest.raises(RuntimeError, match="did not start; see"), served([tmp_path / "none"], log=tmp_path / "log"):
        pass


def test_an_upload_says_how_long_it_is():
    head, _, body = upload(b"sound", "words").partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


def rows() -> list[str]:
    """The second column of the table of loads on the page on serving."""
    table = (ROOT / "docs/serving.md").read_text(encoding="utf-8").split("## What it bears")[1]
    return [line.strip("| ").split(" | ")[-1] for line in table.splitlines() if line.startswith("| ")][2:]


def test_the_page_on_serving_has_the_figures_of_the_record():
    record = json.loads((ROOT / "benchmarks/results/serving.json").read_text(encoding="utf-8"))
    clips, (killed, stopped) = record["clips"], record["kills"]
    all_s, over = clips["latency_s"]["all"], clips["next_to_map"]["rate_over_map"]
    bad = sum(count for status, count in clips["statuses"].items() if status != "200")
    requests, latency, memory, rate, *streams, kills, stops = rows()
    assert requests == (
        f"{clips['requests']:,} requests: {clips['statuses']['200']:,} answered as the engine answers,"
        f" {bad} bad files refused with the reason, none lost"
    )
    assert latency.startswith(f"median {all_s['median']:.2f} s, 95th percentile {all_s['p95']:.2f} s")
    assert memory == f"{clips['memory']['first_mb']} MB to {clips['memory']['last_mb']} MB"
    assert rate == f"{over['value']:.2f} ({over['low']:.2f} to {over['high']:.2f}, 95 % interval)"
    for row, each in zip(streams, record["streams"], strict=True):
        count, late_s = each["streams"], each["finished_after_the_last_block_s"]["max"]
        assert f"{each['streams_with_the_files_finals']} of {count}" in row
        assert f"{late_s:.2f} s" in row
    assert kills.startswith(f"{killed['answered_as_the_engine']:,} answered, {killed['refused']:,} connections refused")
    assert stops.startswith(f"{stopped['answered_as_the_engine']:,} answered, {stopped['refused']:,} refused")


def test_the_record_keeps_what_the_server_promises():
    record = json.loads((ROOT / "benchmarks/results/serving.json").read_text(encoding="utf-8"))
    clips = record["clips"]
    assert (clips["clients"], clips["wrong"], clips["lost"], clips["exit_code"]) == (32, 0, 0, 0)
    assert set(clips["statuses"]) == {"200", "415", "422"}
    assert abs(clips["memory"]["growth"]) <= 0.02
    assert clips["next_to_map"]["rate_over_map"]["value"] >= 0.9
    for each in record["streams"]:
        assert each["streams_with_the_files_finals"] == each["streams"] == 16
        assert each["lost_s"] == 0
        assert each["finished_after_the_last_block_s"]["max"] < 0.2
    for each in record["kills"]:
        assert (each["others"], each["hung"], each["zombies"], each["files_left"]) == (0, 0, 0, [])
        assert each["open_files"]["after"] < each["open_files"]["under_load"]
