"""A server that is killed, or told to stop, and started again while clients ask."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import wav2edge
from benchmarks.records.serving.served_process import Client, Outcome, ServedProcess, served, upload

REFUSALS = (0, 503)
"""A connection that broke or was refused, and the server's own refusal."""
HUNG_S = 30.0


def measure(
    bundle: Path,
    sources: Sequence[Path],
    folder: Path,
    *,
    clients: int,
    times: int,
    seconds: float,
    options: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """A record for each signal: the server gets it so many times, and is started again at once."""
    engine = wav2edge.load(bundle)
    texts = [engine(path).text for path in sources]
    requests = [upload(path.read_bytes(), "words") for path in sources]
    words = [f"words={bundle}", *options]
    found = []
    for number in (signal.SIGKILL, signal.SIGTERM):
        with _own_temporary_files(folder / number.name):
            outcomes, codes, files = asyncio.run(_interrupted(words, requests, folder, clients, times, seconds, number))
        right = sum(each.status == 200 and json.loads(each.content)["text"] == texts[each.request] for each in outcomes)
        left = [path.name for path in (folder / number.name).iterdir() if path.name != ".ses"]
        found.append(
            {
                "signal": number.name,
                "times": times,
                "clients": clients,
                "server_options": list(options),
                "requests": len(outcomes),
                "statuses": {
                    str(status): count for status, count in sorted(Counter(each.status for each in outcomes).items())
                },
                "answered_as_the_engine": right,
                "refused": sum(each.status in REFUSALS for each in outcomes),
                "others": sum(each.status not in (200, *REFUSALS) for each in outcomes),
                "longest_s": round(max(each.seconds for each in outcomes), 2),
                "hung": sum(each.seconds > HUNG_S for each in outcomes),
                "exit_codes": codes,
                "zombies": zombies(),
                "files_left": left,
                "open_files": files,
            }
        )
    return found


@contextmanager
def _own_temporary_files(folder: Path) -> Iterator[None]:
    """Let processes that are started keep their temporary files in a folder; ``.ses`` there is ONNX Runtime's."""
    folder.mkdir()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


async def _interrupted(
    words: Sequence[str | Path],
    requests: Sequence[bytes],
    folder: Path,
    clients: int,
    times: int,
    seconds: float,
    number: signal.Signals,
) -> tuple[list[Outcome], list[int], dict[str, int]]:
    """Outcomes of all requests, exit codes, and files that the last server has open before and after its load."""
    with ExitStack() as stack:
        server = stack.enter_context(served(words, log=folder / "server.log"))
        ended, places = asyncio.Event(), cycle(range(len(requests)))
        found = [Client(port=server.port) for _ in range(clients)]

        async def send(client: Client) -> None:
            while not ended.is_set():
                place = next(places)
                await client.ask(place, requests[place])
            client.close()

        sending = asyncio.ensure_future(asyncio.gather(*(send(client) for client in found)))
        codes = []
        for _ in range(times):
            await asyncio.sleep(seconds)
            server.process.send_signal(number)
            codes.append(await asyncio.to_thread(server.process.wait, HUNG_S))
            server = await asyncio.to_thread(_again, stack, words, folder, server.port)
        await asyncio.sleep(seconds)
        under_load = round(server.metric("process_open_fds"))
        ended.set()
        await sending
        time.sleep(1)
        files = {"under_load": under_load, "after": round(server.metric("process_open_fds"))}
        codes.append(server.stop())
    return [each for client in found for each in client.outcomes], codes, files


def _again(stack: ExitStack, words: Sequence[str | Path], folder: Path, port: int) -> ServedProcess:
    return stack.enter_context(served(words, log=folder / "server.log", port=port))


def zombies() -> int:
    """Children of this process that have ended and that nobody has waited for (``proc(5)``)."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        count += state == "Z" and int(parent) == os.getpid()
    return count
