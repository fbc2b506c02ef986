"""What happens to a process: threads, signals, a full disk, a clock that is set back, an empty environment."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wav2edge
from tests.faults.conftest import MODELS
from wav2edge.audio.clip import load_clip

THREADS = 16
LIMIT_S = 60
RUNTIME = Path(__file__).parents[2] / "runtime/wav2edge"
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals and limits")


# Threads


def test_sixteen_threads_on_one_engine_give_the_outputs_of_one_bit_for_bit(words, spoken):
    clips = [load_clip(path).samples for path in spoken]
    expected = [words.outputs(clip) for clip in clips]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda number: words.outputs(clips[number % len(clips)]), range(4 * THREADS)))
    for number, outputs in enumerate(found):
        for name, values in expected[number % len(clips)].items():
            np.testing.assert_array_equal(outputs[name], values)


@pytest.mark.parametrize("kind", ["cached", "windowed"])
def test_sixteen_streams_on_one_engine_say_what_one_says(spoken, kind):
    engine = wav2edge.load(MODELS / "words-stream", threads=1)
    samples = load_clip(spoken[0]).samples

    def said(_: int) -> list[wav2edge.Partial | wav2edge.Final]:
        with engine.stream(kind=kind) as stream:
            blocks = (samples[start : start + 1_600] for start in range(0, len(samples), 1_600))
            events = [*(event for block in blocks for event in stream.feed(block)), *stream.finish()]
        told = [event for event in events if kind == "cached" or isinstance(event, wav2edge.Final)]
        return [replace(event, latency_s=0.0) for event in told]  # partial answers of windows come where there is time

    expected = said(0)
    assert expected
    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(said, range(THREADS))) == [expected] * THREADS


# Signals and limits


@pytest.fixture
def folder(save, second) -> Path:
    """More clips than are answered before a signal comes."""
    first = Path(save("clips/0000.wav", second))
    for number in range(1, 1_000):
        os.link(first, first.with_name(f"{number:04}.wav"))
    return first.parent


def start(*words: object, **options: Any) -> subprocess.Popen[bytes]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "wav2edge", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@needs_posix
@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", -15), ("SIGKILL", -9)])
def test_a_batch_that_a_signal_ends_has_whole_lines_and_resumes_to_all(cli, bundle, folder, tmp_path, name, code):
    lines = tmp_path / "found.jsonl"
    words = ("run", bundle, folder, "--output", lines, "--format", "jsonl")
    # A shell's job in the background hands down that interrupts are ignored.
    process = start(*words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    ends_s = time.monotonic() + LIMIT_S
    while not (lines.exists() and lines.stat().st_size) and time.monotonic() < ends_s:
        time.sleep(0.005)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == code
    assert err == (b"wav2edge: interrupted\n" if name == "SIGINT" else b"")
    answered = lines.read_bytes()
    assert 0 < answered.count(b"\n") < 1_000
    assert cli(*words, "--resume").code == 0
    assert lines.read_bytes().startswith(answered)
    assert [Path(json.loads(line)["path"]).stem for line in lines.open()] == [f"{number:04}" for number in range(1_000)]


def limit_files() -> None:
    """No file of this process may be longer: what a full disk is, for those who may not make one."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


@needs_posix
@pytest.mark.slow
def test_a_disk_that_is_full_ends_a_batch_in_one_line_and_it_resumes_where_there_is_room(cli, bundle, folder, tmp_path):
    lines = tmp_path / "found.jsonl"
    words = ("run", bundle, folder, "--output", lines, "--format", "jsonl")
    process = start(*words, preexec_fn=limit_files)
    out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (1, b"")
    assert err.decode().splitlines() == ["wav2edge: input or output: File too large"]
    assert lines.stat().st_size <= 20_000
    assert cli(*words, "--resume").code == 0
    assert len(lines.read_text().splitlines()) == 1_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("form", ["text", "json", "srt"])
def test_standard_output_on_a_full_disk_is_one_line(bundle, clip, form):
    with open("/dev/full", "wb") as full:
        words = [sys.executable, "-m", "wav2edge", "run", str(bundle), str(clip), "--format", form]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, check=False, timeout=LIMIT_S)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["wav2edge: input or output: No space left on device"]


# The clock and the environment

DATES = {"serving/observing/request_log.py", "evaluation/benchmark/tuning/tuning.py"}
"""Modules that write down when something was; nothing is measured by what they read."""
WALL_CLOCK = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime"}


def reads_the_wall_clock(path: Path) -> bool:
    """Whether a module calls something that a clock that is set back would disturb."""
    calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    functions = (call.func for call in calls if isinstance(call.func, ast.Attribute))
    return any(
        each.attr in WALL_CLOCK and isinstance(each.value, ast.Name) and each.value.id in ("time", "datetime", "date")
        for each in functions
    )


def test_nothing_but_dates_is_read_from_the_wall_clock():
    found = {path.relative_to(RUNTIME).as_posix() for path in RUNTIME.rglob("*.py") if reads_the_wall_clock(path)}
    assert found <= DATES
    assert found


def test_a_clock_that_is_set_back_changes_nothing(cli, bundle, clip, engine, monkeypatch):
    expected = engine(clip).to_dict()
    moments = count(10**9, -86_400)
    monkeypatch.setattr(time, "time", lambda: float(next(moments)))
    assert cli("run", bundle, clip, "--format", "json").json == {"path": str(clip), **expected}
    assert cli("verify", bundle).code == 0
    with engine.stream() as stream:
        events = [*stream.feed(load_clip(clip).samples), *stream.finish()]
    assert [event.start_s for event in events] == sorted(event.start_s for event in events)


BARE = """
import os, socket, sys

def refuse(*_, **__):
    raise OSError("there is no network here")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from wav2edge.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_home_network_locale_and_other_processors_it_answers(bundle, clip, engine):
    words = [sys.executable, "-c", BARE, "run", str(bundle), str(clip)]
    nothing = {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "LC_ALL": "C"}
    done = subprocess.run(words, capture_output=True, env=nothing, cwd="/", check=False, timeout=LIMIT_S)
    result = engine(clip)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"{result.text}\t{result.label}\n"
