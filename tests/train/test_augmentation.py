from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from wav2edge_train.data.augmentation import (
    AUGMENTATIONS,
    CEPSTRUM_OF_BINS,
    FRAME_WINDOW,
    Augmentation,
    move_formants,
    stretched_bins,
)

TONE_HZ = 1_000.0


def tone(samples: int = 16_000) -> np.ndarray:
    return np.sin(2 * np.pi * TONE_HZ * np.arange(samples) / 16_000).astype(np.float32)


def peak_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * 16_000 / len(samples))


@pytest.mark.parametrize("speed", [0.84, 1.0, 1.19])
def test_speed_changes_pace_and_pitch_together(speed: float) -> None:
    faster = Augmentation(speed=(speed, speed))(tone(), np.random.default_rng(0)).samples
    assert len(faster) == pytest.approx(16_000 / speed, rel=0.01)
    assert peak_hz(faster) == pytest.approx(TONE_HZ * 16_000 / len(faster), abs=2.0)


@pytest.mark.parametrize("snr_db", [5.0, 20.0])
def test_noise_has_the_requested_level(snr_db: float) -> None:
    clip = np.random.default_rng(1).standard_normal(16_384).astype(np.float32)  # a whole number of FFT blocks
    noisy = Augmentation(snr_db=(snr_db, snr_db))(clip, np.random.default_rng(0)).samples
    found_db = 10 * np.log10(np.sum(clip**2) / np.sum((noisy - clip) ** 2))
    assert found_db == pytest.approx(snr_db, abs=0.1)


def test_an_equalizer_changes_loudness_by_frequency_and_nothing_else() -> None:
    clip = tone(16_384)
    changed = Augmentation(equalizer_db=6.0)(clip, np.random.default_rng(0)).samples
    gain = float(np.vdot(changed, clip) / np.vdot(clip, clip))
    assert len(changed) == len(clip)
    assert abs(20 * np.log10(abs(gain))) > 0.1
    assert np.abs(changed - gain * clip)[500:-500].max() < 0.1


def test_margins_are_added_and_cut() -> None:
    rng = np.random.default_rng(0)
    assert len(Augmentation(margin_s=(0.1, 0.1))(tone(), rng).samples) == 16_000 + 3_200
    assert len(Augmentation(margin_s=(-0.1, -0.1))(tone(), rng).samples) == 16_000 - 3_200
    assert len(Augmentation(margin_s=(-0.1, -0.1))(tone(3_300), rng).samples) == 3_300


@pytest.mark.parametrize("name", [name for name, augmentation in AUGMENTATIONS.items() if augmentation])
@pytest.mark.parametrize("samples", [1, 399, 4_999, 48_001])
def test_any_clip_stays_finite_and_of_the_same_type(name: str, samples: int) -> None:
    augmentation = AUGMENTATIONS[name]
    assert augmentation is not None
    changed = augmentation(tone(samples), np.random.default_rng(0)).samples
    assert changed.dtype == np.float32
    assert len(changed) > 0
    assert np.isfinite(changed).all()


def vowel(pitch_hz: float, formant_hz: float, samples: int = 16_000) -> np.ndarray:
    """A pulse train through one resonance."""
    pulses = np.zeros(samples)
    pulses[:: round(16_000 / pitch_hz)] = 1.0
    pole = 0.94 * np.exp(2j * np.pi * formant_hz / 16_000)
    return signal.lfilter([1.0], np.poly([pole, pole.conjugate()]).real, pulses).astype(np.float32)


def formant_hz_of(samples: np.ndarray) -> float:
    """The strongest frequency of the envelope, by linear prediction."""
    lags = np.correlate(samples, samples, "full")[len(samples) - 1 :][:3]
    coefficients = np.linalg.solve([[lags[0], lags[1]], [lags[1], lags[0]]], lags[1:])
    return float(abs(np.angle(np.roots([1.0, *-coefficients])[0])) * 16_000 / (2 * np.pi))


def pitch_hz_of(samples: np.ndarray) -> float:
    correlation = np.correlate(samples, samples, "full")[len(samples) - 1 :]
    return float(16_000 / (60 + correlation[60:300].argmax()))


@pytest.mark.parametrize("factor", [0.9, 1.1])
@pytest.mark.parametrize("pitch_hz", [100.0, 250.0])
def test_formants_move_and_pitch_and_pace_stay(factor: float, pitch_hz: float) -> None:
    clip = vowel(pitch_hz, 1_500.0)
    moved = move_formants(clip, factor)
    assert len(moved) == len(clip)
    assert formant_hz_of(moved) / formant_hz_of(clip) == pytest.approx(factor, abs=0.03)
    assert pitch_hz_of(moved) == pitch_hz_of(clip)


def test_a_vocal_tract_of_the_same_length_gives_the_same_clip() -> None:
    clip = np.random.default_rng(0).standard_normal(5_001).astype(np.float32)
    np.testing.assert_allclose(move_formants(clip, 1.0), clip, atol=1e-5)


def test_the_envelope_is_that_of_the_cepstrum_at_stretched_frequencies() -> None:
    frame = np.random.default_rng(0).standard_normal(512) * FRAME_WINDOW
    log_amplitude = np.log(np.abs(np.fft.rfft(frame)))
    cepstrum = np.fft.irfft(log_amplitude)
    quefrencies = np.minimum(np.arange(512), 512 - np.arange(512))
    cepstrum *= np.clip((32 - quefrencies) / 8, 0.0, 1.0)
    envelope = np.fft.rfft(cepstrum).real
    waves = np.cos(2 * np.pi / 512 * np.outer(np.arange(1, 32), np.arange(257)))
    np.testing.assert_allclose(2 * log_amplitude @ CEPSTRUM_OF_BINS @ waves, envelope - cepstrum[0], atol=1e-4)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_frequencies_are_stretched_as_in_the_paper(factor: float) -> None:
    knee, half = 4_800.0 * min(factor, 1.0), 8_000.0
    for moved, origin in enumerate(stretched_bins(factor)):
        hz = origin * 16_000 / 512
        below = hz <= knee / factor
        paper_hz = hz * factor if below else half - (half - knee) / (half - knee / factor) * (half - hz)
        assert moved * 16_000 / 512 == pytest.approx(paper_hz, abs=1e-6)


@pytest.mark.parametrize("decay_s", [0.1, 0.5])
def test_every_second_clip_stands_in_a_room_whose_echo_decays_in_the_given_time(decay_s: float) -> None:
    click = np.zeros(16_384, np.float32)
    click[0] = 1.0
    clips = [Augmentation(room_s=(decay_s, decay_s))(click, np.random.default_rng(seed)).samples for seed in range(40)]
    wet = [clip for clip in clips if np.abs(clip[1:]).max() > 1e-4]
    assert 10 <= len(wet) <= 30
    for clip in wet:
        assert clip[0] == pytest.approx(1.0, abs=1e-3)
        tail = clip[1:].astype(float)
        assert -15.5 < 10 * np.log10(np.sum(tail**2)) < 0.5
        remaining_db = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1][: int(decay_s * 8_000)])  # Schroeder, 1965
        slope_db = np.polyfit(np.arange(len(remaining_db)) / 16_000, remaining_db, 1)[0]
        assert slope_db * decay_s == pytest.approx(-60.0, rel=0.1)
