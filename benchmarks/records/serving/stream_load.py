"""Streams in real time, many at once: whether one falls behind, and whether each says what the file's stream says."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import connect

import wav2edge
from benchmarks.records.serving.served_process import served
from benchmarks.records.streams.joined_streams import BLOCK_S, spread
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.inference.streaming.events import Final

BLOCK = round(BLOCK_S * SAMPLE_RATE_HZ)
APART_S = 0.37
"""Streams begin one after the other, so that their chunks do not all come at once."""
COMPARED = ("text", "label", "start_s", "end_s", "reason")

Sound = npt.NDArray[np.int16]


def own_finals(engine: wav2edge.Engine, pcm: Sound, **how: Any) -> list[dict[str, Any]]:
    """What the engine's own stream says at the end of each utterance."""
    with engine.stream(**how) as stream:
        events = [event for at in range(0, len(pcm), BLOCK) for event in stream.feed(pcm[at : at + BLOCK])]
        return [event.to_dict() for event in events + stream.finish() if isinstance(event, Final)]


async def speak(url: str, pcm: Sound, start: dict[str, Any], delay_s: float) -> dict[str, Any]:
    """One client: blocks at the speed of real time; its finals, how late each came, and how late the end."""
    await asyncio.sleep(delay_s)
    async with connect(url, compression=None, max_size=None) as socket:
        await socket.send(json.dumps({"type": "start", **start}))
        assert json.loads(await socket.recv())["type"] == "started"
        began_s = time.monotonic()
        finals: list[dict[str, Any]] = []
        late_s: list[float] = []
        finished: dict[str, Any] = {}

        async def read() -> None:
            async for text in socket:
                event = json.loads(text)
                if event["type"] == "final":
                    finals.append(event)
                    late_s.append(time.monotonic() - began_s - event["end_s"])
                elif event["type"] == "finished":
                    finished.update(event)

        reading = asyncio.ensure_future(read())
        for number, at in enumerate(range(0, len(pcm), BLOCK)):
            await asyncio.sleep(max(0.0, began_s + number * BLOCK_S - time.monotonic()))
            await socket.send(pcm[at : at + BLOCK].tobytes())
        await socket.send(json.dumps({"type": "finish"}))
        said_s = time.monotonic()
        await reading
        return {"finals": finals, "late_s": late_s, "end_s": time.monotonic() - said_s, "finished": finished}


async def speak_all(url: str, pcm: Sound, start: dict[str, Any], streams: int) -> list[dict[str, Any]]:
    """All clients."""
    return await asyncio.gather(*(speak(url, pcm, start, number * APART_S) for number in range(streams)))


def measure(
    bundle: Path, recording: Path, folder: Path, *, streams: int, kinds: Sequence[str], options: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """A record for each kind of stream."""
    pcm = np.round(load_clip(recording).samples * 32_767).astype("<i2")
    engine, found = wav2edge.load(bundle), []
    for kind in kinds:
        own = [{name: each.get(name) for name in COMPARED} for each in own_finals(engine, pcm, kind=kind)]
        words = [f"live={bundle}", "--streams", str(streams), *options]
        with served(words, log=folder / "server.log") as server:
            address = f"ws://127.0.0.1:{server.port}/v1/audio/stream"
            heard = asyncio.run(speak_all(address, pcm, {"kind": kind}, streams))
            code = server.stop()
        same = [[{name: each.get(name) for name in COMPARED} for each in one["finals"]] == own for one in heard]
        computed_s = sum(one["finished"]["compute_s"] for one in heard)
        found.append(
            {
                "streams": streams,
                "kind": kind,
                "server_options": list(options),
                "seconds_of_each": round(len(pcm) / SAMPLE_RATE_HZ, 1),
                "finals_of_each": len(own),
                "streams_with_the_files_finals": sum(same),
                "lost_s": sum(one["finished"]["lost_s"] for one in heard),
                "final_after_speech_ended_s": spread([each for one in heard for each in one["late_s"]]),
                "finished_after_the_last_block_s": spread([one["end_s"] for one in heard]),
                "compute_seconds_per_second": round(computed_s / (streams * len(pcm) / SAMPLE_RATE_HZ), 4),
                "exit_code": code,
            }
        )
    return found
