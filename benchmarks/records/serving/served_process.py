"""``wav2edge serve`` as a process, and clients that know every byte that they send: they cost next to nothing."""

from __future__ import annotations

import asyncio
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

HOST = "127.0.0.1"
BOUNDARY = "clip"
ANSWER = re.compile(rb"HTTP/1\.1 (\d+) [^\r]*\r\n(.*?)\r\n\r\n", re.DOTALL)
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
START_S, PAUSE_S = 60.0, 0.05


@dataclass(frozen=True, kw_only=True)
class ServedProcess:
    """A server that runs."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    @property
    def resident_mb(self) -> float:
        """Its resident memory (``proc(5)``)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    def metric(self, line: str) -> float:
        """The value of a line of its metrics; 0 where it is not there."""
        with urlopen(f"{self.url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next((float(each.removeprefix(line)) for each in lines if each.startswith(f"{line} ")), 0.0)

    def stop(self) -> int:
        """Tell it to stop, and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_S)


@contextmanager
def served(words: Sequence[str | Path], *, log: Path, port: int = 0) -> Iterator[ServedProcess]:
    """Start a server, and end it with the block where it still runs.

    Args:
        words: bundles and options of ``wav2edge serve``.
        log: where its log goes.
        port: 0 takes a free one.
    """
    command = [sys.executable, "-m", "wav2edge", "serve", *map(str, words), "--port", str(port)]
    with log.open("ab") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().decode().strip()
            if not url:
                raise RuntimeError(f"the server did not start; see {log}")
            yield ServedProcess(process=process, port=int(url.rstrip("/").rpartition(":")[2]))
        finally:
            process.kill()


def upload(content: bytes, model: str, *, name: str = "clip.flac") -> bytes:
    """A request for a transcription, whole."""
    parts = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    )
    body = parts.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(kw_only=True)
class Outcome:
    """What became of a request: its status, 0 where the connection broke or was refused; its answer and time."""

    request: int
    status: int
    content: bytes
    seconds: float
    at_s: float


@dataclass(kw_only=True)
class Client:
    """Sends one request after the other on a connection, which it opens again where it breaks."""

    port: int
    outcomes: list[Outcome] = field(default_factory=list)
    _connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, number: int, request: bytes) -> Outcome:
        """Send a request, and note what becomes of it."""
        began_s = time.monotonic()
        try:
            if self._connection is None:
                self._connection = await asyncio.open_connection(HOST, self.port, limit=1 << 20)
            reader, writer = self._connection
            writer.write(request)
            await writer.drain()
            status, content, closes = await _answer(reader)
            if closes:
                self.close()
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            status, content = 0, b""
        ended_s = time.monotonic()
        outcome = Outcome(request=number, status=status, content=content, seconds=ended_s - began_s, at_s=ended_s)
        self.outcomes.append(outcome)
        if status == 0:
            await asyncio.sleep(PAUSE_S)
        return outcome

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection[1].close()
            self._connection = None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Status and content of an answer, and whether the connection ends with it."""
    head = await reader.readuntil(b"\r\n\r\n")
    match, length = ANSWER.match(head), LENGTH.search(head)
    if match is None or length is None:
        raise OSError(f"no answer that is known: {head!r}")
    content = await reader.readexactly(int(length[1]))
    return int(match[1]), content, b"connection: close" in head.lower()
