import numpy as np
import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor

from wav2edge_export.rewrite import ZeroMeanUnitVariance

SAMPLES = (400, 401, 719, 720, 16_000, 16_319, 31_999)


def clip_of(samples, amplitude, offset=0.0):
    generator = torch.Generator().manual_seed(samples)
    return (amplitude * (torch.randn(2, samples, generator=generator) + offset)).float()


def by_transformers(clips, mask=None):
    """Normalised in float64 by transformers' feature extractor."""
    masks = None if mask is None else mask.numpy()
    normed = Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm(list(clips.double().numpy()), masks)
    return torch.from_numpy(np.stack(normed))


@pytest.mark.parametrize("amplitude", [1e-4, 0.1, 32_768.0])
@pytest.mark.parametrize("offset", [0.0, 1000.0])  # in deviations from zero
def test_quiet_and_loud_and_shifted_clips_are_normalised_as_transformers_does(amplitude, offset):
    for samples in SAMPLES:
        clips = clip_of(samples, amplitude, offset)
        normalized = ZeroMeanUnitVariance()(clips).double()
        torch.testing.assert_close(normalized, by_transformers(clips), atol=1e-5, rtol=1e-5)


def test_padding_neither_counts_nor_sounds():
    clips = clip_of(16_000, 0.1)
    mask = torch.ones(2, 16_000, dtype=torch.long)
    mask[1, 9_000:] = 0
    normalized = ZeroMeanUnitVariance()(clips, mask).double()
    torch.testing.assert_close(normalized, by_transformers(clips, mask), atol=1e-5, rtol=1e-5)
    assert not normalized[1, 9_000:].any()


def test_silence_and_a_clip_of_padding_alone_stay_finite():
    normalise = ZeroMeanUnitVariance()
    assert not normalise(torch.zeros(1, 400)).any()
    assert not normalise(torch.ones(1, 400), torch.zeros(1, 400)).any()


@pytest.mark.parametrize("amplitude", [0.1, 1.0, 32_768.0])
def test_normalising_twice_is_normalising_once(amplitude):
    normalise = ZeroMeanUnitVariance()
    once = normalise(clip_of(16_000, amplitude))
    torch.testing.assert_close(normalise(once), once, atol=1e-5, rtol=1e-5)


def test_normalising_a_quiet_clip_twice_changes_it_by_the_documented_factor():
    rms = 0.003
    normalise = ZeroMeanUnitVariance()
    once = normalise(clip_of(16_000, rms))
    factor = float(normalise(once).std() / once.std())
    assert factor - 1 == pytest.approx(1e-7 / (2 * rms**2), rel=0.05)
