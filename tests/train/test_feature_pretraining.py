from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.audio_utils import spectrogram

from wav2edge_train.data.clips import ClipDataset, Example, Targets
from wav2edge_train.loop.feature_pretraining import (
    BANDS,
    FLOOR,
    WINDOW,
    WINDOW_STEP,
    log_mel,
    mel_filters,
    pretrain_feature_encoder,
)
from wav2edge_train.model.base_model import BaseModel, build_model
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.training_options import TrainingOptions


def chirps(base: BaseModel) -> ClipDataset:
    """Clips that glide through the frequencies, so that there is something to learn."""
    times_s = np.arange(12_000) / 16_000
    examples = []
    for number in range(8):
        phase = 2 * np.pi * (300 * (1 + number) * times_s + 2_000 * times_s**2)
        noise = np.random.default_rng(number).standard_normal(12_000)
        examples.append(Example(samples=np.asarray(np.sin(phase) + 0.05 * noise, np.float32), where=""))
    return ClipDataset(examples, base.geometry)


def model_of(base: BaseModel, targets: Targets) -> Wav2Vec2ForJointCTC:
    torch.manual_seed(0)
    return build_model(base, targets, TrainingOptions(freeze_feature_encoder=False), shortest_frames=20)


def test_no_band_is_empty_and_the_bands_rise_to_half_the_sample_rate() -> None:
    filters = mel_filters().numpy()
    assert filters.shape == (WINDOW // 2 + 1, BANDS)
    assert (filters.sum(axis=0) > 0.5).all()
    peaks_hz = filters.argmax(axis=0) * 16_000 / WINDOW
    assert (np.diff(peaks_hz) > 0).all()
    assert peaks_hz[-1] > 6_000


def test_spectra_are_those_of_transformers() -> None:
    waveform = np.random.default_rng(0).standard_normal(4_000).astype(np.float32)
    window = torch.hann_window(WINDOW).numpy()
    theirs = spectrogram(
        waveform, window, WINDOW, WINDOW_STEP, power=2.0, center=False, mel_filters=mel_filters().numpy(), mel_floor=0.0
    )
    ours = log_mel(torch.from_numpy(waveform)[None], mel_filters())[0].numpy()
    np.testing.assert_allclose(ours, np.log(theirs.T / WINDOW + FLOOR), atol=1e-3)


@pytest.mark.slow
def test_frames_come_to_explain_spectra_and_only_the_feature_encoder_changes(base: BaseModel, targets: Targets) -> None:
    model, before = model_of(base, targets), model_of(base, targets).state_dict()
    untrained = pretrain_feature_encoder(model_of(base, targets), chirps(base), steps=1, seed=0)
    trained = pretrain_feature_encoder(model, chirps(base), steps=40, seed=0)
    assert trained < 0.7 * untrained
    changed = {name for name, weights in model.state_dict().items() if not torch.equal(weights, before[name])}
    assert changed
    assert all(name.startswith("wav2vec2.feature_extractor.") for name in changed)


def test_no_steps_change_nothing(base: BaseModel, targets: Targets) -> None:
    model, before = model_of(base, targets), model_of(base, targets).state_dict()
    assert pretrain_feature_encoder(model, chirps(base), steps=0, seed=0) == 1.0
    assert all(torch.equal(weights, before[name]) for name, weights in model.state_dict().items())


def test_the_seed_decides(base: BaseModel, targets: Targets) -> None:
    first, again, other = (
        pretrain_feature_encoder(model_of(base, targets), chirps(base), steps=3, seed=n) for n in (1, 1, 2)
    )
    assert first == pytest.approx(again, rel=1e-6)
    assert first != other
