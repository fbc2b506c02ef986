from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from wav2edge.audio.clip import load_clip
from wav2edge.audio.sound_structure import missing_sound_bytes
from wav2edge.errors import AudioError


def chunk(name: bytes, content: bytes, *, size: int | None = None, order: str = "<") -> bytes:
    promised = len(content) if size is None else size
    return struct.pack(f"{order}4sI", name, promised) + content + b"\0" * (len(content) % 2)


def wav(*chunks: bytes, form: bytes = b"RIFF", kind: bytes = b"WAVE") -> io.BytesIO:
    return io.BytesIO(form + bytes(4) + kind + b"".join(chunks))


FORMAT = chunk(b"fmt ", bytes(16))


@pytest.mark.parametrize("held", [0, 1, 60, 99, 100, 140])
def test_what_the_data_chunk_promises_and_the_file_lacks_is_counted(held):
    assert missing_sound_bytes(wav(FORMAT, chunk(b"data", bytes(held), size=100))) == max(0, 100 - held - held % 2)


def test_chunks_before_the_sound_are_stepped_over_with_their_padding():
    assert missing_sound_bytes(wav(FORMAT, chunk(b"LIST", bytes(7)), chunk(b"data", bytes(10), size=14))) == 4


def test_chunks_after_the_sound_do_not_matter():
    assert missing_sound_bytes(wav(FORMAT, chunk(b"data", bytes(10)), chunk(b"LIST", bytes(4), size=99))) == 0


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0])
def test_the_sizes_that_recorders_write_to_a_pipe_promise_nothing(size):
    assert missing_sound_bytes(wav(FORMAT, chunk(b"data", bytes(10), size=size))) == 0


@pytest.mark.parametrize("kind", [b"AIFF", b"AIFC"])
def test_aiff_is_read_in_its_own_byte_order(kind):
    common = chunk(b"COMM", bytes(18), order=">")
    sound = chunk(b"SSND", bytes(10), size=50, order=">")
    assert missing_sound_bytes(wav(common, sound, form=b"FORM", kind=kind)) == 40


def test_rf64_keeps_its_size_in_a_chunk_of_its_own():
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, 50, 0, 0))
    sound = chunk(b"data", bytes(10), size=0xFFFFFFFF)
    assert missing_sound_bytes(wav(sizes, FORMAT, sound, form=b"RF64")) == 40


@pytest.mark.parametrize("content", [b"", b"RIFF", b"fLaC" + bytes(40), b"RIFF\0\0\0\0WAVEdat", b"RIFF\0\0\0\0AVI "])
def test_other_and_broken_files_have_no_missing_bytes(content):
    assert missing_sound_bytes(io.BytesIO(content)) == 0


@pytest.mark.parametrize("of_all", [0, 8, 36, 0xFFFFFFFF], ids=hex)
def test_a_wav_file_whose_recorder_never_wrote_its_size_is_read_to_its_end(save, second, of_all):
    path = save("clip.wav", second)
    content, samples = path.read_bytes(), load_clip(path).samples
    unfinished = content[:4] + struct.pack("<I", of_all) + content[8:40] + bytes(4) + content[44:]
    np.testing.assert_array_equal(load_clip(io.BytesIO(unfinished)).samples, samples)


def test_a_wav_file_without_sound_that_has_a_title_stays_without_sound():
    head = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    with pytest.raises(AudioError, match="holds no samples"):
        load_clip(wav(chunk(b"fmt ", head), chunk(b"data", b""), chunk(b"LIST", bytes(40))))
