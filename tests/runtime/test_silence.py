"""Silence at the ends of short clips is left out where that is known to lose nothing, and times stay the clip's."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge.audio.clip import Clip, sounding

RATE_HZ = 16_000


def tone(seconds, amplitude=0.3):
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * 220 * times_s)).astype(np.float32)


def between(before_s, samples, after_s, noise=0.0):
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal(round(seconds * RATE_HZ)) * noise for seconds in (before_s, after_s)]
    return np.concatenate([parts[0], samples, parts[1]]).astype(np.float32)


@pytest.mark.parametrize("noise", [0.0, 3e-4])
def test_a_fifth_of_a_second_of_silence_is_kept_at_each_end(noise):
    samples = between(0.7, tone(1.0), 0.5, noise)
    first, last = sounding(samples)
    assert first == pytest.approx(0.5 * RATE_HZ, abs=320)
    assert last == pytest.approx(1.9 * RATE_HZ, abs=320)


@pytest.mark.parametrize(
    "samples",
    [
        tone(1.0),
        between(0.15, tone(1.0), 0.15),
        between(0.7, tone(1.0), 0.7, noise=0.02),  # noise 21 dB below the tone is no silence
        np.zeros(RATE_HZ, np.float32),
        tone(0.01),
    ],
    ids=["no silence", "little silence", "noise", "nothing", "shorter than a frame"],
)
def test_a_clip_without_silence_to_spare_is_itself(samples):
    clip = Clip(samples=samples)
    assert clip.without_silence() is clip


def test_the_duration_is_that_of_the_recording():
    clip = Clip(samples=between(1.0, tone(1.0), 1.0), warnings=("loud",)).without_silence()
    assert len(clip.samples) < 1.5 * RATE_HZ
    assert clip.duration_s == pytest.approx(3.0)
    assert clip.begins_s == pytest.approx(0.8, abs=0.02)
    assert clip.warnings == ("loud",)


@pytest.fixture
def quiet_clip():
    return between(0.6, tiny_bundle.noise(8_000, amplitude=0.3), 0.6)


@pytest.fixture
def trimming(edit_manifest):
    return wav2edge.load(edit_manifest(trims_silence=True))


def test_an_engine_leaves_silence_out_only_where_its_bundle_says_so(engine, trimming, quiet_clip):
    assert (engine.trims_silence, trimming.trims_silence) == (False, True)
    first, last = sounding(quiet_clip)
    found, alone = trimming(quiet_clip, rate_hz=RATE_HZ), engine(quiet_clip[first:last], rate_hz=RATE_HZ)
    assert found.text == alone.text
    assert found.scores == pytest.approx(alone.scores)
    assert found.duration_s == pytest.approx(len(quiet_clip) / RATE_HZ)


def test_words_keep_the_clock_of_the_clip(engine, trimming, quiet_clip):
    first, last = sounding(quiet_clip)
    found, alone = trimming(quiet_clip, rate_hz=RATE_HZ), engine(quiet_clip[first:last], rate_hz=RATE_HZ)
    assert len(found.words) == len(alone.words) > 0
    for word, expected in zip(found.words, alone.words, strict=True):
        assert word.start_s == pytest.approx(expected.start_s + first / RATE_HZ)
        assert word.end_s == pytest.approx(expected.end_s + first / RATE_HZ)


def test_many_clips_and_files_are_treated_alike(trimming, quiet_clip, tmp_path):
    soundfile.write(tmp_path / "quiet.wav", quiet_clip, RATE_HZ)
    one = trimming(str(tmp_path / "quiet.wav"))
    (mapped,) = trimming.map([str(tmp_path / "quiet.wav")])
    assert (mapped.text, mapped.words) == (one.text, one.words)
