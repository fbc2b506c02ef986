"""Feature pre-training for random weights: the feature encoder first learns to predict a spectrogram.

Trained by CTC alone, convolutions with random weights need most of a short training to separate frequencies, and until
then the layers above them have nothing to learn from. Regression on a log-mel spectrogram needs no labels, and runs
only the convolutions. The idea of learnt filters that start as a spectrogram: Zeghidour et al., "Learning Filterbanks
from Raw Speech", ICASSP 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional
from transformers.audio_utils import mel_filter_bank

from wav2edge.audio.clip import zero_mean_unit_variance
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.output.progress import track
from wav2edge_train.checkpoint.families.family_table import geometry_of
from wav2edge_train.data.clips import ClipDataset
from wav2edge_train.model.joint_model import JointModel

BANDS = 20
WINDOW, WINDOW_STEP = 160, 80
"""Samples of a short-time spectrum, and from one to the next: several fit into the receptive field of a frame."""

CROP = SAMPLE_RATE_HZ
BATCH_SIZE = 16
LEARNING_RATE = 3e-3
FLOOR = 1e-4
"""Added to energies before the logarithm, relative to a waveform of unit variance."""


def pretrain_feature_encoder(model: JointModel, dataset: ClipDataset, *, steps: int, seed: int) -> float:
    """Train the feature encoder until a linear map of its frames gives their log-mel spectra.

    Args:
        model: its feature encoder is changed in place.
        dataset: the clips that crops of one second are taken from.
        steps: updates; 0 leaves the model unchanged.
        seed: seed of the crops.

    Returns:
        The unexplained share of the variance of the spectra, over the last tenth of the steps.
    """
    geometry = geometry_of(model.config, adapter=False)
    windows = (geometry.receptive_field - WINDOW) // WINDOW_STEP + 1
    rng, filters = np.random.default_rng((seed, 1)), mel_filters().to(model.device)
    clips = [zero_mean_unit_variance(dataset[index]["samples"]) for index in range(len(dataset))] if steps else []
    student = _Student(model, outputs=windows * BANDS)
    optimizer = torch.optim.AdamW(student.parameters(), LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rise_and_fall(step, steps))
    unexplained = []
    for _ in track(range(steps), "feature pre-training", steps):
        waveforms = _crops(clips, rng).to(model.device)
        target = _standardized(_spectra_of_frames(log_mel(waveforms, filters), windows, geometry))
        loss = functional.mse_loss(student(waveforms), target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        unexplained.append(float(loss.detach()))
    return float(np.mean(unexplained[-max(1, steps // 10) :])) if unexplained else 1.0


class _Student(nn.Module):
    """The feature encoder of a model with a linear readout, which is discarded afterwards."""

    def __init__(self, model: JointModel, *, outputs: int) -> None:
        super().__init__()
        self.encoder = model.backbone.feature_extractor
        self.readout = nn.Sequential(
            nn.LayerNorm(model.config.conv_dim[-1]), nn.Linear(model.config.conv_dim[-1], outputs)
        ).to(model.device)
        self.train()

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """``[batch, samples]`` to ``[batch, frames, outputs]``."""
        return self.readout(self.encoder(waveforms).transpose(1, 2))


def _standardized(spectra: torch.Tensor) -> torch.Tensor:
    return (spectra - spectra.mean(dim=(0, 1))) / (spectra.std(dim=(0, 1)) + 1e-3)


def _rise_and_fall(step: int, steps: int) -> float:
    """The learning rate's share of its peak: linear for a tenth of the way, then half a cosine."""
    warmup = max(1, steps // 10)
    return min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / max(1, steps))))


def _crops(clips: Sequence[npt.NDArray[np.float32]], rng: np.random.Generator) -> torch.Tensor:
    """``[batch, samples]`` of random clips at random positions."""
    crops = np.zeros((BATCH_SIZE, CROP), np.float32)
    for row, index in enumerate(rng.integers(len(clips), size=BATCH_SIZE)):
        samples = clips[index]
        start = int(rng.integers(max(1, len(samples) - CROP + 1)))
        part = samples[start : start + CROP]
        crops[row, : len(part)] = part
    return torch.from_numpy(crops)


def mel_filters() -> torch.Tensor:
    """Overlapping triangles, evenly spaced in mel, ``[bins, bands]`` float32 (Davis and Mermelstein, 1980)."""
    filters = mel_filter_bank(WINDOW // 2 + 1, BANDS, 0.0, SAMPLE_RATE_HZ / 2, SAMPLE_RATE_HZ, mel_scale="htk")
    return torch.from_numpy(filters.astype(np.float32))


def log_mel(waveforms: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """``[batch, samples]`` to ``[batch, windows, bands]``."""
    windows = waveforms.unfold(1, WINDOW, WINDOW_STEP) * torch.hann_window(WINDOW, device=waveforms.device)
    energies = torch.fft.rfft(windows).abs().square() / WINDOW
    return torch.log(energies @ filters + FLOOR)


def _spectra_of_frames(spectra: torch.Tensor, windows: int, geometry: ConvGeometry) -> torch.Tensor:
    """The spectra inside the receptive field of each frame: ``[batch, frames, windows * bands]``."""
    per_frame = spectra.unfold(1, windows, geometry.hop // WINDOW_STEP)
    return per_frame.transpose(2, 3).flatten(2)
