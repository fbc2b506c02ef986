"""Every request is answered or refused with its reason: bounds, time-outs, clients that leave, and bad files."""

from __future__ import annotations

import errno
import io
import json
import math
import socket
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.runtime import tiny_bundle
from tests.serving.served import TRANSCRIPTIONS, Running, serving, until, wav
from wav2edge.serving.listening import listen
from wav2edge.serving.refusals import REASONS, Refusal
from wav2edge.serving.serving_options import ServingOptions

SECOND = wav(tiny_bundle.noise(16_000))


@contextmanager
def half_an_upload(running: Running) -> Iterator[socket.socket]:
    """A connection that has sent the beginning of a form, and sends no more."""
    with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2]))) as slow:
        slow.sendall(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        yield slow


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_no_more_is_recognised_at_once_than_there_are_decoders_and_no_more_waits_than_may(held, bundle):
    with serving({"tiny": (held, bundle)}, decoders=2, queue=3) as running, ThreadPoolExecutor(8) as senders:
        taken = [senders.submit(running.post, SECOND) for _ in range(5)]
        until(lambda: (running.service.pool.busy, running.service.pool.waiting) == (2, 3))
        assert running.metric("wav2edge_queue_length") == 3
        assert running.metric("wav2edge_decoders_busy") == 2
        refused = running.post(SECOND)
        assert reason(refused) == (503, "queue_full")
        assert int(refused.headers["retry-after"]) >= 1
        held.let_go.set()
        assert [each.result().status_code for each in taken] == [200] * 5
        assert held.most_at_once == 2
        assert running.post(SECOND).status_code == 200
        assert running.metric('wav2edge_refusals_total{reason="queue_full"}') == 1
        route = f'wav2edge_requests_total{{model="tiny",route="{TRANSCRIPTIONS}",status="200"}}'
        assert running.metric(route) == 6
        assert running.metric("wav2edge_requests_taken") == 0


def test_a_client_that_leaves_while_it_waits_costs_no_decoder(held, bundle):
    with serving({"tiny": (held, bundle)}, decoders=1) as running, ThreadPoolExecutor(1) as senders:
        first = senders.submit(running.post, SECOND)
        until(lambda: running.service.pool.busy == 1)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(running.url + TRANSCRIPTIONS, files={"file": SECOND}, timeout=1.0)
        until(lambda: running.service.pool.taken == 1)
        assert running.service.pool.waiting == 0
        held.let_go.set()
        assert first.result().status_code == 200
        assert held.answered == 1
        until(lambda: running.metric('wav2edge_refusals_total{reason="client_gone"}') == 1)


def test_what_is_recognised_for_a_client_that_leaves_is_given_up(held, bundle):
    with serving({"tiny": (held, bundle)}, decoders=1) as running:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(running.url + TRANSCRIPTIONS, files={"file": SECOND}, timeout=1.0)
        until(lambda: running.service.pool.busy == 0)
        assert held.at_once == 0
        held.let_go.set()
        assert running.post(SECOND).status_code == 200
        (line,) = until(lambda: [each for each in running.log if each.get("reason") == "client_gone"])
        assert line["status"] == 499


def test_what_takes_too_long_is_given_up_and_not_to_be_sent_again(held, bundle):
    with serving({"tiny": (held, bundle)}, decoders=1, timeout_s=0.2) as running:
        answer = running.post(SECOND)
        assert reason(answer) == (504, "timeout")
        assert answer.headers["x-should-retry"] == "false"
        until(lambda: running.service.pool.busy == 0)
        held.let_go.set()
        assert running.post(SECOND).status_code == 200


def test_an_upload_that_says_it_is_too_large_is_refused(engine, bundle):
    with serving({"tiny": (engine, bundle)}, upload_mb=0.1) as running:
        answer = running.post(wav(tiny_bundle.noise(100_000)))
        assert reason(answer) == (413, "upload_too_large")
        assert running.post(SECOND).status_code == 200


def test_an_upload_that_turns_out_to_be_too_large_is_refused(engine, bundle):
    def chunks():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        for _ in range(2_000):
            yield bytes(10_000)

    with serving({"tiny": (engine, bundle)}, upload_mb=0.1) as running:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = running.client.post(TRANSCRIPTIONS, content=chunks(), headers=headers)
        assert reason(answer) == (413, "upload_too_large")


def test_a_recording_that_is_too_long_is_refused_before_it_is_read(engine, bundle):
    hour = wav(np.zeros(16_000 * 3_600, np.int16), format="FLAC")
    with serving({"tiny": (engine, bundle)}, longest_s=600.0) as running:
        answer = running.post(hour)
    assert reason(answer) == (413, "audio_too_long")
    assert "3600.0 s long; at most 600 s" in answer.json()["error"]["message"]


def test_an_upload_that_does_not_end_is_refused_in_time(engine, bundle):
    with serving({"tiny": (engine, bundle)}, timeout_s=0.3) as running, half_an_upload(running) as slow:
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
        until(lambda: running.service.pool.taken == 0)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"<!doctype html><title>404</title>", (415, "unsupported_media")),
        (b"\0\0\0\x20ftypM4A " + bytes(600), (415, "unsupported_media")),
        (b"\x1aE\xdf\xa3" + bytes(600), (415, "unsupported_media")),
        (b"", (415, "unsupported_media")),
        (b"RIFF\x10\0\0\0WAVEnothing", (422, "invalid_audio")),
        (SECOND[:8_000], (422, "invalid_audio")),
        (wav(np.zeros(16_000, np.int16)), (422, "invalid_audio")),
        (wav(np.zeros(0, np.int16)), (422, "invalid_audio")),
        (wav(np.full(1_000, np.nan), subtype="FLOAT"), (422, "invalid_audio")),
    ],
    ids=["html", "m4a", "webm", "empty", "damaged", "truncated", "silent", "no samples", "nan"],
)
def test_a_bad_file_is_refused_with_its_name_and_reason(server, content, expected):
    answer = server.post(content)
    assert reason(answer) == expected
    assert answer.json()["error"]["message"].startswith("clip.wav: ")
    assert server.post(SECOND).status_code == 200


