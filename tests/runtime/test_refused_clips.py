from __future__ import annotations

import io
import sys

import numpy as np
import pytest
import soundfile

from wav2edge import AudioError, UsageError
from wav2edge.audio.clip import load_clip


def refusal(source: object, **options: object) -> str:
    """The one line a clip is refused with."""
    with pytest.raises(AudioError) as caught:
        load_clip(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_clip_of_one_sample_is_refused_as_silent(save, second):
    path = save("one.wav", second[:1])
    assert refusal(path).startswith(f"{path}: silent, every sample is")


@pytest.mark.parametrize("level", [0.0, 0.25], ids=["zeros", "a constant"])
def test_digital_silence_is_refused(save, level):
    path = save("silent.wav", np.full(16_000, level))
    assert refusal(path) == f"{path}: silent, every sample is {level:g}; check the microphone or the file"


def test_a_sound_below_the_smallest_float32_is_refused_as_silent(second):
    assert "silent" in refusal(second.astype(np.float64) * 1e-300, rate_hz=16_000)


def test_a_channel_that_cancels_silence_is_still_silence():
    assert "silent" in refusal(np.zeros((16_000, 2)), rate_hz=16_000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused_with_their_place(save, second, value):
    broken = np.stack([second, second], axis=1)
    broken[[77, 500], 1] = value
    path = save("broken.wav", broken, subtype="FLOAT")
    assert refusal(path) == (
        f"{path}: samples that are not finite, 2 in all, the first at index 77, channel 1 ({value});"
        " export the clip again"
    )


@pytest.mark.parametrize("gain", [1e15, 1e39, 1e300])
def test_samples_beyond_any_sound_are_refused_before_they_overflow(second, gain):
    assert "scale the samples to [-1, 1]" in refusal(second.astype(np.float64) * gain, rate_hz=16_000)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    assert refusal(path) == f"{path}: empty file; record or copy it again"


def test_a_header_without_samples_is_refused(save):
    path = save("hollow.wav", np.zeros(0))
    assert refusal(path) == f"{path}: holds no samples; record or export the clip again"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello, this is not audio\n" * 30, "text, not audio"),
        ("<html>Störung: 404</html>".encode() * 40, "text, not audio"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"\0\0\0\x20ftypM4A " + bytes(64), "ffmpeg -i IN"),
        (b"\x1aE\xdf\xa3" + bytes(64), "ffmpeg -i IN"),
        (bytes(range(256)) * 4, "cannot be decoded"),
        (b"RIFF\0\0\0\0WAVE", "cannot be decoded"),
    ],
    ids=["text", "html", "git lfs", "m4a", "webm", "noise", "a bare header"],
)
def test_what_is_not_audio_is_refused_for_what_it_looks_like(tmp_path, content, reason):
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    assert refusal(path).startswith(f"{path}: ")
    assert reason in refusal(path)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "RF64", "W64", "AU", "NIST", "MP3", "FLAC", "CAF", "OGG", "OGG OPUS"])
