"""Requests that no good client sends, and machines that have no room: each is refused, and can be."""

from __future__ import annotations

import io
import json
import logging
import shutil
import socket
import sys

import pytest

from tests.serving.served import TRANSCRIPTIONS, serving
from wav2edge.errors import UsageError
from wav2edge.inference.sessions.device import import_onnxruntime
from wav2edge.serving.listening import Listener, listen
from wav2edge.serving.observing.request_log import RequestLog
from wav2edge.serving.refusals import Refusal

DISPOSITION = b'Content-Disposition: form-data; name="file"'


def form(*parts: tuple[bytes, bytes]) -> bytes:
    """The body of a form from the headers and values of its fields."""
    return b"".join(b"--X\r\n" + headers + b"\r\n\r\n" + value + b"\r\n" for headers, value in parts) + b"--X--\r\n"


def post(running, body: bytes, **options: str):
    kind = "; ".join(["multipart/form-data; boundary=X", *(f"{name}={value}" for name, value in options.items())])
    answer = running.client.post(TRANSCRIPTIONS, content=body, headers={"Content-Type": kind})
    assert answer.headers["x-request-id"]
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "punycode", "undefined", "utf-16", "rot13", "%ff"])
def test_a_form_in_another_encoding_than_utf8_is_refused(server, charset):
    body = form((DISPOSITION + b'; filename="+2AA-"', b"no sound"))
    status, error = post(server, body, charset=charset)
    assert (status, error["code"]) == (415, "unsupported_media")
    assert error["message"] == f"charset={charset}: send the text of the form as UTF-8"


@pytest.mark.parametrize("charset", ["UTF-8", '"utf-8"', "us-ascii"])
def test_a_form_in_utf8_is_read(server, charset):
    status, error = post(server, form((DISPOSITION + b'; filename="a"', b"no sound")), charset=charset)
    assert (status, error["message"].partition(":")[0]) == (415, "a")


def test_a_refusal_can_be_sent_whatever_it_repeats():
    refusal = Refusal("bad_request", "no field \ud800", param="\ud800")
    assert json.dumps(refusal.document(), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "parts",
    [
        ((DISPOSITION + b"; filename*=UTF-8''%e2%82%ac.flac", b"x"),),
        ((DISPOSITION, b"x"), (DISPOSITION + b'; filename="a"', b"x")),
        ((DISPOSITION + b'; filename="a"', b"x"), (DISPOSITION, b"x")),
    ],
    ids=["filename*", "before", "after"],
)
def test_a_file_without_a_filename_is_said_so(server, parts):
    status, error = post(server, form(*parts))
    assert (status, error["param"]) == (400, "file")
    assert error["message"].startswith("the field 'file' has no filename; send the sound as the field 'file'")


def test_what_a_library_says_again_and_again_is_logged_once_a_second(monkeypatch):
    now_s = 0.0
    monkeypatch.setattr("wav2edge.serving.observing.request_log.time.monotonic", lambda: now_s)
    stream = io.StringIO()
    log = RequestLog(stream)
    logger = logging.Logger("library")
    logger.addHandler(log)
    for _ in range(1_000):
        logger.error("no room\nfor %s", object())
    logger.error("no time")
    now_s = 1.5
    logger.error("no room\nfor %s", object())
    log.end()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["message"].partition("\n")[0] for line in lines] == ["no room", "no time", "no room"]
    assert [line.get("repeated") for line in lines] == [None, None, 999]


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX")
def test_connections_for_which_no_file_may_be_open_are_closed_and_later_ones_answered():
    import resource

    with listen("127.0.0.1", 0) as listener:
        assert isinstance(listener, Listener)
        listener.setblocking(False)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.create_connection(listener.getsockname()) as client:
            with socket.socket() as probe:
                resource.setrlimit(resource.RLIMIT_NOFILE, (probe.fileno(), limits[1]))
            try:
                with pytest.raises(BlockingIOError):
                    listener.accept()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            assert client.recv(1) == b""
        with socket.create_connection(listener.getsockname()):
            listener.setblocking(True)
            listener.accept()[0].close()


@pytest.mark.parametrize(
    ("folder", "message", "expected"),
    [
        (".", ".: no graph of 0.5 s. See ./x.", "tiny: no graph of 0.5 s. See tiny/x."),
        ("models/words", "models/words-stream/a.onnx: missing", "live/a.onnx: missing"),
        ("a", "a: a step of a stream", "tiny: a step of a stream"),
    ],
)
def test_folders_have_their_names_where_they_stand_as_paths(folder, message, expected):
    names = {folder: "tiny", "models/words-stream": "live"}
    assert Refusal.of(UsageError(message), names).message == expected


def test_models_are_listed_after_their_folder_has_gone(engine, bundle, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "gone")
    with serving({"tiny": (engine, folder)}) as running:
        before = running.client.get("/v1/models").json()
        shutil.rmtree(folder)
        assert running.client.get("/v1/models").json() == before
        assert running.client.get("/v1/models/tiny").json() == before["data"][0]


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("127.0.0.1", 99_999, "--port 99999; give 0 to 65535"),
        ("127.0.0.1", -1, "--port -1; give 0 to 65535"),
        ("..", 0, "--host .. --port 0: no name of a machine"),
        (f"{'a' * 64}.example", 0, "no name of a machine"),
    ],
)
def test_an_address_that_cannot_be_is_refused(host, port, says):
    with pytest.raises(UsageError, match=says.replace(".", r"\.")):
        listen(host, port)


def test_an_interrupt_while_onnx_runtime_is_imported_is_one(monkeypatch):
    class Interrupted:
        @staticmethod
        def find_spec(name, *_):
            if name == "onnxruntime":
                raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted, *sys.meta_path])
    with pytest.raises(KeyboardInterrupt):
        import_onnxruntime()
