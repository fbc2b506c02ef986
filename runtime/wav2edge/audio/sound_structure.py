"""What libsndfile does not say of a file: that sound is missing at its end, or that there is more than it reads."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
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

FLAC_BEGINNING = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""The marker, and the header of the block of 34 bytes that follows it (RFC 9639, section 6)."""
PAGE_HEADER_BYTES, BEGINS_STREAM = 27, 2
"""Of a page of Ogg (RFC 3533, section 6): its header without the table of segments, and the flag of a first page."""
KBITS_PER_S = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of a frame of layer III by its index from 1 on, for MPEG-1 (ISO/IEC 11172-3) and MPEG-2 (ISO/IEC 13818-3)."""
MPEG_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""By the two bits of the version; 0 is the extension that is called MPEG-2.5."""
MOST_TRIMMED_SAMPLES = 10_000
"""The frame of the Xing header, and what an encoder may have cut off: twice 12 bits of samples."""
SEARCHED_BYTES = 1 << 20


def missing_sound_bytes(file: BinaryIO) -> int:
    """Bytes of sound that the header of a WAV or AIFF file promises and the file does not hold; 0 for other formats."""
    end = file.seek(0, 2)
    start, size = _sound_chunk(file) or (0, 0)
    return 0 if size is None else max(0, start + size - end)


def place_of_unwritten_size(file: BinaryIO) -> int | None:
    """Where a WAV file says that its sound has 0 bytes although sound follows: its recorder was ended before it knew.

    None for other files. Where a chunk follows, such as a title, there is no sound indeed.
    """
    end = file.seek(0, 2)
    start, size = _sound_chunk(file) or (end, 0)
    if size != 0 or start >= end:
        return None
    file.seek(start)
    name, length = struct.unpack("<4sI", file.read(8).ljust(8, b"\0"))
    is_chunk = all(0x20 <= letter < 0x7F for letter in name) and start + 8 + length <= end
    return None if is_chunk else start - 4


def _sound_chunk(file: BinaryIO) -> tuple[int, int | None] | None:
    """Where the sound of a WAV or AIFF file starts, and its bytes; those are None where they are not known yet.

    "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991) and EA IFF 85: a chunk
    is four letters, a size, and that many bytes, padded to an even count. RF64 (EBU Tech 3306) keeps the size of its
    sound in the chunk ``ds64``.
    """
    file.seek(0)
    form, _, kind = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
    if (form, kind) not in SOUND_CHUNKS:
        return None
    order, sound = SOUND_CHUNKS[form, kind]
    long_size: int | None = None
    while len(header := file.read(8)) == 8:
        name, size = struct.unpack(f"{order}4sI", header)
        start = file.tell()
        if name == sound:
            return start, long_size or (None if size >= SHORTEST_UNKNOWN_SIZE else size)
        if name == b"ds64":
            (long_size,) = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))
        file.seek(start + size + size % 2)
    return None


def what_is_left_over(file: BinaryIO, kind: str, frames: int) -> str | None:
    """Why a file holds more sound than libsndfile reads of it; None where it does not, and for other formats.

    Args:
        file: the whole file.
        kind: libsndfile's name of its format.
        frames: samples of each channel that libsndfile reads.
    """
    check = LEFT_OVER.get(kind)
    return check(file, frames) if check is not None else None


def _ogg_left_over(file: BinaryIO, frames: int) -> str | None:
    """Streams that are mixed all begin before the sound; one that begins later is another link of a chain."""
    file.seek(0)
    under_way = False
    while len(header := file.read(PAGE_HEADER_BYTES)) == PAGE_HEADER_BYTES and header.startswith(b"OggS"):
        begins = bool(header[5] & BEGINS_STREAM)
        if begins and under_way:
            return "several Ogg streams one after the other, of which only the first would be read"
        under_way = under_way or not begins
        file.seek(sum(file.read(header[26])), 1)
    return None


def _flac_left_over(file: BinaryIO, frames: int) -> str | None:
    file.seek(4)
    tail = b""
    while block := file.read(SEARCHED_BYTES):
        if FLAC_BEGINNING.search(tail + block):
            return "several FLAC files one after the other, of which only the first would be read"
        tail = block[-8:]
    return None


def _mp3_left_over(file: BinaryIO, frames: int) -> str | None:
    """libmpg123 believes the number in a Xing header, or takes the first frame's bit rate for that of all."""
    if (held := _mp3_samples(file)) <= frames + MOST_TRIMMED_SAMPLES:
        return None
    return f"{held} samples in an MP3 file of which only {frames} would be read: parts were joined, or its header lies"


def _mp3_samples(file: BinaryIO) -> int:
    """Samples of each channel in the frames of layer III that follow one another, tags between them left out."""
    file.seek(0)
    samples = 0
    while len(header := file.read(4)) == 4:
        if header.startswith(b"ID3"):  # https://id3.org/id3v2.4.0-structure: ten bytes, then seven bits of each of four
            size = file.read(6).ljust(6, b"\0")[2:]
            file.seek(sum(bits << shift for bits, shift in zip(size, (21, 14, 7, 0), strict=True)), 1)
            continue
        if header.startswith(b"TAG"):
            file.seek(128 - 4, 1)
            continue
        version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
        bits, rate = header[2] >> 4, header[2] >> 2 & 3
        if header[0] != 0xFF or header[1] < 0xE0 or layer != 1 or version == 1 or bits in (0, 15) or rate == 3:
            break
        generation = 1 if version == 3 else 2
        each = 1152 // generation
        size_bytes = each // 8 * KBITS_PER_S[generation][bits - 1] * 1000 // MPEG_RATES_HZ[version][rate]
        samples += each
        file.seek(size_bytes + (header[2] >> 1 & 1) - 4, 1)
    return samples


LEFT_OVER: dict[str, Callable[[BinaryIO, int], str | None]] = {
    "OGG": _ogg_left_over,
    "FLAC": _flac_left_over,
    "MP3": _mp3_left_over,
}
"""libsndfile's names of formats -> a check of files in them."""
