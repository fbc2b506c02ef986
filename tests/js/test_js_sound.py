"""Sound in the package for JavaScript: resampled as soxr does it, read from WAV files, refused with Python's words."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from wav2edge import AudioError
from wav2edge.audio.clip import load_clip

pytestmark = pytest.mark.slow

CLIP = Path(__file__).parents[2] / "models" / "clips" / "zong-gong-0.flac"
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


def test_wav_files_that_are_broken_are_refused(tmp_path, run_script):
    whole = tmp_path / "whole.wav"
    soundfile.write(whole, np.linspace(-0.5, 0.5, 16_000), 16_000)
    content = whole.read_bytes()
    broken = {
        "cut.wav": content[:20_044],
        "text.wav": b"hello, this is not audio" * 9,
        "bare.wav": content[:12],
        "law.wav": content[:20] + b"\x07" + content[21:],
    }
    for name, each in broken.items():
        (tmp_path / name).write_bytes(each)
    found = run_script("read_wav.mjs", [str(tmp_path / name) for name in broken])
    with pytest.raises(AudioError) as caught:
        load_clip(tmp_path / "cut.wav")
    assert found[0]["error"] == {"name": "AudioError", "message": str(caught.value), "exitCode": 1}
    for here, name in zip(found[1:], list(broken)[1:], strict=True):
        assert here["error"]["name"] == "AudioError"
        assert here["error"]["message"].startswith(f"{tmp_path / name}: cannot be decoded (")
