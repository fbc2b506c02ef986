"""Whether a WAV or AIFF file ends before its audio does, which libsndfile does not report."""

from __future__ import annotations

import struct
from typing import BinaryIO

SOUND_CHUNKS = {
    (b"RIFF", b"WAVE"): ("<", b"data"),
    (b"RF64", b"WAVE"): ("<", b"data"),
    (b"FORM", b"AIFF"): (">", b"SSND"),
    (b"FORM", b"AIFC"): (">", b"SSND"),
}
"""What a file starts with -> its byte order, and the chunk that holds the sound."""

SHORTEST_UNKNOWN_SIZE = 0x7FFFF000
"""From here on a size means "not known yet": 0x7FFFF000 (sox), 0x80000000 (arecord), 0xFFFFFFFF (ffmpeg) to a pipe."""


def missing_sound_bytes(file: BinaryIO) -> int:
    """Bytes of sound that the header of a WAV or AIFF file promises and the file does not hold; 0 for other formats.

    "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991) and EA IFF 85: a chunk
    is four letters, a size, and that many bytes, padded to an even count. RF64 (EBU Tech 3306) keeps the size of its
    sound in the chunk ``ds64``.
    """
    end = file.seek(0, 2)
    file.seek(0)
    form, _, kind = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
    if (form, kind) not in SOUND_CHUNKS:
        return 0
    order, sound = SOUND_CHUNKS[form, kind]
    long_size: int | None = None
    while len(header := file.read(8)) == 8:
        name, size = struct.unpack(f"{order}4sI", header)
        start = file.tell()
        if name == sound and long_size is not None:
            return max(0, start + long_size - end)
        if name == sound:
            return 0 if size >= SHORTEST_UNKNOWN_SIZE else max(0, start + size - end)
        if name == b"ds64":
            (long_size,) = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))
        file.seek(start + size + size % 2)
    return 0
