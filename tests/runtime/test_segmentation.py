from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.runtime.tiny_bundle import noise
from wav2edge.audio.segmentation import Segmentation, Segmenter, Span
from wav2edge.audio.voice_activity import HOP, EnergyDetector, band_powers, speech_scores_db
from wav2edge.errors import UsageError
from wav2edge.evaluation.parity.signals import voiced

RATE_HZ = 16_000


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Speech-like sound without a pause: the synthetic voice with its gaps taken out."""
    sound = voiced(round(20 * seconds * RATE_HZ), seed=seed)
    loud = np.abs(sound).reshape(-1, 80).max(axis=1) > 0.03
    return sound.reshape(-1, 80)[loud].ravel()[: round(seconds * RATE_HZ)]


def spans_of(samples: np.ndarray, *, block: int = 160_000, **options: float) -> list[Span]:
    segmenter = Segmenter(Segmentation(**options), hop=HOP)
    found = [span for start in range(0, len(samples), block) for span in segmenter.feed(samples[start : start + block])]
    return [*found, *segmenter.finish()]


def joined(
    *, snr_db: float | None, lengths_s: tuple[float, ...] = (0.8, 1.5, 0.6, 2.0, 1.0)
) -> tuple[np.ndarray, list]:
    """Utterances between pauses of 0.6 s, under noise, and where each of them lies."""
    parts, places, position = [silence(0.6)], [], round(0.6 * RATE_HZ)
    for seed, length_s in enumerate(lengths_s):
        parts += [speech(length_s, seed), silence(0.6)]
        places.append((position, position + round(length_s * RATE_HZ)))
        position += len(parts[-2]) + len(parts[-1])
    samples = np.concatenate(parts)
    if snr_db is not None:
        power = np.mean(np.concatenate(parts[1::2]) ** 2)
        hiss = np.random.default_rng(0).standard_normal(len(samples)) * np.sqrt(power / 10 ** (snr_db / 10))
        samples = (samples + hiss).astype(np.float32)
    return samples, places


@pytest.mark.parametrize("snr_db", [None, 20.0, 10.0])
def test_each_utterance_is_one_span_in_silence_and_in_noise(snr_db):
    samples, places = joined(snr_db=snr_db)
    spans = spans_of(samples)
    assert len(spans) == len(places)
    for span, (start, end) in zip(spans, places, strict=True):
        assert span.start <= start + 800
        assert span.end >= end - 800
        assert (end - start) / len(span.samples) > 0.6


def test_the_samples_of_a_span_are_those_of_the_recording():
    samples, _ = joined(snr_db=20.0)
    for span in spans_of(samples):
        assert np.array_equal(span.samples, samples[span.start : span.end])


@pytest.mark.parametrize("block", [333, 16_000, 10_000_000])
def test_where_a_recording_is_cut_does_not_depend_on_the_blocks_it_comes_in(block):
    samples, _ = joined(snr_db=20.0)
    places = [(span.start, span.end) for span in spans_of(samples)]
    assert [(span.start, span.end) for span in spans_of(samples, block=block)] == places


def test_scores_do_not_depend_on_the_blocks_or_the_steps():
    samples, _ = joined(snr_db=20.0)
    detector = EnergyDetector(step_s=0.2)
    parts = [detector.feed(samples[start : start + 777]) for start in range(0, len(samples), 777)]
    expected = speech_scores_db(band_powers(samples))
    found = np.concatenate([*parts, detector.finish()])
    assert found == pytest.approx(expected, abs=1e-3)


def test_a_click_is_no_speech():
    samples = silence(3.0)
    samples[20_000:20_400] = 0.9
    assert spans_of(samples) == []


@pytest.mark.parametrize("sound", [silence(3.0), noise(48_000)], ids=["silence", "noise"])
def test_without_speech_there_is_no_span(sound):
    assert spans_of(np.asarray(sound, np.float32)) == []


def test_speech_without_a_pause_goes_on_in_spans_that_overlap_by_whole_frames():
    samples = np.concatenate([silence(0.5), speech(8.0), silence(0.5)])
    spans = spans_of(samples, longest_s=2.0, overlap_s=0.5)
    assert len(spans) > 3
    assert max(len(span.samples) for span in spans) <= 2.0 * RATE_HZ
    pairs = [(before, after) for before, after in pairwise(spans) if after.overlap]
    assert len(pairs) > 1
    for before, after in pairs:
        assert before.end - after.start == after.overlap == round(0.5 * RATE_HZ / HOP) * HOP
        assert (after.start - before.start) % HOP == 0
        assert np.array_equal(before.samples[-after.overlap :], after.samples[: after.overlap])


def test_long_speech_is_cut_in_a_short_pause_if_it_has_one():
    samples = np.concatenate([silence(0.5), speech(1.4), silence(0.2), speech(1.4, 1), silence(0.6)])
    first, second = spans_of(samples, longest_s=2.0)
    assert second.overlap == 0
    assert 1.9 * RATE_HZ <= first.end <= second.start <= 2.1 * RATE_HZ


@pytest.mark.parametrize("options", [{"longest_s": 0.1}, {"padding_s": -1.0}, {"min_silence_s": float("nan")}])
def test_limits_that_cannot_be_are_refused(options):
    (name,) = options
    with pytest.raises(UsageError, match=name):
        Segmentation(**options)
