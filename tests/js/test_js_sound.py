"""Sound in the package for JavaScript: resampled as soxr does it, read from WAV files, refused with Python's words."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

import wav2edge
from wav2edge import AudioError
from wav2edge.audio.clip import load_clip

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[2] / "models"
WORDS = MODELS / "words"
CLIP = MODELS / "clips" / "zong-gong-0.flac"
RATE_HZ = 16_000
RATES_HZ = (8_000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
ODD_RATES_HZ = (12_345, 44_101)
"""Of which the filters are interpolated."""
BLOCKS = ([1 << 20], [1, 777, 64], [4_000])
WITHIN = 1e-3


def tones(rate_hz: int) -> np.ndarray:
    """Two seconds of tones up to 0.85 of what both rates can have, as loud as full scale together."""
    noise = np.random.default_rng(rate_hz)
    at_s = np.arange(2 * rate_hz) / rate_hz
    pitches_hz = np.geomspace(60.0, 0.85 * min(rate_hz, 16_000) / 2, 12)
    waves = [np.sin(2 * np.pi * (pitch_hz * at_s + noise.random())) for pitch_hz in pitches_hz]
    fade = np.minimum(1.0, np.minimum(at_s, at_s[::-1]) / 0.05)
    return (fade * np.mean(waves, axis=0)).astype(np.float32)


def speech(rate_hz: int) -> np.ndarray:
    """A shipped clip at another sample rate, louder than most recordings."""
    samples = load_clip(CLIP).samples
    return (0.9 * soxr.resample(samples / np.abs(samples).max(), 16_000, rate_hz)).astype(np.float32)


@pytest.mark.parametrize("signal", [tones, speech])
def test_resampling_gives_the_samples_of_soxr_in_blocks_of_any_length(signal, tmp_path, run_script):
    questions, expected = [], []
    for rate_hz, blocks in itertools.product(RATES_HZ + ODD_RATES_HZ, BLOCKS):
        samples = signal(rate_hz)
        path = tmp_path / f"{rate_hz}.f32"
        samples.tofile(path)
        output = tmp_path / f"{rate_hz}-{blocks[0]}.f32"
        questions.append({"path": str(path), "rateHz": rate_hz, "blocks": blocks, "output": str(output)})
        expected.append(soxr.resample(samples, rate_hz, 16_000))
    run_script("resample.mjs", questions)
    found = [np.fromfile(question["output"], np.float32) for question in questions]
    for here, there, question in zip(found, expected, questions, strict=True):
        assert len(here) == len(there), question["rateHz"]
        assert np.abs(here - there).max() < WITHIN, question["rateHz"]
    for place in range(0, len(found), len(BLOCKS)):
        whole, *in_blocks = found[place : place + len(BLOCKS)]
        assert all(np.array_equal(whole, other) for other in in_blocks)


def test_lengths_are_those_of_soxr(tmp_path, run_script):
    questions, expected = [], []
    for rate_hz in RATES_HZ:
        for length in (1, 2, 3, 5, 100, 1_001, rate_hz + 1, 2 * rate_hz + 3):
            path, output = tmp_path / f"{length}.f32", tmp_path / f"{rate_hz}-{length}.f32"
            np.ones(length, np.float32).tofile(path)
            questions.append({"path": str(path), "rateHz": rate_hz, "blocks": [1 << 20], "output": str(output)})
            expected.append(len(soxr.resample(np.ones(length), rate_hz, 16_000)))
    run_script("resample.mjs", questions)
    assert [len(np.fromfile(question["output"], np.float32)) for question in questions] == expected


WAV = {
    "8 bits": ("PCM_U8", 1),
    "16 bits": ("PCM_16", 1),
    "16 bits, stereo": ("PCM_16", 2),
    "24 bits, six channels": ("PCM_24", 6),
    "32 bits": ("PCM_32", 1),
    "floats": ("FLOAT", 2),
    "doubles": ("DOUBLE", 1),
}


def test_wav_files_hold_the_samples_that_libsndfile_reads(tmp_path, run_script):
    noise = np.random.default_rng(1)
    paths = []
    for name, (subtype, channels) in WAV.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, noise.uniform(-1, 1, (257, channels)), 22_050, subtype=subtype)
        paths.append(path)
    found = run_script("read_wav.mjs", [str(path) for path in paths])
    for here, path in zip(found, paths, strict=True):
        samples, rate_hz = soundfile.read(path, always_2d=True)
        assert here["rateHz"] == rate_hz
        assert np.array_equal(np.array(here["channels"]).T, samples), path.name


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """A chunk, which may lie about its size."""
    return name + struct.pack("<I", len(content) if size is None else size) + content + bytes(len(content) % 2)


def wave(*chunks: bytes, form: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return form + struct.pack("<I", len(body)) + body


def described(rate_hz: int = RATE_HZ, channels: int = 1) -> bytes:
    return chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, rate_hz, 2 * rate_hz, 2, 16))


PCM = np.random.default_rng(2).integers(-9_000, 9_000, RATE_HZ, dtype=np.int16).tobytes()
SOUND = chunk(b"data", PCM)
TITLE = chunk(b"LIST", b"INFOINAM" + struct.pack("<I", 4) + b"abc\0")
LONG_SIZES = chunk(b"ds64", struct.pack("<QQQI", len(PCM) + 60, len(PCM), RATE_HZ, 0))
ONLY_WAV = json.loads((MODELS.parent / "runtime" / "messages.json").read_text(encoding="utf-8"))["wav_only"]["message"]
BROKEN = {
    "two files, joined": 2 * wave(described(), SOUND),
    "joined behind a title": wave(described(), SOUND, TITLE) + wave(described(), SOUND),
    "two chunks of sound": wave(described(), SOUND, SOUND),
    "two chunks of sound, a title between them": wave(described(), SOUND, TITLE, SOUND),
    "no sound, then some that is cut": wave(described(), chunk(b"data", b""), SOUND)[:-99],
    "its format twice": wave(described(), described(8_000), SOUND),
    "no format": wave(SOUND),
    "half a format": wave(chunk(b"fmt ", described()[8:16]), SOUND),
    "no channel": wave(described(channels=0), SOUND),
    "noise before its sound": wave(described(), chunk(b"\1\2\3\4", b""), SOUND),
    "a long size that is not there": wave(described(), chunk(b"data", PCM, 0xFFFFFFFF), form=b"RF64"),
    "its beginning": wave(described(), SOUND)[:12],
    "nothing": b"",
    "a web page": b"<html>no such file</html>" * 9,
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
    "a container": b"\0\0\0\x20ftypM4A " + bytes(99),
    "noise": np.random.default_rng(3).bytes(999),
}
HARMLESS = {
    "a title behind its sound": wave(described(), SOUND, TITLE),
    "a title before its sound": wave(TITLE, described(), SOUND),
    "a tag behind its end": wave(described(), SOUND) + b"TAG" + bytes(125),
    "zeros behind its end": wave(described(), SOUND) + bytes(513),
    "a title that is cut": wave(described(), SOUND, chunk(b"LIST", b"INFO", 5_000)),
    "another format behind its sound": wave(described(), SOUND, described(8_000)),
    "no size yet": wave(described(), chunk(b"data", PCM, 0)),
    "no size, from sox": wave(described(), chunk(b"data", PCM, 0x7FFFF000)),
    "no size, from arecord": wave(described(), chunk(b"data", PCM, 0x80000000)),
    "RF64": wave(LONG_SIZES, described(), chunk(b"data", PCM, 0xFFFFFFFF), TITLE, form=b"RF64"),
}

OTHER_KINDS: dict[str, dict[str, str]] = {
    "FLAC": {"format": "FLAC"},
    "AIFF": {"format": "AIFF"},
    "W64": {"format": "W64"},
    "WAV of format 7 with 8 bits": {"format": "WAV", "subtype": "ULAW"},
}


def written(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """The paths of files."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in files]


