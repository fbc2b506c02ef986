"""The record of archives: what it measures is what there was, and the page on archives shows its figures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from benchmarks.records.archives import __main__ as archives
from benchmarks.records.archives.process_time import Processes, environment_of, timed
from tests.docs.pages import ROOT

RECORD = ROOT / "benchmarks/results/archives.json"
PAGE = ROOT / "docs/archives.md"
XLSR = ROOT / "benchmarks/results/peers-xlsr53-vnni/record.json"
WORKERS = 1_000
WAV_BYTES_PER_S = 32_000
MACHINES = {"c7a.8xlarge": (32, 1.64), "c7i.8xlarge": (16, 1.43)}
"""Machine -> its cores, and what it is assumed to cost for an hour in US dollars."""
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def record():
    return json.loads(RECORD.read_text(encoding="utf-8"))


@slow
def test_time_is_taken_from_the_first_line_to_the_last():
    code = "import time; print('{}', flush=True); time.sleep(0.4); print('a\\t5\\t0', flush=True)"
    spent = timed([sys.executable, "-c", code])
    assert spent.clips == 5
    assert 0.3 < spent.work_s < 5
    assert spent.printed == "{}\na\t5\t0\n"


@slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processor_time_of_grandchildren_is_counted():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'], env={})"
    with Processes() as processes:
        process = subprocess.Popen([sys.executable, "-c", code], env=environment_of(processes.mark))
        try:
            while processes.cpu_s < 0.3:
                assert process.poll() is None
        finally:
            for pid in [*processes.named("while True"), process.pid]:
                os.kill(pid, signal.SIGKILL)
            process.wait()


@slow
def test_the_corpus_has_so_many_clips_and_one_in_a_hundred_is_bad(tmp_path):
    links = sorted(archives.corpus(ROOT / "models", tmp_path, 300).iterdir())
    assert len(links) == 300
    assert all(link.is_file() for link in links)
    assert [number for number, link in enumerate(links) if "bad" in link.readlink().name] == [0, 100, 200]
    assert archives.corpus(ROOT / "models", tmp_path, 300).name == "clips"


def test_ratios_are_those_of_the_same_round():
    rounds = [{"clips_per_s": 10.0, "cpu_ms_per_clip": 3.0}, {"clips_per_s": 20.0, "cpu_ms_per_clip": 6.0}]
    others = [{"clips_per_s": 20.0, "cpu_ms_per_clip": 2.0}, {"clips_per_s": 20.0, "cpu_ms_per_clip": 2.0}]
    assert archives.ratios(rounds, others) == {"median": 1.5, "low": 1.0, "high": 2.0, "cpu_time": 2.25}


def test_two_workers_on_ray_are_within_the_bar_and_give_the_same_lines(record):
    assert record["lines"] == archives.CLIPS
    assert record["failed"] == archives.CLIPS // archives.BAD_ONE_IN
    for name in archives.OTHERS:
        assert record["time_over_threads"][name]["median"] <= 1.3
        assert record["systems"][name]["same_lines"]


def test_what_is_killed_half_way_loses_nothing(record):
    a_process, an_actor, a_run = record["killed"]
    assert [a_process["deaths"], an_actor["deaths"]] == [1, 1]
    assert 0 < a_run["done_before"] < archives.CLIPS // archives.SHARD
    assert all(each["same_lines"] for each in record["killed"])


def tables() -> list[list[list[str]]]:
    """The tables of the page, from that of the measurements on, each as its rows without the header."""
    text = PAGE.read_text(encoding="utf-8").split("## What was measured")[1]
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    return [
        [[cell.strip() for cell in row.strip("|").split("|")] for row in block.splitlines()[2:]] for block in blocks
    ]


def test_the_page_has_the_figures_of_the_record(record):
    measured = []
    for name, each in record["systems"].items():
        ratio = record["time_over_threads"].get(name)
        measured.append(
            [
                name,
                f"{each['clips_per_s']:.1f}",
                "1" if ratio is None else f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})",
                "1" if ratio is None else f"{ratio['cpu_time']:.2f}",
                f"{each['first_line_s']:.1f}",
            ]
        )
    assert tables()[0] == measured


def core_seconds(record) -> dict[str, float]:
    """Processor time for a second of speech, as measured."""
    clip_s = record["sizes"]["speech_s"] / (record["lines"] - record["failed"])
    ours = json.loads(XLSR.read_text(encoding="utf-8"))["systems"][0]["latency"]
    (ten_s,) = (each for each in ours if each["duration_s"] == 10)
    small = record["systems"]["actors of Ray"]["cpu_ms_per_clip"] / 1e3 / clip_s
    return {"`models/words`, 1.2 M parameters": small, "XLSR-53's shape, 315 M, int8": 2 * ten_s["median_s"] / 10}


def test_a_thousand_workers_are_worked_out_from_what_was_measured(record):
    flac, parquet = record["sizes"]["flac_bytes_per_s"], record["sizes"]["parquet_bytes_per_s"]
    _, loads, costs = tables()
    found = core_seconds(record)
    assert loads == [
        [
            name,
            f"{core_s:.4f}",
            f"{WORKERS / core_s:,.0f} s",
            f"{WORKERS / core_s * flac / 1e6:,.0f} MB",
            f"{WORKERS / core_s * WAV_BYTES_PER_S / 1e6:,.0f} MB",
            f"{WORKERS / core_s * parquet / 1e6:,.1f} MB",
        ]
        for name, core_s in found.items()
    ]
    assert costs == [
        [name, f"{1e3 * core_s:.1f}", *(f"${1e3 * core_s / cores * price:.2f}" for cores, price in MACHINES.values())]
        for name, core_s in found.items()
    ]