def test_a_request_that_is_no_form_is_refused(server):
    as_json = server.client.post(TRANSCRIPTIONS, json={"file": "clip.wav"})
    assert reason(as_json) == (415, "unsupported_media")
    without = server.client.post(TRANSCRIPTIONS, files={"sound": SECOND})
    assert reason(without) == (400, "bad_request")
    assert without.json()["error"]["param"] == "file"
    headers = {"Content-Type": "multipart/form-data"}
    assert reason(server.client.post(TRANSCRIPTIONS, content=SECOND, headers=headers)) == (400, "bad_request")
    assert reason(server.client.get(TRANSCRIPTIONS)) == (405, "method_not_allowed")
    assert reason(server.client.post("/v1/audio/speech")) == (404, "not_found")


def test_what_nobody_foresaw_is_one_line_for_the_client_and_a_traceback_in_the_log(engine, bundle, monkeypatch):
    class Broken:
        def __getattr__(self, name):
            return getattr(engine, name)

        def __call__(self, *_, **__):
            raise ZeroDivisionError("deep inside")

    with serving({"tiny": (Broken(), bundle)}) as running:
        answer = running.post(SECOND)
        assert reason(answer) == (500, "failed")
        assert "deep inside" not in answer.text
        (line,) = until(lambda: [each for each in running.log if each.get("status") == 500])
        assert line["request_id"] == answer.headers["x-request-id"]
        assert "deep inside" in line["traceback"]


def test_a_server_that_stops_answers_what_it_took_and_refuses_what_comes(held, bundle):
    with serving({"tiny": (held, bundle)}, decoders=1) as running, ThreadPoolExecutor(3) as senders:
        taken = [senders.submit(running.post, SECOND) for _ in range(3)]
        until(lambda: running.service.pool.waiting == 2)
        assert running.client.get("/ready").status_code == 200
        drained = threading.Thread(target=_drain, args=(running,))
        drained.start()
        until(lambda: running.service.stopping.is_set())
        assert reason(running.post(SECOND)) == (503, "stopping")
        assert reason(running.client.get("/ready")) == (503, "stopping")
        assert running.client.get("/health").status_code == 200
        held.let_go.set()
        assert [each.result().status_code for each in taken] == [200] * 3
        drained.join()


def test_a_server_that_stops_refuses_what_it_cannot_answer_in_time(held, bundle):
    with serving({"tiny": (held, bundle)}, decoders=1, grace_s=0.1) as running, ThreadPoolExecutor(2) as senders:
        taken = [senders.submit(running.post, SECOND) for _ in range(2)]
        until(lambda: running.service.pool.waiting == 1)
        _drain(running)
        assert [reason(each.result()) for each in taken] == [(503, "stopping")] * 2