def refusal(path: str) -> dict[str, Any]:
    """What Python says of a clip."""
    with pytest.raises(AudioError) as caught:
        load_clip(path)
    return {"error": {"name": "AudioError", "message": str(caught.value), "exitCode": 1}}


def test_wav_files_that_would_be_read_in_part_or_not_at_all_are_refused_with_the_words_of_python(tmp_path, run_script):
    paths = written(tmp_path, BROKEN)
    assert run_script("read_wav.mjs", paths) == [refusal(path) for path in paths]


def test_wav_files_with_harmless_chunks_or_sizes_that_are_not_known_are_read_whole(tmp_path, run_script):
    found = run_script("read_wav.mjs", paths := written(tmp_path, HARMLESS))
    for here, path in zip(found, paths, strict=True):
        assert here["rateHz"] == RATE_HZ, path
        assert np.array_equal(np.array(here["channels"][0]) * 2**15, np.frombuffer(PCM, np.int16)), path
        assert not here["truncated"]
        assert len(load_clip(path).samples) == RATE_HZ


def test_sound_of_other_kinds_is_named_and_not_called_damaged(tmp_path, run_script):
    noise = np.random.default_rng(1).uniform(-1, 1, RATE_HZ)
    for name, options in OTHER_KINDS.items():
        soundfile.write(tmp_path / name, noise, RATE_HZ, **options)
    found = run_script("read_wav.mjs", [str(tmp_path / name) for name in OTHER_KINDS])
    for here, name in zip(found, OTHER_KINDS, strict=True):
        assert here["error"]["message"] == ONLY_WAV.format(name=tmp_path / name, kind=name)


def test_a_clip_that_is_cut_is_refused_and_a_recording_answered_with_a_warning_as_in_python(tmp_path, run_script):
    clip, _ = soundfile.read(CLIP, dtype="int16")
    recording = np.concatenate([part for _ in range(6) for part in (clip, np.zeros(RATE_HZ, np.int16))])
    whole = {"clip": clip, "recording": recording, "header": clip[:0]}
    cut = {
        name: wave(described(), chunk(b"data", samples.tobytes(), 2 * len(samples) + 9_999))
        for name, samples in whole.items()
    }
    paths = written(tmp_path, cut)
    question = {
        "bundle": str(WORDS),
        "options": {"device": "cpu", "threads": 1},
        "clips": [{"path": path, "type": "WAV"} for path in paths],
    }
    found = run_script("answers.mjs", question)
    assert [found[0], found[2]] == [refusal(paths[0]), refusal(paths[2])]
    expected = wav2edge.load(WORDS, threads=1)(paths[1])
    assert found[1]["text"] == expected.text
    assert found[1]["warnings"] == list(expected.warnings)
    assert expected.warnings[-1].startswith("truncated: the file ends after ")


def test_what_is_wrong_with_the_sound_of_a_file_is_said_of_its_name(tmp_path, run_script):
    (path,) = written(tmp_path, {"silence.wav": wave(described(), chunk(b"data", bytes(len(PCM))))})
    question = {"bundle": str(WORDS), "options": {"device": "cpu"}, "clips": [{"path": path, "type": "WAV"}]}
    assert run_script("answers.mjs", question) == [refusal(path)]
