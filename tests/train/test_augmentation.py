from __future__ import annotations

import numpy as np
import pytest

from wav2edge_train.data.augmentation import AUGMENTATIONS, Augmentation

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
