"""The measured processes: started, paused, driven by requests, and never left behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wav2edge.errors import BenchmarkError
from wav2edge_compare.measuring.clip_sets import synthetic_clips
from wav2edge_compare.measuring.measured_system import PEER_PROCESS
from wav2edge_compare.measuring.processes import start

pytestmark = pytest.mark.slow  # starts and stops processes


def test_a_process_that_cannot_load_its_system_gives_the_reason_in_one_line(tmp_path):
    np.save(tmp_path / "clip.npy", np.zeros(16_000, np.float32))
    request = {"runner": "wav2edge", "clip": str(tmp_path / "clip.npy")}
    request["arguments"] = {"model": str(tmp_path), "threads": 1, "variant": "int8"}
    with pytest.raises(BenchmarkError, match=r"not a bundle, it has no manifest\.json"):
        start(PEER_PROCESS, request, log=tmp_path / "log")


def test_a_process_that_dies_is_reported_with_the_end_of_its_log(tmp_path):
    with pytest.raises(BenchmarkError, match="No module named"):
        start("wav2edge_compare.nothing", {}, log=tmp_path / "log")


ON_LINUX = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="Linux shows processes in /proc")


@pytest.fixture
def request_for_ours(bundles, tmp_path):
    """The request that starts a variant of our bundle."""
    bundle = bundles("ctc")
    np.save(tmp_path / "clip.npy", synthetic_clips()[0].samples)
    arguments = {"model": str(bundle.folder), "threads": 1, "variant": bundle.manifest.default_variant}
    return {"runner": "wav2edge", "clip": str(tmp_path / "clip.npy"), "arguments": arguments}


def state(pid):
    """The state letter of a process in Linux after a signal took effect: T is stopped; None when it is gone."""
    time.sleep(0.1)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


@ON_LINUX
def test_a_paused_process_sleeps_until_a_request(request_for_ours, tmp_path):
    process, ready, cold_start_s = start(PEER_PROCESS, request_for_ours, log=tmp_path / "log")
    with process:
        assert 0 < ready["load_s"] < ready["first_output_s"] < cold_start_s
        process.pause()
        assert state(process.pid) == "T"
        assert len(process.request(time=2)["latencies_s"]) == 2
        assert state(process.pid) != "T"
        assert process.request(memory=True)["peak_memory_bytes"] > 10e6


@ON_LINUX
def test_a_paused_process_does_not_outlive_a_parent_that_is_killed(request_for_ours, tmp_path):
    parent = f"""
import pathlib, time
from wav2edge_compare.measuring.processes import start
process, _, _ = start({PEER_PROCESS!r}, {request_for_ours!r}, log=pathlib.Path({str(tmp_path / "log")!r}))
process.pause()
print(process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as killed:
        pid = int(killed.stdout.readline())
        assert state(pid) == "T"
        killed.kill()
    assert state(pid) in (None, "Z")
