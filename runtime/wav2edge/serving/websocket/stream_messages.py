"""What a client of a stream says: the message that begins it, samples, and the messages between and at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from wav2edge.audio.samples import MAX_CHANNELS
from wav2edge.inference.feeding.live_queue import Block
from wav2edge.inference.streaming.endpoints import Endpointing
from wav2edge.inference.streaming.opening import KINDS
from wav2edge.serving.refusals import Refusal

ENCODINGS = {"s16le": "<i2", "f32le": "<f4"}
"""What samples may be."""
WHEN_LATE = ("wait", "drop")
"""What happens to sound that comes faster than it is recognised: its sender waits, or it is dropped, as at a
microphone."""
MAY_BE_LEFT_OUT: Mapping[str, type] = {"model": str, "chunk_ms": int, "api_key": str}
"""Fields of the first message that are None where they are not there."""
KIND_NAMES: Mapping[type, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True, kw_only=True)
class Start:
    """The message that begins a stream. Every field may be left out.

    Attributes:
        model: which; the only one where None.
        rate_hz: samples per second and channel.
        channels: in turns, sample by sample; they are mixed down.
        encoding: what samples are.
        kind: of the stream, see ``Engine.stream``.
        chunk_ms: from one answer to the next, see ``Engine.stream``.
        partials: whether answers are sent while somebody speaks.
        silence_s: silence that ends an utterance.
        when_late: what happens to sound that comes too fast.
        api_key: for a client that can send no headers, as a browser.
    """

    model: str | None = None
    rate_hz: int = 16_000
    channels: int = 1
    encoding: str = "s16le"
    kind: str = KINDS[0]
    chunk_ms: int | None = None
    partials: bool = True
    silence_s: float = Endpointing.silence_s
    when_late: str = WHEN_LATE[0]
    api_key: str | None = None

    @classmethod
    def read(cls, text: str) -> Start:
        """The message from its JSON.

        Raises:
            Refusal: it is none.
        """
        document = read_message(text)
        if document.pop("type") != "start":
            raise _unknown(text)
        known = {each.name: each.default for each in fields(cls)}
        for name, value in document.items():
            if name not in known:
                raise Refusal("bad_request", f"start: no field {name!r}; known are {', '.join(known)}", param=name)
            _check_kind(name, value, known[name])
        found = cls(**document)
        found._check()
        return found

    def _check(self) -> None:
        choices = {"encoding": tuple(ENCODINGS), "kind": KINDS, "when_late": WHEN_LATE}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                message = f"start: {name} is {getattr(self, name)!r}; choose {', '.join(allowed)}"
                raise Refusal("bad_request", message, param=name)
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise Refusal("bad_request", f"start: {self.channels} channels; give 1 to {MAX_CHANNELS}", param="channels")

    def samples(self) -> Callable[[bytes], Block]:
        """What turns a frame of the socket into samples ``[samples]`` or ``[samples, channels]``."""
        dtype = np.dtype(ENCODINGS[self.encoding])
        size = dtype.itemsize * self.channels

        def decode(content: bytes) -> Block:
            if len(content) % size:
                message = f"{len(content)} bytes are no whole samples of {size} bytes; send whole ones in each frame"
                raise Refusal("bad_request", message)
            found = np.frombuffer(content, dtype)
            if dtype.kind == "f" and not np.isfinite(found).all():
                raise Refusal("invalid_audio", "samples that are not finite; look at what records or converts them")
            return found if self.channels == 1 else found.reshape(-1, self.channels)

        return decode


def read_message(text: str) -> dict[str, Any]:
    """A message that is an object with a ``type``.

    Raises:
        Refusal: it is not.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # it may be nested as deep as a message is long
        raise Refusal("bad_request", 'no JSON; send {"type": ...}') from None
    if not isinstance(document, dict) or not isinstance(document.get("type"), str):
        raise _unknown(text)
    return document


def _unknown(text: str) -> Refusal:
    return Refusal("bad_request", f"{text[:80]}: not a message that is known here; begin with type 'start'")


def _check_kind(name: str, value: Any, default: Any) -> None:
    """Refuse a value of another type; a number may be whole."""
    wanted: type = type(default) if default is not None else MAY_BE_LEFT_OUT[name]
    fits = type(value) is wanted or (wanted is float and type(value) is int) or (value is None and default is None)
    if not fits:
        raise Refusal("bad_request", f"start: {name} is {value!r}; give {KIND_NAMES[wanted]}", param=name)
