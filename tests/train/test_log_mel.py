"""Log-mel features in PyTorch are those of transformers' extractor, on every signal of a certificate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import SeamlessM4TFeatureExtractor

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.evaluation.parity.signals import synthetic_signals, voiced
from wav2edge_train.checkpoint.families.log_mel import LogMelFeatures

GEOMETRY = ConvGeometry.of((400, 2), (160, 2))
SIGNALS = {signal.name: signal for signal in synthetic_signals(GEOMETRY, longest_s=3.0)}
SOUNDS = [name for name in SIGNALS if name != "silence"]


def of_transformers(samples: np.ndarray) -> torch.Tensor:
    """The features ``[frames, 160]`` of one clip, without the half frame that transformers masks."""
    found = SeamlessM4TFeatureExtractor()(samples, sampling_rate=16_000, return_tensors="pt")
    features: torch.Tensor = found["input_features"][0][found["attention_mask"][0].bool()]
    return features


@pytest.mark.parametrize("name", SOUNDS)
def test_features_are_those_of_transformers(name: str) -> None:
    samples = SIGNALS[name].samples
    expected = of_transformers(samples)
    (found,) = LogMelFeatures(80)(torch.from_numpy(samples)[None])
    assert found.dtype == torch.float32
    assert len(found) == GEOMETRY.frames(len(samples))
    torch.testing.assert_close(found, expected, atol=3e-5, rtol=0)


def test_silence_is_the_same_in_every_band() -> None:
    features = LogMelFeatures(80)(torch.zeros(1, 16_000))
    assert features.abs().max() < 0.01  # transformers' own are 0.003, the rounding of a mean in float32
    assert features.std(dim=-1).max() < 1e-6


def test_a_clip_in_a_padded_batch_has_the_features_that_it_has_alone() -> None:
    clips = [voiced(length, seed=length) for length in (16_000, 9_001, 1_000)]
    values, mask = torch.zeros(3, 16_000), torch.zeros(3, 16_000, dtype=torch.long)
    for row, clip in enumerate(clips):
        values[row, : len(clip)], mask[row, : len(clip)] = torch.from_numpy(clip), 1
    together = LogMelFeatures(80)(values + 0.1 * (1 - mask), mask)
    for clip, features in zip(clips, together, strict=True):
        (alone,) = LogMelFeatures(80)(torch.from_numpy(clip)[None])
        torch.testing.assert_close(features[: len(alone)], alone, atol=1e-6, rtol=0)


def test_half_a_frame_at_the_end_can_be_kept() -> None:
    samples = torch.from_numpy(voiced(400 + 160 * 4, seed=0))[None]  # five windows
    features, kept = LogMelFeatures(80)(samples), LogMelFeatures(80)(samples, half_frame=True)
    assert (features.shape, kept.shape) == ((1, 2, 160), (1, 3, 160))
    assert torch.equal(kept[:, :2], features)
    assert torch.equal(kept[0, 2, 80:], torch.zeros(80))
