"""What libsndfile does not say of a file: that sound is missing at its end, or that there is more than it reads."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
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
W64_FORM, W64_WAVE, W64_SOUND = (
    bytes.fromhex(each)
    for each in (
        "726966662e91cf11a5d628db04c10000",
        "77617665f3acd3118cd100c04f8edb8a",
        "64617461f3acd3118cd100c04f8edb8a",
    )
)
"""What names the form, its kind and the chunk of sound of a Wave64 file (Sony, "Wave64 file format", 2003)."""
NIST_FIELD = re.compile(rb"(sample_count|channel_count|sample_n_bytes) -i (\d+)")
"""What gives the length of the sound in the header of a file of NIST's SPHERE, such as those of TIMIT."""

FLAC_BEGINNING = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""The marker, and the header of the block of 34 bytes that follows it (RFC 9639, section 6)."""
PAGE_MARK, PAGE_HEADER_BYTES, BEGINS_STREAM, ENDS_STREAM = b"OggS", 27, 2, 4
"""Of a page of Ogg (RFC 3533, section 6): its mark, its header without the table of segments, and the flags of a first
and a last page."""
NO_END_MARK = "no mark of its end: it was cut, or its recorder writes none, as Android's do not"
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


def ending(file: BinaryIO, kind: str) -> tuple[bool, tuple[str, ...]]:
    """Whether a file ends before its sound does, and a warning where that cannot be known.

    Args:
        file: the whole file.
        kind: libsndfile's name of its format.
    """
    if kind != "OGG":
        return missing_sound_bytes(file) > 0, ()
    flags, whole = 0, False
    for flags, whole in _ogg_pages(file):  # noqa: B007 the last
        pass
    return not whole, () if flags & ENDS_STREAM or not whole else (NO_END_MARK,)


def missing_sound_bytes(file: BinaryIO) -> int:
    """Bytes of sound that the header of a file promises and the file does not hold.

    0 for other formats than WAV, AIFF, AU, Wave64 and SPHERE.
    """
    end = file.seek(0, 2)
    found = (chunk(file) for chunk in (_sound_chunk, _au_sound, _w64_sound, _nist_sound))
    start, size = next((each for each in found if each is not None), (0, 0))
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


def _au_sound(file: BinaryIO) -> tuple[int, int | None] | None:
    """The same of an AU file, in either byte order (Sun Microsystems, "audio file format", audio(5))."""
    file.seek(0)
    header = file.read(12)
    order = {b".snd": ">", b"dns.": "<"}.get(header[:4])
    if order is None or len(header) < 12:
        return None
    start, size = struct.unpack(f"{order}4xII", header)
    return start, None if size >= SHORTEST_UNKNOWN_SIZE else size


def _w64_sound(file: BinaryIO) -> tuple[int, int | None] | None:
    """The same of a Wave64 file: sizes count the 24 bytes of name and size, and chunks are padded to 8 bytes."""
    file.seek(0)
    form, kind = struct.unpack("<16s8x16s", file.read(40).ljust(40, b"\0"))
    if (form, kind) != (W64_FORM, W64_WAVE):
        return None
    while len(header := file.read(24)) == 24:
        name, size = struct.unpack("<16sQ", header)
        if name == W64_SOUND:
            return file.tell(), max(0, size - 24)
        if not 24 <= size < 1 << 62:
            break
        file.seek(-(-size // 8) * 8 - 24, 1)
    return None


def _nist_sound(file: BinaryIO) -> tuple[int, int | None] | None:
    """The same of a SPHERE file, whose header is text: ``NIST_1A``, its length in bytes, a field a line."""
    file.seek(0)
    mark, length, *_ = [*file.read(16).split(b"\n"), b"", b""]
    if mark != b"NIST_1A" or not length.strip().isdigit():
        return None
    fields = {name: int(value) for name, value in NIST_FIELD.findall(file.read(int(length)))}
    samples = fields.get(b"sample_count", 0) * fields.get(b"channel_count", 1)
    return int(length), samples * fields.get(b"sample_n_bytes", 0)


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
    under_way = False
    for flags, _ in _ogg_pages(file):
        begins = bool(flags & BEGINS_STREAM)
        if begins and under_way:
            return "several Ogg streams one after the other, of which only the first would be read"
        under_way = under_way or not begins
    return None


def _ogg_pages(file: BinaryIO) -> Iterator[tuple[int, bool]]:
    """The flags of each page of Ogg, and whether it is whole; what may follow the last page is none."""
    end = file.seek(0, 2)
    file.seek(0)
    while (header := file.read(PAGE_HEADER_BYTES)) and PAGE_MARK.startswith(header[:4]):
        if len(header) < PAGE_HEADER_BYTES:
            yield 0, False
            return
        sizes = file.read(header[26])
        behind = file.seek(sum(sizes), 1)
        yield header[5], len(sizes) == header[26] and behind <= end


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
        if (frame := mp3_frame(header)) is None:
            break
        samples += frame[0]
        file.seek(frame[1] - 4, 1)
    return samples


def mp3_frame(header: bytes) -> tuple[int, int] | None:
    """Samples of each channel and bytes of the frame of layer III that these four bytes begin; None: of none."""
    if len(header) < 4:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bits, rate = header[2] >> 4, header[2] >> 2 & 3
    if header[0] != 0xFF or header[1] < 0xE0 or layer != 1 or version == 1 or bits in (0, 15) or rate == 3:
        return None
    generation = 1 if version == 3 else 2
    samples = 1152 // generation
    size_bytes = samples // 8 * KBITS_PER_S[generation][bits - 1] * 1000 // MPEG_RATES_HZ[version][rate]
    return samples, size_bytes + (header[2] >> 1 & 1)


LEFT_OVER: dict[str, Callable[[BinaryIO, int], str | None]] = {
    "OGG": _ogg_left_over,
    "FLAC": _flac_left_over,
    "MP3": _mp3_left_over,
}
"""libsndfile's names of formats -> a check of files in them."""
