"""The one fact libsndfile keeps to itself: whether a WAV file ends before its data chunk does."""

from __future__ import annotations

import struct
from typing import BinaryIO

UNKNOWN_SIZE = 0xFFFFFFFF
"""What a recorder that streams writes for a length it does not know yet."""


def missing_wav_bytes(file: BinaryIO) -> int:
    """Bytes that the data chunk of a RIFF/WAVE file promises and the file does not hold; 0 for other formats.

    "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991): a chunk is four
    letters, a little-endian size, and that many bytes, padded to an even count.
    """
    end = file.seek(0, 2)
    file.seek(0)
    riff, _, wave = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
    if (riff, wave) != (b"RIFF", b"WAVE"):
        return 0
    while len(header := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", header)
        if name == b"data":
            return 0 if size in (0, UNKNOWN_SIZE) else max(0, file.tell() + size - end)
        file.seek(size + size % 2, 1)
    return 0
