"""Voice activity as sound comes: what opens an utterance, what does not, and when."""

import pickle

import numpy as np
import pytest

from wav2edge.audio.causal_voice_activity import CausalEnergyDetector

RATE_HZ = 16_000
FRAME_S = 0.02


def noise(seconds, dbfs, seed=0):
    level = 10 ** (dbfs / 20)
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def speech(seconds, dbfs=-20.0):
    """A voice: harmonics of 120 Hz in syllables of a quarter of a second, with gaps between them."""
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    tone = sum(np.sin(2 * np.pi * 120 * k * times_s) / k for k in range(1, 40))
    syllables = np.clip(np.sin(2 * np.pi * 4 * times_s) + 0.5, 0, 1)
    voiced = tone * syllables
    return (voiced * 10 ** (dbfs / 20) / np.sqrt(np.mean(voiced**2))).astype(np.float32)


def scores(sound, block=None):
    detector = CausalEnergyDetector()
    blocks = [sound] if block is None else [sound[at : at + block] for at in range(0, len(sound), block)]
    return np.concatenate([*(detector.feed(each) for each in blocks), detector.finish()])


def first_above(found, start_s, threshold=CausalEnergyDetector.starts_above):
    """Seconds from a moment to the first score above a threshold."""
    after = found[round(start_s / FRAME_S) :]
    return np.flatnonzero(after > threshold)[0] * FRAME_S


@pytest.mark.parametrize("block", [1, 100, 511, 4_000])
def test_scores_do_not_depend_on_how_long_the_blocks_are(block):
    sound = np.concatenate([noise(0.5, -60), speech(0.5), noise(0.3, -60, seed=1)])
    np.testing.assert_array_equal(scores(sound, block), scores(sound))


def test_speech_after_noise_is_found_within_two_frames():
    found = scores(np.concatenate([noise(3, -60), speech(1)]))
    assert found[: round(2.9 / FRAME_S)].max() < CausalEnergyDetector.starts_above
    assert first_above(found, 3.0) <= 2 * FRAME_S


def test_speech_is_found_within_a_tenth_of_a_second_where_a_stream_begins_with_it():
    assert first_above(scores(speech(1)), 0.0) <= 0.1


def test_speech_after_digital_silence_is_found():
    found = scores(np.concatenate([np.zeros(2 * RATE_HZ, np.float32), speech(1)]))
    assert found[: round(1.9 / FRAME_S)].max() < CausalEnergyDetector.ends_below
    assert first_above(found, 2.0) <= 2 * FRAME_S


def test_speech_ends_within_a_tenth_of_a_second_of_its_last_sound():
    found = scores(np.concatenate([noise(1, -60), speech(0.9), noise(1, -60, seed=1)]))
    after = found[round(2.0 / FRAME_S) :]
    assert after.max() < CausalEnergyDetector.ends_below


@pytest.mark.parametrize("muted_s", [0.3, 3.0])
def test_the_noise_of_a_microphone_after_digital_silence_is_no_speech(muted_s):
    muted = np.zeros(round(muted_s * RATE_HZ), np.float32)
    found = scores(np.concatenate([muted, noise(2, -60), muted, noise(2, -60, seed=1)]))
    assert found.max() < CausalEnergyDetector.starts_above


def test_a_fan_counts_as_noise_after_three_seconds():
    found = scores(np.concatenate([noise(3, -60), noise(8, -40, seed=1)]))
    assert first_above(found, 3.0) <= 0.1  # nothing tells it from speech yet
    assert np.mean(found[round(6.3 / FRAME_S) :] > CausalEnergyDetector.starts_above) < 0.01


def test_speech_that_goes_on_stays_speech():
    found = scores(np.concatenate([noise(1, -60), speech(20)]))
    opened = found[round(1.1 / FRAME_S) :] >= CausalEnergyDetector.ends_below
    gaps = np.diff(np.flatnonzero(opened))
    assert gaps.max() * FRAME_S < 0.4


def test_memory_does_not_grow_with_the_stream():
    detector = CausalEnergyDetector()

    detector.feed(noise(5, -50))
    before = len(pickle.dumps(detector))
    for seed in range(20):
        detector.feed(noise(5, -50, seed=seed))
    assert len(pickle.dumps(detector)) <= before + 512 * 4


def test_a_finished_detector_begins_anew():
    detector = CausalEnergyDetector()
    sound = np.concatenate([noise(0.5, -60), speech(0.5)])
    once = np.concatenate([detector.feed(sound), detector.finish()])
    np.testing.assert_array_equal(np.concatenate([detector.feed(sound), detector.finish()]), once)
