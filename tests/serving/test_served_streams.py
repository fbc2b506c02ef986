"""Streams over a WebSocket: events are those of the engine's stream, sound is bounded, and every end says why."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import wav2edge
from tests.runtime import tiny_bundle
from tests.serving.conftest import MODELS
from tests.serving.served import serving, until
from wav2edge.audio.clip import load_clip
from wav2edge.serving.websocket.fed_stream import WAITING_ITEMS, FedStream
from wav2edge.serving.websocket.stream_messages import WHEN_LATE, Start

SECOND = (tiny_bundle.noise(16_000) * 32_767).astype("<i2")
BLOCK = 320


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    """The recording that comes with the streaming model, `[samples] int16`."""
    return np.round(load_clip(MODELS / "stream.flac").samples * 32_767).astype("<i2")


@contextmanager
def opened(running, **start) -> Iterator[ClientConnection]:
    """A stream that has begun."""
    with connect(running.stream_url) as socket:
        socket.send(json.dumps({"type": "start", **start}))
        assert json.loads(socket.recv(10))["type"] == "started"
        yield socket


def finish(socket: ClientConnection) -> list[dict]:
    """End a stream, and give everything that it says until it is closed."""
    socket.send(json.dumps({"type": "finish"}))
    return rest(socket)


def rest(socket: ClientConnection) -> list[dict]:
    """Everything that it says until it is closed, for whatever reason."""
    said = []
    with suppress(ConnectionClosedError):
        said.extend(json.loads(text) for text in socket)
    return said


def say(socket: ClientConnection, pcm: np.ndarray, block: int = BLOCK) -> None:
    for at in range(0, len(pcm), block):
        socket.send(pcm[at : at + block].tobytes())


def heard(engine: wav2edge.Engine, pcm: np.ndarray, **how) -> list[dict]:
    """What the engine's own stream says."""
    with engine.stream(**how) as stream:
        events = [event for at in range(0, len(pcm), BLOCK) for event in stream.feed(pcm[at : at + BLOCK])]
        return [event.to_dict() for event in events + stream.finish()]


def without_latency(events: list[dict]) -> list[dict]:
    """Events without what differs from one run to the next."""
    return [{name: value for name, value in each.items() if name != "latency_s"} for each in events]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cached", "two-pass", "windowed"])
def test_a_stream_says_what_the_engines_own_stream_says(shipped_server, shipped, spoken, kind):
    with opened(shipped_server, model="live", kind=kind) as socket:
        reader = threading.Thread(target=say, args=(socket, spoken))
        reader.start()
        said = []
        while not said or said[-1]["type"] != "final" or len([each for each in said if each["type"] == "final"]) < 5:
            said.append(json.loads(socket.recv(20)))
        reader.join()
        said += finish(socket)
    assert socket.close_code == 1000
    finished = said.pop()
    assert (finished["type"], finished["lost_s"]) == ("finished", 0.0)
    assert finished["duration_s"] == pytest.approx(len(spoken) / 16_000)
    own = heard(shipped["live"][0], spoken, kind=kind)
    if kind == "windowed":  # where it falls behind, its steps, and so its partial answers, are further apart
        said, own = ([each for each in events if each["type"] == "final"] for events in (said, own))
    assert without_latency(said) == without_latency(own)


def test_finals_alone_at_another_rate_from_two_channels_of_floats(server, engine):
    sound = np.stack([tiny_bundle.noise(16_000), tiny_bundle.noise(16_000, seed=2)], axis=1).repeat(2, axis=0)
    with opened(
        server, rate_hz=32_000, channels=2, encoding="f32le", partials=False, kind="windowed", chunk_ms=100
    ) as socket:
        for at in range(0, len(sound), 640):
            socket.send(sound[at : at + 640].astype("<f4").tobytes())
        *said, finished = finish(socket)
    with engine.stream(rate_hz=32_000, kind="windowed", chunk_ms=100) as stream:
        events = [each for at in range(0, len(sound), 640) for each in stream.feed(sound[at : at + 640])]
        own = [event.to_dict() for event in events + stream.finish() if isinstance(event, wav2edge.Final)]
    assert own
    assert without_latency(said) == without_latency(own)
    assert finished["duration_s"] == pytest.approx(1.0, abs=0.01)


