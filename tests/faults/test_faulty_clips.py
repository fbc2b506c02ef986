"""Clips that are odd or wrong in ways that no other test has: encodings, headers, names, and files that change."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge import AudioError
from wav2edge.audio.clip import load_clip
from wav2edge.evaluation.benchmark.resident_memory import resident_sizes

RATE_HZ = 16_000


def tone() -> np.ndarray:
    """A second that every encoding keeps well, `[samples] float32`."""
    return (0.5 * np.sin(np.arange(RATE_HZ) * 2 * np.pi * 440 / RATE_HZ)).astype(np.float32)


@pytest.fixture
def sound(save, second) -> bytes:
    """A WAV file of a second of noise."""
    return save("sound.wav", second).read_bytes()


# Encodings and headers


@pytest.mark.parametrize("encoding", ["ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "G721_32", "GSM610", "PCM_U8"])
def test_an_encoding_with_loss_is_read_as_nearly_the_same_sound(save, encoding):
    samples = load_clip(save("clip.wav", tone(), subtype=encoding)).samples[:RATE_HZ]
    assert np.corrcoef(samples, tone()[: len(samples)])[0, 1] > 0.97


@pytest.mark.parametrize("rate_hz", [4_000, 96_000, 192_000, 768_000])
def test_the_lowest_and_the_highest_rates_are_resampled(save, rate_hz):
    seconds = np.arange(rate_hz) / rate_hz
    clip = load_clip(save("clip.wav", 0.5 * np.sin(seconds * 2 * np.pi * 440), rate_hz=rate_hz, subtype="FLOAT"))
    inner = slice(RATE_HZ // 10, -RATE_HZ // 10)  # the filter sees silence beyond both ends
    np.testing.assert_allclose(clip.samples[inner], tone()[inner], atol=2e-3)


@pytest.mark.parametrize("rate_hz", [1, 3_999, 768_001, 2**31 - 1])
def test_a_file_with_a_rate_that_no_sound_has_is_refused(save, second, rate_hz):
    path = save("clip.wav", second, rate_hz=rate_hz)
    with pytest.raises(AudioError, match=f"{rate_hz} Hz is outside 4000 to 768000 Hz"):
        load_clip(path)


def test_six_channels_are_averaged_and_a_thousand_refused(save, second):
    six = np.stack([gain * second for gain in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)], axis=1)
    np.testing.assert_allclose(load_clip(save("six.wav", six, subtype="FLOAT")).samples, 0.35 * second, atol=1e-6)
    with pytest.raises(AudioError, match="1024 channels, at most 64"):
        load_clip(save("many.wav", np.zeros((400, 1_024))))


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def wav_of(*chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WAVE" + b"".join(chunks)


NOTES = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"a name with\0"))
FORMAT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16))
OTHER_FORMAT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, 8_000, 32_000, 4, 16))
ORDERS = {
    "notes in front": (NOTES, FORMAT, "data"),
    "notes between": (FORMAT, NOTES, "data"),
    "notes behind": (FORMAT, "data", NOTES),
    "an odd chunk in front": (FORMAT, chunk(b"junk", b"odd"), "data"),
    "another format behind": (FORMAT, "data", OTHER_FORMAT),
}


@pytest.mark.parametrize("name", ORDERS)
def test_chunks_in_any_order_give_the_sound(tmp_path, second, name):
    pcm = (second * 32_767).astype("<i2")
    parts = [chunk(b"data", pcm.tobytes()) if part == "data" else part for part in ORDERS[name]]
    path = tmp_path / "clip.wav"
    path.write_bytes(wav_of(*parts))
    np.testing.assert_array_equal(load_clip(path).samples, pcm / np.float32(32_768))


def test_a_header_that_gives_its_format_twice_is_refused(tmp_path, second):
    path = tmp_path / "clip.wav"
    path.write_bytes(wav_of(FORMAT, OTHER_FORMAT, chunk(b"data", (second * 32_767).astype("<i2").tobytes())))
    with pytest.raises(AudioError, match=r"cannot be decoded .* copy it again, or convert it to WAV"):
        load_clip(path)


AIFF = "464f524d00003eae41494646434f4d4d00000012000100000088e63ac504ffffff1a4f707573"
"""A damaged header, in hexadecimal, that leads libsndfile to a place in front of the file."""


def test_a_header_that_leads_in_front_of_the_file_is_refused_without_a_traceback(tmp_path, monkeypatch):
    path, ignored = tmp_path / "clip.aiff", []
    path.write_bytes(bytes.fromhex(AIFF))
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    with pytest.raises(AudioError, match="cannot be decoded"):
        load_clip(path)
    assert ignored == []


@pytest.mark.parametrize("samples", [399, 400, 401, 719, 720])
def test_around_the_lengths_at_which_a_frame_begins_there_is_an_answer(words, samples):
    noise = tiny_bundle.noise(samples)
    found = words.outputs(noise)
    assert len(found["logits"]) == max(1, (samples - 400) // 320 + 1)
    assert all(np.isfinite(each).all() for each in found.values())
    assert words(noise, rate_hz=RATE_HZ).text is not None


@pytest.mark.parametrize("offset", [0.05, -0.1])
def test_a_constant_offset_changes_no_answer(words, spoken, offset):
    samples = load_clip(spoken[0]).samples
    assert words(samples + np.float32(offset), rate_hz=RATE_HZ).text == words(samples, rate_hz=RATE_HZ).text


# Names


@pytest.mark.parametrize("name", ["-clip.wav", "two words.wav", "--help", "CLIP.WAV", "\u4f60\u597d.wav", "a\nb.wav"])
def test_a_clip_may_have_any_name(cli, bundle, clip, engine, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    clip.rename(tmp_path / name)
    outcome = cli("run", bundle, "--format", "json", "--", name)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.json == {"path": name, **engine(tmp_path / name).to_dict()}


def test_upper_case_suffixes_in_a_folder_are_audio_too(cli, bundle, save, second, tmp_path):
    save("folder/ONE.WAV", second, format="WAV")
    save("folder/two.Flac", second, format="FLAC")
    assert len(cli("run", bundle, tmp_path / "folder").out.splitlines()) == 2


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_that_may_not_be_read_is_one_line(clip, monkeypatch):
    clip.chmod(0)
    for folder in clip.parents:
        if folder.stat().st_uid == 0 and folder not in (Path("/"), Path("/tmp")):
            folder.chmod(0o755)
    os.seteuid(65_534)
    try:
        with pytest.raises(AudioError, match="Permission denied; check the path and its permissions"):
            load_clip(clip)
    finally:
        os.seteuid(0)


# Files that change


@pytest.fixture
def recording(save) -> Path:
    """Half a minute of speech-like bursts, in several segments."""
    bursts = [tiny_bundle.noise(24_000, seed=seed) * (seed % 2) for seed in range(20)]
    return Path(save("recording.wav", np.concatenate(bursts)))


@pytest.fixture(params=["read at once", "read bit by bit"])
def snapshot(request, monkeypatch) -> bool:
    """Whether a file is small enough to be read when it is opened; otherwise blocks are read as they are due."""
    small = request.param == "read at once"
    if not small:
        monkeypatch.setattr("wav2edge.audio.sound_file.SMALL_FILE_BYTES", 0)
        monkeypatch.setattr("wav2edge.audio.sound_file.BLOCK_FRAMES", 4_000)
    return small


def answer_while(engine, recording, change) -> wav2edge.Result:
    """The answer to a recording whose file is changed after the first segment."""
    changed: list[bool] = []

    def once(_: object) -> None:
        if not changed:
            changed.append(True)
            change(recording)

    return engine(recording, segments=True, on_segment=once)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let go of an open file")
def test_a_file_that_is_removed_while_it_is_read_is_answered_whole(engine, recording, snapshot):
    expected = engine(recording, segments=True)
    assert len(expected.segments) > 2
    assert answer_while(engine, recording, Path.unlink) == expected


def test_a_file_that_is_cut_while_it_is_read_is_answered_whole_or_with_a_warning(engine, recording, snapshot):
    expected = engine(recording, segments=True)
    found = answer_while(engine, recording, lambda path: os.truncate(path, 400_000))
    if snapshot:
        assert found == expected
    else:
        assert [warning.partition(" after ")[0] for warning in found.warnings] == ["truncated: the file ends"]
        assert found.segments[-1].end_s < expected.segments[-1].end_s


def test_a_file_that_grows_while_it_is_read_ends_where_its_header_said(engine, recording, snapshot):
    def grow(path: Path) -> None:
        with path.open("ab") as file:
            file.write(bytes(64_000))

    expected = engine(recording, segments=True)
    assert answer_while(engine, recording, grow) == expected


def test_a_clip_is_refused_that_lost_its_end_since_it_was_listed(cli, bundle, clip):
    soundfile.write(clip, tiny_bundle.noise(16_000), RATE_HZ)
    os.truncate(clip, 10_000)
    outcome = cli("run", bundle, clip)
    assert (outcome.code, outcome.out) == (1, "")
    assert "truncated" in outcome.complaint


# Long files


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_recording_of_any_length_takes_the_memory_of_a_short_one(engine, tmp_path):
    minute = np.concatenate([tiny_bundle.noise(24_000, seed=seed) * (seed % 2) for seed in range(40)])
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, "PCM_16") as file:
        for _ in range(30):
            file.write(minute)
    sizes = [resident_sizes()["VmRSS"] for _ in engine.segments(path)]
    assert len(sizes) > 500
    assert max(sizes[50:]) - sizes[50] < 20e6  # half an hour as floats is 115 MB, three hours 690 MB
