"""Runs a server for tests: in a thread of this process, on a free port of the loopback address."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile

import wav2edge
from wav2edge.bundle.folder import Bundle
from wav2edge.serving.listening import DrainingServer, listen, server_of, url_of
from wav2edge.serving.observing.request_log import RequestLog
from wav2edge.serving.recognising.served_models import ServedModel
from wav2edge.serving.service import Service
from wav2edge.serving.serving_options import ServingOptions
from wav2edge.serving.web.device_page import DevicePage

LIMIT_S = 20.0
TRANSCRIPTIONS = "/v1/audio/transcriptions"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that runs."""

    url: str
    server: DrainingServer
    service: Service
    client: httpx.Client
    written: io.StringIO

    @property
    def stream_url(self) -> str:
        return self.url.replace("http://", "ws://") + "/v1/audio/stream"

    @property
    def log(self) -> list[dict[str, Any]]:
        """Its log so far."""
        return [json.loads(line) for line in self.written.getvalue().splitlines()]

    def post(self, clip: Path | bytes, path: str = TRANSCRIPTIONS, **fields: Any) -> httpx.Response:
        """Upload a clip with the fields of a form."""
        content = clip if isinstance(clip, bytes) else clip.read_bytes()
        return self.client.post(path, files={"file": ("clip.wav", content)}, data=fields)

    def metric(self, line: str) -> float:
        """The value of a line of the metrics; 0 where it is not there."""
        lines = self.client.get("/metrics").text.splitlines()
        return next((float(each.removeprefix(line)) for each in lines if each.startswith(f"{line} ")), 0.0)


@contextmanager
def serving(
    engines: Mapping[str, tuple[Any, Path]], *, page: DevicePage | None = None, **options: Any
) -> Iterator[Running]:
    """Serve engines, each with the folder of its bundle, until the block ends."""
    models = {
        name: ServedModel(name=name, engine=engine, bundle=Bundle.open(folder))
        for name, (engine, folder) in engines.items()
    }
    written = io.StringIO()
    log = RequestLog(written)
    service = Service(models, ServingOptions(**{"timeout_s": LIMIT_S, "grace_s": 5.0, **options}), log)
    listener = listen("127.0.0.1", 0)
    server = server_of(service, page)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    url = url_of(listener).rstrip("/")
    thread.start()
    try:
        with httpx.Client(base_url=url, timeout=LIMIT_S) as client:
            yield Running(url=url, server=server, service=service, client=client, written=written)
    finally:
        server.should_exit = True
        thread.join(LIMIT_S)
        listener.close()
        log.end()
        assert not thread.is_alive()


class HeldEngine:
    """An engine that answers only once it is let go, and looks meanwhile whether its answer is still wanted."""

    def __init__(self, engine: wav2edge.Engine) -> None:
        self._engine = engine
        self.let_go = threading.Event()
        self.at_once = self.most_at_once = self.answered = 0
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def __call__(self, source: Any, *, on_segment: Callable[..., None] = lambda segment: None) -> wav2edge.Result:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            while not self.let_go.wait(0.01):
                on_segment()
            result = self._engine(source)
            self.answered += 1
            return result
        finally:
            with self._lock:
                self.at_once -= 1


def until(true: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """Wait until something is true, and give it."""
    end_s = time.monotonic() + limit_s
    while not (found := true()):
        assert time.monotonic() < end_s, "it did not become true"
        time.sleep(0.01)
    return found


def wav(samples: np.ndarray, rate_hz: int = 16_000, **options: Any) -> bytes:
    """Samples as a WAV file, or another one."""
    content = io.BytesIO()
    soundfile.write(content, samples, rate_hz, **{"format": "WAV", **options})
    return content.getvalue()