def test_an_upload_that_has_not_ended_when_a_server_that_stops_waits_no_longer_is_refused(engine, bundle):
    with serving({"tiny": (engine, bundle)}, grace_s=0.1) as running, half_an_upload(running) as slow:
        until(lambda: running.service.pool.taken == 1)
        running.server.should_exit = True
        assert slow.recv(4096).startswith(b"HTTP/1.1 503")


def _drain(running):
    import asyncio

    asyncio.run(running.service.drain())


def test_a_latency_is_counted_under_the_length_of_its_clip(engine, bundle):
    with serving({"tiny": (engine, bundle)}) as running:
        for length_s in (0.5, 1.5, 1.6, 12.0):
            assert running.post(wav(tiny_bundle.noise(round(16_000 * length_s)))).status_code == 200
        counts = {
            name: running.metric(f'wav2edge_request_seconds_count{{length="{name}",model="tiny"}}')
            for name in ("0-1", "1-2", "2-5", "10-30")
        }
        assert counts == {"0-1": 1, "1-2": 2, "2-5": 0, "10-30": 1}
        assert running.metric('wav2edge_audio_seconds_total{kind="clip",model="tiny"}') == pytest.approx(15.6)
        assert 0 < running.metric('wav2edge_compute_seconds_total{kind="clip",model="tiny"}') < 15.6


def test_the_log_says_nothing_of_what_was_said_unless_asked(engine, bundle, clip):
    for asked in (False, True):
        with serving({"tiny": (engine, bundle)}, log_text=asked) as running:
            assert running.post(clip).status_code == 200
            assert running.client.get("/health").status_code == 200
            (line,) = until(lambda running=running: [each for each in running.log if each["event"] == "request"])
        assert line["duration_s"] == 1.0
        assert ("text" in line, "file" in line) == (asked, asked)
        assert ("clip.wav" in json.dumps(line)) == asked


def test_thousands_of_log_lines_that_nobody_reads_hold_up_no_request(engine, bundle, clip):
    let_go = threading.Event()

    class Stuck(io.StringIO):
        def write(self, text):
            let_go.wait()

    from wav2edge.serving.observing.request_log import MOST_LINES, RequestLog

    log = RequestLog(Stuck())
    for number in range(MOST_LINES + 10):
        log.event("request", number=number)
    assert log.lines_lost >= 9
    let_go.set()


def test_answers_do_not_wait_for_acknowledgements():
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP  # asyncio then sets TCP_NODELAY


def test_an_upload_for_which_no_file_may_be_opened_is_refused(engine, bundle, monkeypatch):
    def no_more(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(tempfile, "TemporaryFile", no_more)
    with serving({"tiny": (engine, bundle)}) as running:
        refused = running.post(wav(tiny_bundle.noise(16_000 * 60)))
        assert reason(refused) == (503, "too_many_files")
        assert int(refused.headers["retry-after"]) >= 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_an_upload_for_which_the_disk_has_no_room_is_refused_and_a_small_one_is_answered(engine, bundle, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *_, **__: io.FileIO("/dev/full", "r+"))
    with serving({"tiny": (engine, bundle)}) as running:
        refused = running.post(wav(tiny_bundle.noise(16_000 * 60)))
        assert reason(refused) == (507, "disk_full")
        assert int(refused.headers["retry-after"]) >= 1
        assert "the server's disk is full" in refused.json()["error"]["message"]
        assert running.post(SECOND).status_code == 200
        assert running.metric('wav2edge_refusals_total{reason="disk_full"}') == 1
        assert running.metric("wav2edge_requests_taken") == 0


@pytest.mark.parametrize("name", ["decoders", "upload_mb", "longest_s", "timeout_s"])
def test_a_limit_that_lets_nothing_through_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0; give"):
        ServingOptions(**{name: 0})


@pytest.mark.parametrize("name", ["upload_mb", "longest_s", "timeout_s", "grace_s"])
@pytest.mark.parametrize("value", [math.inf, math.nan, -1.0])
def test_a_limit_is_a_finite_number(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}; give .* and a finite number"):
        ServingOptions(**{name: value})


def test_every_reason_has_a_status_and_a_message_in_openais_shape():
    for name, kind in REASONS.items():
        document = Refusal(name, "why").document()["error"]
        assert document == {"message": "why", "type": kind.type, "param": None, "code": name}
        assert 400 <= kind.status < 600
        assert 1000 <= kind.close_code < 1016
