"""Who may ask: API keys, pages of other origins, and the names that a server is called by."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.serving.served import TRANSCRIPTIONS, Running, serving, until
from wav2edge.serving.serving_options import digest_of, read_keys
from wav2edge.serving.web.gate import is_key

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"
PAGE = "https://app.example"


@pytest.fixture(scope="module")
def locked(engine, bundle) -> Iterator[Running]:
    with serving({"tiny": (engine, bundle)}, key_digests=(digest_of(KEY), digest_of(OTHER))) as running:
        yield running


@pytest.fixture(scope="module")
def shared(engine, bundle) -> Iterator[Running]:
    with serving({"tiny": (engine, bundle)}, origins=(PAGE,), hosts=frozenset({"127.0.0.1", "asr.example"})) as running:
        yield running


@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {KEY}", KEY, "Bearer"])
def test_without_a_key_nothing_is_answered(locked, clip, header):
    headers = {} if header is None else {"Authorization": header}
    for answer in (
        locked.client.post(TRANSCRIPTIONS, files={"file": clip.read_bytes()}, headers=headers),
        locked.client.get("/v1/models", headers=headers),
        locked.client.get("/", headers=headers),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_each_key_opens_everything(locked, clip, key):
    headers = {"Authorization": f"Bearer {key}"}
    answer = locked.client.post(TRANSCRIPTIONS, files={"file": clip.read_bytes()}, headers=headers)
    assert answer.status_code == 200
    with connect(locked.stream_url, additional_headers=headers) as socket:
        socket.send('{"type": "start"}')
        assert json.loads(socket.recv(20))["type"] == "started"


def test_a_stream_whose_client_can_send_no_headers_has_its_key_in_the_first_message(locked):
    for fields, first in (({"api_key": KEY}, "started"), ({"api_key": "wrong"}, "error"), ({}, "error")):
        with connect(locked.stream_url) as socket:
            socket.send(json.dumps({"type": "start", **fields}))
            assert json.loads(socket.recv(20))["type"] == first
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(locked.stream_url, additional_headers={"Authorization": "Bearer wrong"}),
    ):
        pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_what_watches_a_server_needs_no_key(locked, path):
    assert locked.client.get(path).status_code == 200


def test_without_a_key_a_server_says_that_it_is_ready_and_not_what_it_serves(locked, server):
    assert locked.client.get("/ready").json() == {"status": "ready"}
    assert server.client.get("/ready").json() == {"status": "ready", "models": ["tiny"]}


def test_every_key_is_compared_whatever_is_given(monkeypatch):
    import hmac

    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(b) or compare(a, b))
    digests = (digest_of(KEY), digest_of(OTHER))
    assert [is_key(key, digests) for key in (KEY, OTHER, "")] == [True, True, False]
    assert compared == [*digests] * 3


def test_keys_are_read_from_a_file_with_comments(tmp_path):
    path = tmp_path / "keys.txt"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text(f"{KEY}\n# of the app\n\n  {OTHER}  \n", encoding=encoding)
        assert read_keys(path) == (digest_of(KEY), digest_of(OTHER))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("# none\n", "holds no API key"),
        (f"{KEY}\nshort\n", "line 2: an API key of less than 16 characters"),
        (f"{KEY}\u00e4\n", "line 1: an API key with characters that a header cannot hold"),
        (None, "No such file"),
    ],
)
def test_a_file_without_good_keys_is_refused(tmp_path, content, says):
    path = tmp_path / "keys.txt"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        read_keys(path)


def test_pages_of_other_origins_are_refused_unless_they_are_named(server, shared, clip):
    files = {"file": clip.read_bytes()}
    for running, origin, status in (
        (server, PAGE, 403),
        (server, "null", 403),
        (server, "http://[", 403),
        (server, "http://a\u00bcb".encode("latin-1"), 403),
        (server, server.url, 200),
        (shared, PAGE, 200),
        (shared, "https://evil.example", 403),
    ):
        answer = running.client.post(TRANSCRIPTIONS, files=files, headers={"Origin": origin})
        assert answer.status_code == status, origin
    assert "access-control-allow-origin" not in server.client.get("/health").headers


def test_a_page_that_is_named_may_ask_and_read(shared):
    headers = "authorization,x-stainless-os,content-type"
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": headers}
    preflight = shared.client.options(TRANSCRIPTIONS, headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, PAGE)
    assert preflight.headers["access-control-allow-headers"] == headers
    answer = shared.client.post(TRANSCRIPTIONS, headers={"Origin": PAGE})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (415, PAGE)
    foreign = shared.client.get("/health", headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, "access-control-allow-origin" in foreign.headers) == (403, False)


def test_a_socket_of_another_origin_is_refused(server, shared):
    with pytest.raises(InvalidStatus) as refused, connect(server.stream_url, origin=PAGE):
        pass
    assert refused.value.response.status_code == 403
    with connect(shared.stream_url, origin=PAGE):
        pass


@pytest.mark.parametrize("path", ["/v1/models", "/nope"])
def test_a_socket_to_what_is_none_is_told_that_it_is_not_found(server, path):
    with pytest.raises(InvalidStatus) as refused, connect(server.url.replace("http", "ws") + path):
        pass
    answer = refused.value.response
    assert (answer.status_code, json.loads(answer.body)["error"]["code"]) == (404, "not_found")
    until(lambda: any(line["event"] == "stream" and line.get("reason") == "not_found" for line in server.log))


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8000", 200), ("asr.example", 200), ("ASR.example:443", 200), ("evil.example", 403), ("", 403)],
)
def test_a_server_answers_to_its_names_only(shared, host, status):
    assert shared.client.get("/health", headers={"Host": host}).status_code == status
