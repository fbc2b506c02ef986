"""WAV files that are wrong somewhere: each is made from a good one by one change; the same number gives the same."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import soundfile

ENCODINGS = (
    ("WAV", "PCM_16", 16_000, 1),
    ("WAV", "PCM_16", 48_000, 2),
    ("WAV", "PCM_24", 44_100, 1),
    ("WAV", "PCM_U8", 8_000, 1),
    ("WAV", "FLOAT", 16_000, 2),
    ("WAV", "DOUBLE", 16_000, 1),
    ("WAV", "ULAW", 8_000, 1),
    ("WAV", "ALAW", 8_000, 1),
    ("WAV", "IMA_ADPCM", 16_000, 1),
    ("WAV", "MS_ADPCM", 16_000, 1),
    ("WAVEX", "PCM_16", 16_000, 6),
    ("RF64", "PCM_16", 16_000, 1),
)
"""Container, encoding, rate in hertz and channels of the files that are changed."""
HEADER_BYTES = 120
"""Where most of what decides how the rest is read lies."""
ODD_NUMBERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)
CUT = "cut short"
"""The change after which less is in the file than its header says."""

Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def good_files(samples: npt.NDArray[np.float32]) -> list[bytes]:
    """One clip in every encoding; the samples are played at the rate of each."""
    found = []
    for container, encoding, rate_hz, channels in ENCODINGS:
        file = io.BytesIO()
        soundfile.write(file, np.stack([samples] * channels, axis=1), rate_hz, format=container, subtype=encoding)
        found.append(file.getvalue())
    return found


def _flip_bits(draw: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    return _flipped(draw, content, len(content))


def _flip_header_bits(draw: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    return _flipped(draw, content, min(HEADER_BYTES, len(content)))


def _flipped(draw: random.Random, content: bytes, end: int) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        changed[draw.randrange(end)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _odd_number(draw: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    code = draw.choice(["<H", "<I", ">I"])
    size = struct.calcsize(code)
    place = draw.randrange(HEADER_BYTES // 2) * 2
    number = struct.pack(code, draw.choice(ODD_NUMBERS) & (256**size - 1))
    return content[:place] + number + content[place + size :]


def _cut_short(draw: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    return content[: draw.randrange(len(content) * 9 // 10)]


def _remove(draw: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    place, size = draw.randrange(len(content)), draw.choice((1, 2, 4, 8, 100, 5_000))
    return content[:place] + content[place + size :]


def _insert(draw: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    place, size = draw.randrange(len(content)), draw.choice((1, 2, 4, 8, 100, 5_000))
    return content[:place] + draw.randbytes(size) + content[place:]


def _repeat_header(draw: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    """Chunks that should be there once, twice."""
    place = content.find(b"fmt ")
    end = place + draw.choice((8, 24, 48))
    return content[:end] + content[place:end] * draw.choice((1, 2, 50)) + content[end:]


def _join_two(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """The header of one file with the samples of another."""
    other = draw.choice(others)
    return content[: draw.randrange(12, HEADER_BYTES)] + other[draw.randrange(12, HEADER_BYTES) :]


def _noise(draw: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    place = draw.randrange(HEADER_BYTES)
    return content[:place] + draw.randbytes(len(content) - place)


CHANGES: dict[str, Change] = {
    "bits flipped anywhere": _flip_bits,
    "bits flipped in the header": _flip_header_bits,
    "an odd number in the header": _odd_number,
    CUT: _cut_short,
    "bytes left out": _remove,
    "bytes put in": _insert,
    "a chunk repeated": _repeat_header,
    "two files joined": _join_two,
    "noise from somewhere on": _noise,
}
"""What is done to a file, by its name in the record."""


def wav_mutant(files: Sequence[bytes], *, seed: int, number: int) -> tuple[str, bytes]:
    """What was done, and the file that it gave."""
    draw = random.Random(f"wav {seed} {number}")
    name = list(CHANGES)[number % len(CHANGES)]
    return name, CHANGES[name](draw, draw.choice(files), files)
