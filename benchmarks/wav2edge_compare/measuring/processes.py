"""The parent's end of the pipes: one process per system, driven by JSON lines and stopped while others are measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from wav2edge.errors import BenchmarkError

CAN_PAUSE = hasattr(signal, "SIGSTOP")
"""Windows has no such signal: there, threads that spin between two runs disturb the others."""

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # libgomp's default (its manual, GOMP_SPINCOUNT): `wav2edge_train` shortens it, and peers must not inherit that.
    "GOMP_SPINCOUNT": "300000",
    "NNCF_CI": "1",  # switches NNCF's telemetry off
}
EXIT_TIMEOUT_S = 10.0


class Process:
    """A module of this package in a process of its own, from its request to its last reply.

    Args:
        module: what ``python -m`` runs.
        request: the JSON object on its command line.
        log: where its standard error goes.
    """

    def __init__(self, module: str, request: dict[str, Any], *, log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, json.dumps(request)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                env={**os.environ, **ENVIRONMENT},
            )
        self._paused = False

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(kill=kind is not None)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def read(self) -> dict[str, Any]:
        """Wait for the next reply.

        Raises:
            BenchmarkError: it reported an error, or ended without a reply.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        reply: dict[str, Any] = json.loads(line) if line else {"error": self._end_of_log()}
        if "error" in reply:
            raise BenchmarkError(reply["error"])
        return reply

    def request(self, **message: Any) -> dict[str, Any]:
        """Wake it, send a request, and wait for the reply."""
        assert self._process.stdin is not None
        self.resume()
        try:
            print(json.dumps(message), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise BenchmarkError(self._end_of_log()) from None
        return self.read()

    def pause(self) -> None:
        """Stop all its threads, so that none spins while another system is measured."""
        if CAN_PAUSE and not self._paused:
            self._process.send_signal(signal.SIGSTOP)
            self._paused = True

    def resume(self) -> None:
        """Continue it."""
        if self._paused:
            self._process.send_signal(signal.SIGCONT)
            self._paused = False

    def close(self, *, kill: bool = False) -> None:
        """Wait for it to exit, and kill it at once or after a timeout."""
        if kill:
            self._process.kill()
        self.resume()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # it ended before it read everything
                    pipe.close()
        try:
            self._process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _end_of_log(self) -> str:
        code = self._process.wait()
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if code < 0:
            return f"its process was killed by {signal.Signals(-code).name}; is there enough memory?"
        return lines[-1].strip() if lines else f"its process ended with code {code} and an empty log"


def start(module: str, request: dict[str, Any], *, log: Path) -> tuple[Process, dict[str, Any], float]:
    """Start a process and wait until it is ready.

    Returns:
        The process, its first reply, and the seconds from its start to that reply.

    Raises:
        BenchmarkError: it did not become ready.
    """
    started_s = time.perf_counter()
    process = Process(module, request, log=log)
    try:
        ready = process.read()
    except BaseException:
        process.close(kill=True)
        raise
    return process, ready, time.perf_counter() - started_s