def test_a_truncated_file_is_refused_rather_than_recognised_in_part(save, second, kind):
    path = save("clip", np.tile(second, 3), **dict(zip(("format", "subtype"), kind.split(), strict=False)))
    content = path.read_bytes()
    assert load_clip(path).duration_s == pytest.approx(3.0, abs=0.01)
    path.write_bytes(content[: len(content) // 2])
    assert refusal(path).startswith(f"{path}: ")
    assert "truncated" in refusal(path) or "cut off" in refusal(path)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_file_without_the_mark_of_its_end_is_read_with_a_warning(save, second, subtype):
    path = save("clip.ogg", np.tile(second, 9), subtype=subtype)
    content = path.read_bytes()
    assert load_clip(path).warnings == ()
    path.write_bytes(content[: content.rindex(b"OggS")])
    assert load_clip(path).warnings == (
        "no mark of its end: it was cut, or its recorder writes none, as Android's do not",
    )


def test_a_file_that_is_not_open_for_reading_bytes_is_refused(clip, tmp_path):
    with clip.open(encoding="latin-1") as text:
        assert refusal(text) == f"{clip}: open as text; open it as a binary file, with mode 'rb'"
    with (tmp_path / "new.wav").open("wb") as written:
        assert "give a binary file that is open for reading" in refusal(written)
    assert refusal(written).startswith(f"{tmp_path / 'new.wav'}: cannot be read (")


def flac_with_length(path, frames: int) -> None:
    """Write another number of frames into the header: the last 36 bits of 8 bytes (RFC 9639, section 8.2)."""
    content = bytearray(path.read_bytes())
    field = int.from_bytes(content[18:26], "big") >> 36 << 36 | frames
    content[18:26] = field.to_bytes(8, "big")
    path.write_bytes(content)


@pytest.mark.parametrize("frames", [0, 2**36 - 1], ids=["of unknown length", "that promises a month"])
def test_a_flac_file_with_an_untrue_length_is_refused(save, second, frames):
    path = save("clip.flac", second)
    flac_with_length(path, frames)
    assert refusal(path).startswith(f"{path}: ")


@pytest.mark.parametrize("kind", [("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", "PCM_16")], ids=" ".join)
def test_files_that_were_joined_are_refused_rather_than_the_first_alone_recognised(save, second, kind):
    path = save("clip", np.tile(second, 2), format=kind[0], subtype=kind[1])
    path.write_bytes(2 * path.read_bytes())
    assert "one after the other, of which only the first would be read; convert it first" in refusal(path)


@pytest.mark.parametrize(
    "alter",
    [
        lambda content: 2 * content,
        lambda content: content + b"TAG" + bytes(125) + b"ID3\4" + bytes(4) + b"\1\0" + bytes(128) + content,
        lambda content: content.replace(content[content.index(b"Xing") + 8 :][:4], b"\0\0\0\5", 1),
        lambda content: content.replace(b"Xing", bytes(4), 1),
    ],
    ids=["joined", "joined with their tags", "with an untrue number of frames", "of any bit rate without that number"],
)
def test_an_mp3_file_with_more_sound_than_would_be_read_is_refused(save, second, alter):
    path = save("clip.mp3", np.tile(second, 3), bitrate_mode="VARIABLE")
    content = path.read_bytes()
    assert b"Xing" in content
    path.write_bytes(alter(content))
    assert "would be read: parts were joined, or its header lies; convert it first" in refusal(path)


def test_a_sample_dump_is_refused_before_libsndfile_prints_of_its_damage(save, second):
    path = save("clip.sds", second, format="SDS", subtype="PCM_16")
    assert refusal(path) == f"{path}: a MIDI sample dump, of which damage goes unnoticed; convert it to WAV"


def test_a_missing_file_is_refused(tmp_path):
    assert refusal(tmp_path / "gone.wav") == f"{tmp_path / 'gone.wav'}: no such file; check the path"


def test_a_folder_is_refused(tmp_path):
    assert refusal(tmp_path).startswith(f"{tmp_path}: a folder")


def test_a_name_too_long_for_the_system_is_refused(tmp_path):
    assert "check the path" in refusal(tmp_path / ("x" * 300))


def test_a_broken_link_is_refused_with_what_it_points_to(tmp_path):
    link = tmp_path / "clip.wav"
    link.symlink_to("elsewhere.wav")
    assert refusal(link) == f"{link}: a broken link, elsewhere.wav is not there; mend or delete it"


@pytest.mark.parametrize("rate_hz", ["16000", 16_000j, [16_000]])
def test_a_rate_that_is_not_a_number_is_wrong_usage(second, rate_hz):
    with pytest.raises(UsageError, match=r"array: rate_hz=.* is not a number of Hz; pass one, such as rate_hz=16_000"):
        load_clip(second, rate_hz=rate_hz)


@pytest.mark.parametrize("rate_hz", [16_000.0, np.int64(16_000), np.float32(16_000)])
def test_a_rate_may_be_any_kind_of_number(second, rate_hz):
    np.testing.assert_array_equal(load_clip(second, rate_hz=rate_hz).samples, second)


def test_a_rate_for_a_file_is_wrong_usage(save, second):
    path = save("clip.wav", second)
    with path.open("rb") as file:
        for source in (path, str(path), file):
            with pytest.raises(UsageError, match=r"clip\.wav: a file has its own sample rate; leave rate_hz out"):
                load_clip(source, rate_hz=8_000)


def test_an_array_without_a_rate_is_refused(second):
    assert "pass rate_hz=" in refusal(second)


@pytest.mark.parametrize("dtype", [np.complex64, bool, object, "U4"])
def test_arrays_that_are_not_numbers_of_sound_are_refused(dtype):
    samples = np.ones(1_000).astype(dtype)
    assert refusal(samples, rate_hz=16_000) == f"array: {samples.dtype} samples; pass floats in [-1, 1] or integers"


@pytest.mark.parametrize("shape", [(), (0,), (0, 2), (1_000, 0), (10, 10, 10), (2, 16_000)])
def test_arrays_of_other_shapes_are_refused(shape):
    assert refusal(np.ones(shape), rate_hz=16_000).startswith("array: ")


@pytest.mark.parametrize("rate_hz", [0, 1, 3_999, 768_001, 2**31 - 1])
def test_implausible_rates_are_refused(second, rate_hz):
    assert refusal(second, rate_hz=rate_hz).startswith(f"array: {rate_hz} Hz is outside 4000 to 768000 Hz")


@pytest.mark.parametrize("source", [[0.1, 0.2], b"RIFF", None, 3])
def test_what_is_not_a_source_is_refused(source):
    assert "pass one" in refusal(source, rate_hz=16_000)


def test_closed_standard_input_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert refusal("-") == "standard input: closed; pipe a clip into it"


def test_a_pipe_that_cannot_seek_is_read(save, second):
    content = save("clip.wav", second, subtype="FLOAT").read_bytes()

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    np.testing.assert_array_equal(load_clip(Pipe(content)).samples, second)


def test_samples_are_those_that_soundfile_reads(save, second):
    path = save("clip.flac", np.stack([second, second[::-1]], axis=1), subtype="PCM_24")
    expected, _ = soundfile.read(path)
    np.testing.assert_allclose(load_clip(path).samples, expected.mean(axis=1), atol=1e-7)