def test_a_gap_ends_an_utterance_and_moves_the_clock(server):
    with opened(server) as socket:
        socket.send(SECOND.tobytes())
        socket.send(json.dumps({"type": "gap", "lost_s": 2.5}))
        socket.send(SECOND.tobytes())
        *said, finished = finish(socket)
    assert {"type": "gap", "start_s": 1.0, "lost_s": 2.5} in said
    assert (finished["duration_s"], finished["lost_s"]) == (4.5, 2.5)


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ("hello", "no JSON"),
        ("[]", "not a message that is known here"),
        ('{"type": "begin"}', "begin with type 'start'"),
        ('{"type": "start", "rate": 16000}', "no field 'rate'; known are model, rate_hz"),
        ('{"type": "start", "rate_hz": "16000"}', "give a whole number"),
        ('{"type": "start", "partials": 1}', "give true or false"),
        ('{"type": "start", "encoding": "mp3"}', "choose s16le, f32le"),
        ('{"type": "start", "channels": 0}', "give 1 to"),
        ('{"type": "start", "kind": "cached"}', "has no graphs for cached streams"),
        ('{"type": "start", "silence_s": NaN}', "give seconds, 0 or more"),
        ('{"type": "start", "model": "other"}', "no model 'other'; here are: tiny"),
        ("[" * 200_000, "no JSON"),
        ('{"type": "start", "\\ud800": 1}', "no field"),
    ],
)
def test_a_start_that_cannot_be_heeded_is_refused_with_the_reason(server, start, says):
    with connect(server.stream_url) as socket:
        socket.send(start)
        (error,) = rest(socket)
    assert error["type"] == "error"
    assert says in error["error"]["message"]
    assert str(server.service.models["tiny"].bundle.folder) not in error["error"]["message"]
    assert (socket.close_code, socket.close_reason) == (1008, error["error"]["code"])


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\0\0\0", "bad_request"),
        ('{"type": "gap", "lost_s": -1}', "bad_request"),
        ('{"type": "gap", "lost_s": NaN}', "bad_request"),
        ('{"type": "stop"}', "bad_request"),
        ('{"type": "\\ud800"}', "bad_request"),
        ('{"a":' * 100_000, "bad_request"),
        (np.full(BLOCK, np.nan, "<f4").tobytes(), "invalid_audio"),
    ],
)
def test_what_is_wrong_ends_a_stream_after_what_came_before_it(server, message, code):
    with opened(server, encoding="f32le", partials=False) as socket:
        socket.send((SECOND / 32_768).astype("<f4").tobytes())
        socket.send(message)
        *said, error = rest(socket)
    assert [each["type"] for each in said] == ["final"]
    assert (error["error"]["code"], socket.close_code) == (code, 1008)


def test_a_step_may_be_longer_than_any_number_of_a_machine(server):
    with opened(server, kind="windowed", chunk_ms=10**400, partials=False) as socket:
        socket.send(SECOND.tobytes())
        assert [each["type"] for each in finish(socket)] == ["final", "finished"]


def test_streams_go_on_after_their_folder_has_gone_in_chunks_of_a_length_that_one_had_before(tmp_path):
    folder = shutil.copytree(MODELS / "words-stream", tmp_path / "gone")
    engine = wav2edge.load(folder, threads=1)
    engine.stream(chunk_ms=160).finish()
    with serving({"live": (engine, folder)}) as running:
        shutil.rmtree(folder)
        with opened(running, kind="cached", chunk_ms=160) as socket:
            assert finish(socket)[-1]["type"] == "finished"
        with connect(running.stream_url) as socket:
            socket.send('{"type": "start", "kind": "cached", "chunk_ms": 320}')
            (error,) = rest(socket)
        assert (error["error"]["code"], str(tmp_path) in error["error"]["message"]) == ("failed", False)


def test_a_key_that_is_no_text_is_none(engine, bundle):
    with (
        serving({"tiny": (engine, bundle)}, key_digests=(bytes(32),)) as running,
        connect(running.stream_url) as socket,
    ):
        socket.send('{"type": "start", "api_key": "\\ud800"}')
        (error,) = rest(socket)
        assert error["error"]["code"] == "invalid_api_key"


def test_what_nobody_foresaw_ends_a_stream_with_a_line_for_the_client_and_a_traceback_in_the_log(bundle, engine):
    class Broken:
        def __getattr__(self, name):
            return getattr(engine, name)

        def stream(self, **_):
            raise ZeroDivisionError("deep inside")

    with serving({"tiny": (Broken(), bundle)}) as running:
        with connect(running.stream_url) as socket:
            socket.send('{"type": "start"}')
            (error,) = rest(socket)
        assert (error["error"]["code"], socket.close_code) == ("failed", 1011)
        assert "deep inside" not in error["error"]["message"]
        (line,) = until(lambda: [each for each in running.log if each["event"] == "stream"])
        assert "deep inside" in line["traceback"]


def test_samples_before_the_start_are_refused(server):
    with connect(server.stream_url) as socket:
        socket.send(SECOND.tobytes())
        (error,) = rest(socket)
    assert "samples before the start message" in error["error"]["message"]


