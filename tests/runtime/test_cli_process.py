"""The command line as a process of its own: pipes that close, signals, and an interpreter that must leave quietly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from wav2edge.cli import main
from wav2edge.inference.parallel import WORKERS

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


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_plain_locale_writes_json_that_can_be_read(start, bundle, save, second, monkeypatch, locale):
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    process = start("run", bundle, save("\u03b1.wav", second), "--format", "json")
    out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err) == (0, b"")
    assert b"\\u03b1.wav" in out


def test_the_module_and_the_function_answer_alike(start, bundle, clip, capsys):
    out, _ = start("run", bundle, clip).communicate(timeout=LIMIT_S)
    assert main(["run", str(bundle), str(clip)]) == 0
    assert out.decode() == capsys.readouterr().out
