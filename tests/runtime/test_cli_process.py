"""The command line as a process of its own: pipes that close, signals, and an interpreter that must leave quietly."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from wav2edge.cli import main
from wav2edge.inference.many_clips import WORKERS

pytestmark = pytest.mark.slow  # starts an interpreter in most of its tests

LIMIT_S = 30
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals")


@pytest.fixture
def start(python):
    """Start the command line, and end it whatever the test did."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(*words: object, **options: object) -> subprocess.Popen[bytes]:
        if sys.platform != "win32":  # a shell's job in the background hands down that interrupts are ignored
            options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        running.append(python("-m", "wav2edge", *words, **options))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def shell() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run the command line with a redirection of a POSIX shell."""
    if sys.platform == "win32":
        pytest.skip("no POSIX shell")

    def run(*words: object, redirection: str) -> subprocess.CompletedProcess[bytes]:
        line = shlex.join([sys.executable, "-m", "wav2edge", *map(str, words)])
        return subprocess.run(f"{line} {redirection}", shell=True, capture_output=True, check=False, timeout=LIMIT_S)

    return run


def test_a_clip_is_read_from_a_pipe(start, bundle, clip, engine):
    process = start("run", bundle, "-")
    out, err = process.communicate(clip.read_bytes(), timeout=LIMIT_S)
    result = engine(clip)
    assert (process.returncode, err) == (0, b"")
    assert out.decode() == f"{result.text}\t{result.label}\n"


@needs_signals
def test_an_interrupt_while_it_waits_for_standard_input_ends_it_at_once(start, bundle, clip):
    process = start("run", bundle, *[clip] * WORKERS, clip, "-", "--format", "jsonl")
    process.stdin.write(b"RIFF")
    process.stdin.flush()
    assert process.stdout.readline().startswith(b'{"path"')  # all the clips are taken; standard input is next
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=LIMIT_S) == 130
    assert process.stderr.read() == b"wav2edge: interrupted\n"


@needs_signals
def test_a_reader_that_has_seen_enough_ends_it_quietly(start, bundle, clip):
    process = start("run", bundle, *[clip] * 300, "--format", "jsonl")
    assert process.stdout.readline().startswith(b'{"path"')
    process.stdout.close()
    process.wait(timeout=LIMIT_S)
    assert (process.returncode, process.stderr.read()) == (1, b"")


def test_closed_standard_output_is_no_traceback(start, bundle, clip):
    reading, writing = os.pipe()
    os.close(reading)
    process = start("run", bundle, clip, stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err) == (1, b"")


@pytest.mark.parametrize("words", [("run", "clip"), ("run", "clip", "--format", "json"), ("inspect",)])
def test_standard_output_that_is_not_open_is_one_line(shell, bundle, clip, words):
    verb, *further = words
    finished = shell(verb, bundle, *(clip if word == "clip" else word for word in further), redirection=">&-")
    assert finished.returncode == 1
    assert finished.stderr.decode().splitlines() == [
        "wav2edge: standard output is closed; send it to a file or a pipe, or to the null device"
    ]


def test_messages_never_go_to_standard_output_when_standard_error_is_closed(shell, bundle, clip, tmp_path):
    finished = shell("run", bundle, clip, tmp_path / "gone.wav", "--format", "json", redirection="2>&-")
    assert finished.returncode == 1
    assert ["error" in entry for entry in json.loads(finished.stdout)] == [False, True]


@needs_signals
def test_a_named_pipe_says_what_it_waits_for_and_can_be_interrupted(start, bundle, tmp_path):
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    process = start("run", bundle, pipe)
    assert process.stderr.readline().decode() == (
        f"wav2edge: {pipe}: a named pipe, waiting until it is written to and closed\n"
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=LIMIT_S) == 130
    assert process.stderr.read() == b"wav2edge: interrupted\n"


@needs_signals
def test_a_named_pipe_is_read_once_it_is_written_to(start, bundle, clip, engine, tmp_path):
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    process = start("run", bundle, pipe, "--format", "json")
    pipe.write_bytes(clip.read_bytes())
    out, _ = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, json.loads(out)) == (0, {"path": str(pipe), **engine(clip).to_dict()})


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_plain_locale_writes_json_that_can_be_read(start, bundle, save, second, monkeypatch, locale):
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    process = start("run", bundle, save("\u03b1.wav", second), "--format", "json")
    out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err) == (0, b"")
    assert b"\\u03b1.wav" in out


@pytest.mark.parametrize("words", [("run", "--format", "jsonl"), ("run", "--format", "json"), ("doctor", "--json")])
@pytest.mark.parametrize("encoding", ["cp1251", "latin-1"])
def test_json_is_ascii_where_standard_output_is_not_utf_8(start, own_bundle, save, second, encoding, words):
    verb, *options = words
    clip = save("caf\u00e9 \u0431 \U0001f600.wav", second)
    (own_bundle / clip.name).touch()
    inputs = [own_bundle, clip] if verb == "run" else [own_bundle]
    process = start(verb, *inputs, *options, env={**os.environ, "PYTHONIOENCODING": encoding})
    out, _ = process.communicate(timeout=LIMIT_S)
    assert clip.name in str(json.loads(out.decode("ascii")))


def test_the_module_and_the_function_give_the_same(start, bundle, clip, capsys):
    out, _ = start("run", bundle, clip).communicate(timeout=LIMIT_S)
    assert main(["run", str(bundle), str(clip)]) == 0
    assert out.decode() == capsys.readouterr().out
