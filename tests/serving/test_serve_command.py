"""``wav2edge serve`` as a process: its address, its signals, its end, and what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.runtime import tiny_bundle
from tests.serving.served import LIMIT_S, TRANSCRIPTIONS, until, wav
from wav2edge.cli import main
from wav2edge.cli.commands import serve_command
from wav2edge.serving.recognising.served_models import named_sources

pytestmark = pytest.mark.slow  # starts processes

LONG = wav(tiny_bundle.noise(16_000 * 60))
"""A minute, which takes a while, and as an upload is kept on the disk."""
ON_POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")


@contextmanager
def process(*words: object, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port, and its address, until the block ends."""
    command = [sys.executable, "-m", "wav2edge", "serve", *map(str, words)]
    if "--port" not in command:
        command += ["--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env={**os.environ, **environment}, **pipes) as running:
        try:
            url = running.stdout.readline().strip()
            assert url.startswith("http://"), running.stderr.read()
            yield running, url.rstrip("/")
        finally:
            running.kill()


def post(url: str, content: bytes) -> int:
    """The status of an upload; 0 where the connection broke."""
    files = {"file": ("clip.wav", content)}
    return status(lambda: httpx.post(url + TRANSCRIPTIONS, files=files, timeout=LIMIT_S))


def status(answer: Callable[[], httpx.Response]) -> int:
    """The status of an answer; 0 where the connection broke."""
    try:
        return answer().status_code
    except httpx.TransportError:
        return 0


@contextmanager
def held_uploads(url: str, count: int) -> Iterator[tuple[list[Future[int]], threading.Event]]:
    """Uploads that a server has taken, by their statuses; they send their last bytes once the event is set."""
    let_go = threading.Event()
    form = httpx.Request("POST", url, files={"file": ("clip.wav", LONG)})
    body = form.read()

    def content() -> Iterator[bytes]:
        yield body[:-1]
        let_go.wait()
        yield body[-1:]

    def send() -> int:
        headers = {"Content-Type": form.headers["Content-Type"]}
        return status(lambda: httpx.post(url + TRANSCRIPTIONS, content=content(), headers=headers, timeout=LIMIT_S))

    with ThreadPoolExecutor(count) as senders:
        try:
            sent = [senders.submit(send) for _ in range(count)]
            until(lambda: f"wav2edge_requests_taken {count}.0" in httpx.get(f"{url}/metrics").text)
            yield sent, let_go
        finally:
            let_go.set()


@ON_POSIX
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_once_all_that_it_took_is_answered(bundle, number, code):
    with process(bundle, "--threads", 1, "--decoders", 1) as (running, url), held_uploads(url, 4) as (taken, let_go):
        running.send_signal(number)
        until(lambda: httpx.get(f"{url}/ready").status_code == 503)
        let_go.set()
        assert [each.result() for each in taken] == [200] * 4
        out, err = running.communicate(timeout=LIMIT_S)
    assert (running.returncode, out) == (code, "")
    lines = [json.loads(line) for line in err.splitlines()]
    assert (lines[0]["event"], lines[-1]["event"]) == ("serving", "stopped")
    assert [line["status"] for line in lines if line.get("route") == TRANSCRIPTIONS] == [200] * 4


@ON_POSIX
def test_a_second_interrupt_ends_it_at_once(bundle):
    with process(bundle, "--threads", 1, "--decoders", 1) as (running, url), held_uploads(url, 4) as (taken, let_go):
        running.send_signal(signal.SIGINT)
        until(lambda: httpx.get(f"{url}/ready").status_code == 503)
        running.send_signal(signal.SIGINT)
        assert running.wait(LIMIT_S) == 130
        let_go.set()
        statuses = {each.result() for each in taken}
    assert statuses <= {503, 0}


@ON_POSIX
def test_a_kill_leaves_nothing_and_its_address_can_be_taken_at_once(bundle, tmp_path):
    with process(bundle, TMPDIR=str(tmp_path)) as (running, url):
        with held_uploads(url, 4) as (taken, let_go):
            before = set(tmp_path.iterdir())  # ONNX Runtime keeps a file of its own there
            running.kill()
            let_go.set()
            assert [each.result() for each in taken] == [0] * 4
        assert running.wait(LIMIT_S) == -signal.SIGKILL
    assert set(tmp_path.iterdir()) == before
    assert post(url, LONG) == 0
    with process(bundle, "--port", url.rpartition(":")[2]) as (_, again):
        assert again == url
        assert post(url, LONG) == 200


def test_every_line_of_the_log_is_json_whatever_is_sent(bundle):
    with process(bundle, "--threads", 1) as (running, url):
        headers = {"Content-Type": "multipart/form-data; boundary=X"}
        assert httpx.post(url + TRANSCRIPTIONS, content=b"--Y\r\n\r\n", headers=headers).status_code == 400
        running.terminate()
        _, err = running.communicate(timeout=LIMIT_S)
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert {"server", "request"} <= set(events)


@pytest.mark.parametrize(
    ("words", "threads"), [((), 4), (("--decoders", "3"), 2), (("--decoders", "16"), 1), (("--threads", "7"), 7)]
)
def test_decoders_share_the_cores_unless_threads_are_given(bundle, monkeypatch, words, threads):
    asked = []
    monkeypatch.setattr(serve_command, "physical_cores", lambda: 8)
    monkeypatch.setattr(serve_command, "engine_from", lambda options, _: asked.append(options.threads))
    monkeypatch.setattr("wav2edge.serving.recognising.served_models.ServedModel.warm_up", lambda model: None)
    monkeypatch.setattr("wav2edge.serving.listening.serve", lambda *_, **__: 0)
    assert main(["serve", str(bundle), *words]) == 0
    assert asked == [threads]


def test_an_address_that_is_taken_is_said_so(bundle):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", bundle, "--port", port)
    assert done.returncode == 2
    assert done.stderr.startswith(f"wav2edge: --host 127.0.0.1 --port {port}: ")
    assert len(done.stderr.splitlines()) == 1


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wav2edge", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_bundle_that_cannot_be_used_ends_it_before_it_listens(tmp_path):
    done = run("serve", tmp_path / "nothing")
    assert done.returncode == 3
    assert "nothing" in done.stderr


def test_keys_that_others_can_read_are_warned_of_and_so_is_a_server_without_keys_that_all_can_reach(bundle, tmp_path):
    keys = tmp_path / "keys.txt"
    keys.write_text("0123456789abcdef\n")
    keys.chmod(0o644)
    with process(bundle, "--api-keys", keys) as (running, url):
        assert httpx.get(f"{url}/v1/models").status_code == 401
        running.terminate()
        if os.name == "posix":
            assert "others on this machine can read the keys" in running.stderr.readline()
    with process(bundle, "--host", "0.0.0.0") as (running, _):
        running.terminate()
        assert "everybody who reaches 0.0.0.0 may ask" in running.stderr.readline()


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "websockets", "python_multipart", "prometheus_client"])
def test_without_the_extra_it_says_what_to_install(bundle, package):
    code = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        f"from wav2edge.cli import main\nsys.exit(main(['serve', {str(bundle)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "pip install 'wav2edge[serve]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_bundles_are_named_as_they_are_told_or_as_their_folders_are(tmp_path: Path):
    folder = tmp_path / "words"
    folder.mkdir()
    found = named_sources([str(folder), f"live={folder}", "owner/name", "whisper-1=owner/other"])
    assert found == {
        "words": str(folder),
        "live": str(folder),
        "owner/name": "owner/name",
        "whisper-1": "owner/other",
    }
    with pytest.raises(ValueError, match="two bundles are called 'words'"):
        named_sources([str(folder), f"words={folder}"])
    with pytest.raises(ValueError, match="no bundle; give NAME=BUNDLE"):
        named_sources(["words="])