def test_no_more_streams_are_open_than_may(engine, bundle):
    with serving({"tiny": (engine, bundle)}, streams=1) as running:
        with opened(running) as first, connect(running.stream_url) as second:
            assert running.metric("wav2edge_streams_open") == 1
            second.send('{"type": "start"}')
            (error,) = rest(second)
            assert (error["error"]["code"], second.close_code) == ("too_many_streams", 1013)
            assert finish(first)[-1]["type"] == "finished"
        with opened(running):
            pass
        until(lambda: running.service.streams_open == 0)


def test_a_client_that_leaves_frees_its_place_and_its_decoder(engine, bundle):
    with serving({"tiny": (engine, bundle)}, streams=1) as running:
        with opened(running) as socket:
            socket.send(SECOND.tobytes())
        until(lambda: running.service.streams_open == 0)
        until(lambda: running.service.pool.busy == 0)
        (line,) = until(lambda: [each for each in running.log if each["event"] == "stream"])
        assert line["reason"] == "client_gone"


def test_a_stream_without_sound_is_closed_in_time(engine, bundle):
    with serving({"tiny": (engine, bundle)}, timeout_s=0.3) as running, opened(running) as socket:
        (error,) = rest(socket)
        assert (error["error"]["code"], socket.close_code) == ("timeout", 1013)


def test_a_server_that_stops_answers_what_was_said_on_its_streams(engine, bundle):
    with serving({"tiny": (engine, bundle)}) as running, opened(running, partials=False) as socket:
        say(socket, SECOND)
        until(lambda: running.metric('wav2edge_audio_seconds_total{kind="stream",model="tiny"}') >= 1.0)
        running.service.stopping.set()
        wake(running)
        *said, error = rest(socket)
        assert [each["type"] for each in said] == ["final"]
        assert (error["error"]["code"], socket.close_code) == ("stopping", 1012)
        with pytest.raises(InvalidStatus) as refused, connect(running.stream_url):
            pass
        assert refused.value.response.status_code == 503


def test_a_server_that_stops_tells_a_client_that_has_not_begun(engine, bundle):
    with serving({"tiny": (engine, bundle)}) as running, connect(running.stream_url) as socket:
        until(lambda: running.service.sockets_open == 1)
        running.server.should_exit = True
        (error,) = rest(socket)
        assert (error["error"]["code"], socket.close_code) == ("stopping", 1012)
        (line,) = until(lambda: [each for each in running.log if each["event"] == "stream"])
        assert line["reason"] == "stopping"


def wake(running):
    """An event that another thread has set is seen when the loop turns."""
    running.client.get("/health")


class HeldStream:
    """A stream that recognises nothing, and only when it is let go."""

    clock_s = compute_s = 0.0

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def feed(self, block):
        assert self.let_go.wait(20)
        self.clock_s += len(block) / 16_000
        return []

    def gap(self, lost_s):
        self.clock_s += lost_s
        return []

    def finish(self):
        return []


class HeldStreams:
    def __init__(self, engine) -> None:
        self._engine, self.stream_of = engine, HeldStream()

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def stream(self, **_):
        return self.stream_of


@pytest.mark.parametrize(("when_late", "lost"), [("wait", False), ("drop", True)])
def test_sound_that_comes_too_fast_waits_at_its_sender_or_is_dropped_as_was_asked(engine, bundle, when_late, lost):
    engines = HeldStreams(engine)

    def send(socket):
        for _ in range(500):  # more than the buffers of a connection hold
            socket.send(bytes(2 * 16_000))

    with serving({"tiny": (engines, bundle)}) as running, opened(running, when_late=when_late) as socket:
        sender = threading.Thread(target=send, args=(socket,))
        sender.start()
        sender.join(5.0)
        assert sender.is_alive() != lost
        engines.stream_of.let_go.set()
        sender.join(20)
        *said, finished = finish(socket)
    gaps = [each for each in said if each["type"] == "gap"]
    assert bool(gaps) == lost
    assert finished["lost_s"] == sum(each["lost_s"] for each in gaps)
    assert finished["duration_s"] == 500.0


def test_a_frame_that_is_longer_than_all_that_may_wait_is_taken_nevertheless():
    import asyncio

    async def put():
        fed = FedStream(HeldStream(), Start(), asyncio.get_running_loop())
        await asyncio.wait_for(fed.put(np.zeros(16_000 * 30, np.int16)), 5)
        waiting = asyncio.ensure_future(fed.put(np.zeros(16_000, np.int16)))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(put())


@pytest.mark.parametrize("when_late", WHEN_LATE)
def test_gaps_and_frames_of_one_sample_wait_at_their_sender_once_there_are_many(when_late):
    import asyncio

    async def put():
        fed = FedStream(HeldStream(), Start(when_late=when_late), asyncio.get_running_loop())
        for _ in range(WAITING_ITEMS // 2):
            await fed.put(np.zeros(1, np.int16))
            await fed.lose(0.0)
        waiting = asyncio.ensure_future(fed.lose(0.0))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(put())
