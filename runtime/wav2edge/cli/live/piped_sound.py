"""Sound from a pipe while it is written: raw samples, or WAV, whose header may not know how long it is."""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np

from wav2edge.audio.samples import MAX_CHANNELS
from wav2edge.audio.sound_file import STANDARD_INPUT
from wav2edge.audio.sound_structure import SHORTEST_UNKNOWN_SIZE, mp3_frame
from wav2edge.errors import AudioError
from wav2edge.inference.feeding.live_queue import Block

BLOCK_S = 0.03
"""Most seconds of sound that are read at once; less where less has come."""


def _int24(content: bytes) -> Block:
    """24-bit samples as 32-bit ones."""
    padded = np.zeros((len(content) // 3, 4), np.uint8)
    padded[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
    return padded.view("<i4")[:, 0]


def _plain(dtype: str) -> Callable[[bytes], Block]:
    return lambda content: np.frombuffer(content, dtype)


ENCODINGS: dict[str, tuple[int, Callable[[bytes], Block]]] = {
    "s16le": (2, _plain("<i2")),
    "s24le": (3, _int24),
    "s32le": (4, _plain("<i4")),
    "f32le": (4, _plain("<f4")),
    "u8": (1, _plain("u1")),
}
"""Name of an encoding -> bytes of a sample, and what turns bytes into samples."""
WAV_ENCODINGS = {(1, 8): "u8", (1, 16): "s16le", (1, 24): "s24le", (1, 32): "s32le", (3, 32): "f32le"}
"""Format tag and bits of a sample in a WAV header -> encoding."""
EXTENSIBLE = 0xFFFE
"""This tag says that the real one follows later (WAVEFORMATEXTENSIBLE)."""
LARGEST_KEPT = 64
"""Bytes of a chunk of the header that are looked at; names and pictures are longer."""
BEGINNING_BYTES = 12
"""So many tell what follows: the beginning of a WAV file up to its first chunk."""
OTHER_FORMATS = {
    rb"fLaC": "FLAC",
    rb"OggS": "Ogg",
    rb"ID3": "MP3",
    rb"FORM": "AIFF",
    rb"caff": "CAF",
    rb"\x1aE\xdf\xa3": "WebM",
    rb".{4}ftyp": "MP4 or M4A",
    rb"\.snd|dns\.": "AU",
    rb"riff": "W64",
    rb"RIFX|RIFF.{4}(?!WAVE)": "RIFF of another kind",
    rb"(?i)\s*<(!doctype|html)": "HTML",
}
"""What a pipe begins with that would be noise as raw samples."""
CONVERT_FIRST = "convert it on its way: ffmpeg -i IN -f wav - | wav2edge stream BUNDLE -"


@dataclass(frozen=True, kw_only=True)
class PcmFormat:
    """How bytes are samples. ``promised`` is the bytes of sound that follow; None: until the pipe ends."""

    rate_hz: int = 16_000
    channels: int = 1
    encoding: str = "s16le"
    promised: int | None = None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return ENCODINGS[self.encoding][0] * self.channels

    @property
    def described(self) -> str:
        """It in words."""
        return f"{self.encoding} at {self.rate_hz} Hz, {self.channels} channel{'s' * (self.channels > 1)}"

    def samples(self, content: bytes) -> Block:
        """Bytes as ``[samples, channels]``."""
        return ENCODINGS[self.encoding][1](content).reshape(-1, self.channels)


class Pipe(Protocol):
    """What is asked of a pipe: a read that gives what has come, and waits only where nothing has."""

    def read1(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


class PipedSound:
    """The sound of a pipe, block by block as it comes.

    Args:
        name: what messages call it.
        pipe: where it comes from.
        raw: what samples are where there is no WAV header.
        warn: is told what is odd.

    Raises:
        AudioError: it begins like another kind of file, or its header cannot be read.
    """

    def __init__(self, name: str, pipe: Pipe, *, raw: PcmFormat, warn: Callable[[str], None]) -> None:
        self.name, self._pipe, self._warn = name, pipe, warn
        self._begun = self._read_up_to(BEGINNING_BYTES)
        if (other := self._other_format()) is not None:
            raise AudioError(f"{name}: {other}, not WAV or raw samples; {CONVERT_FIRST}")
        self.is_wav = self._begun[:4] in (b"RIFF", b"RF64") and self._begun[8:12] == b"WAVE"
        self.format = raw
        if self.is_wav:
            self._begun = b""
            self.format = _wav_format(_Header(name, pipe))

    @property
    def rate_hz(self) -> int:
        """Samples per second and channel."""
        return self.format.rate_hz

    def __iter__(self) -> Iterator[Block]:
        """Blocks ``[samples, channels]``."""
        frame, promised = self.format.frame_bytes, self.format.promised
        most = max(1, round(BLOCK_S * self.rate_hz)) * frame
        held, begun, taken = b"", self._begun, 0
        while promised is None or taken < promised:
            size = most - len(held) if promised is None else min(most - len(held), promised - taken)
            content, begun = begun[:size] or self._pipe.read1(size), begun[size:]
            if not content:
                break
            taken += len(content)
            held += content
            whole = len(held) // frame * frame
            if whole:
                yield self._checked(self.format.samples(held[:whole]), (taken - len(held)) // frame)
            held = held[whole:]
        self._tell_odd_end(taken, len(held))

    def rest(self) -> Iterable[Block]:
        """Nothing is recorded: what waits in the pipe is the sender's."""
        return ()

    def close(self) -> None:
        """Nothing to close: the pipe belongs to who opened it."""

    def _checked(self, block: Block, frames: int) -> Block:
        """A block, if its samples are finite; ``frames`` were before it."""
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            raise AudioError(
                f"{self.name}: a sample after {frames / self.rate_hz:.2f} s is not finite;"
                f" is it {self.format.described}?"
            )
        return block

    def _tell_odd_end(self, taken: int, left: int) -> None:
        second, promised = self.format.frame_bytes * self.rate_hz, self.format.promised
        if promised is not None and taken < promised:
            self._warn(f"{self.name}: ends after {taken / second:.2f} s of the {promised / second:.2f} s promised")
        elif left:
            self._warn(f"{self.name}: ends in the middle of a sample; is it {self.format.described}?")

    def _other_format(self) -> str | None:
        """What it is that begins so; None for WAV and raw samples. Of MP3 a second frame must follow the first."""
        known = (kind for mark, kind in OTHER_FORMATS.items() if re.match(mark, self._begun, re.DOTALL))
        frame = mp3_frame(self._begun[:4])
        if frame is None:
            return next(known, None)
        _, size = frame
        self._begun += self._read_up_to(size + 4 - len(self._begun))
        return "MP3" if mp3_frame(self._begun[size : size + 4]) is not None else None

    def _read_up_to(self, size: int) -> bytes:
        """Read so many bytes, or fewer at the end."""
        content = b""
        while len(content) < size and (more := self._pipe.read1(size - len(content))):
            content += more
        return content


class _Header:
    """The bytes of a WAV header, each read once."""

    def __init__(self, name: str, pipe: Pipe) -> None:
        self.name, self._pipe = name, pipe

    def take(self, size: int) -> bytes:
        """Exactly so many bytes."""
        return b"".join(self._pieces(size))

    def skip(self, size: int) -> None:
        """Leave out so many bytes."""
        for _ in self._pieces(size):
            pass

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._pipe.read1(min(size, 1 << 16))
            if not piece:
                raise AudioError(f"{self.name}: ends in its WAV header; nothing was recorded")
            size -= len(piece)
            yield piece


def standard_input() -> Pipe:
    """Standard input.

    Raises:
        AudioError: it is closed, or is the keyboard.
    """
    if sys.stdin is None or sys.stdin.isatty():
        what = "closed" if sys.stdin is None else "a terminal"
        raise AudioError(f"{STANDARD_INPUT}: {what}; pipe sound into it")
    return cast(Pipe, sys.stdin.buffer)


def _wav_format(header: _Header) -> PcmFormat:
    """Read a WAV header up to its samples, behind the form's twelve bytes; see ``missing_sound_bytes``."""
    found: PcmFormat | None = None
    long_size: int | None = None
    while True:
        chunk, size = struct.unpack("<4sI", header.take(8))
        if chunk == b"data":
            break
        kept = min(size, LARGEST_KEPT)
        content = header.take(kept)
        header.skip(size + size % 2 - kept)
        if chunk == b"fmt ":
            found = _described(header.name, content)
        elif chunk == b"ds64" and size >= 16:
            (long_size,) = struct.unpack_from("<8xQ", content)
    if found is None:
        raise AudioError(f"{header.name}: a WAV header that does not say what its samples are; {CONVERT_FIRST}")
    unknown = size == 0 or size >= SHORTEST_UNKNOWN_SIZE
    return replace(found, promised=long_size or (None if unknown else size))


def _described(name: str, content: bytes) -> PcmFormat:
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", content.ljust(16, b"\0"))
    if tag == EXTENSIBLE and len(content) >= 26:
        (tag,) = struct.unpack_from("<H", content, 24)
    encoding = WAV_ENCODINGS.get((tag, bits))
    if encoding is None:
        raise AudioError(f"{name}: WAV of format {tag} with {bits} bits, not PCM or 32-bit floats; {CONVERT_FIRST}")
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"{name}: {channels} channels, where 1 to {MAX_CHANNELS} are possible; {CONVERT_FIRST}")
    return PcmFormat(rate_hz=rate_hz, channels=channels, encoding=encoding)
