"""A head start for random weights: the feature encoder first learns to hear what a spectrogram shows.

Trained by CTC alone, convolutions with random weights spend most of a short training on finding that frequencies exist;
until then nothing above them has anything to tell apart. Regression on a log-mel spectrogram needs no labels, and only
the convolutions run. The idea of learnt filters that start as a spectrogram: Zeghidour et al., "Learning Filterbanks
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

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.output.progress import track
from wav2edge_train.data.clips import ClipDataset
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

BANDS = 20
WINDOW, WINDOW_STEP = 160, 80
"""Samples of a short-time spectrum, and between two of them: several fit in what one frame sees."""

CROP = SAMPLE_RATE_HZ
BATCH_SIZE = 16
LEARNING_RATE = 3e-3
FLOOR = 1e-4
"""Added to energies before the logarithm, relative to a waveform of unit variance."""


def learn_to_hear(model: Wav2Vec2ForJointCTC, dataset: ClipDataset, *, steps: int, seed: int) -> float:
    """Train the feature encoder until a linear map of its frames gives their log-mel spectra.

    Args:
        model: its feature encoder is changed in place.
        dataset: where crops of a second are taken from.
        steps: updates; 0 leaves the model as it is.
        seed: seed of the crops.

    Returns:
        The share of the spectra's variance that the frames do not explain, over the last tenth of the steps.
    """
    geometry = ConvGeometry.of(model.config.conv_kernel, model.config.conv_stride)
    windows = (geometry.receptive_field - WINDOW) // WINDOW_STEP + 1
    rng, filters = np.random.default_rng((seed, 1)), mel_filters().to(model.device)
    clips = [_normalized(dataset[index]["samples"]) for index in range(len(dataset))] if steps else []
    student = _Student(model, outputs=windows * BANDS)
    optimizer = torch.optim.AdamW(student.parameters(), LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rise_and_fall(step, steps))
    unexplained = []
    for _ in track(range(steps), "learning to hear", steps):
        waveforms = _crops(clips, rng).to(model.device)
        wanted = _standardized(_spectra_of_frames(log_mel(waveforms, filters), windows, geometry))
        loss = functional.mse_loss(student(waveforms), wanted)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        unexplained.append(float(loss.detach()))
    return float(np.mean(unexplained[-max(1, steps // 10) :])) if unexplained else 1.0


class _Student(nn.Module):
    """The feature encoder of a model under a linear readout, which is thrown away afterwards."""

    def __init__(self, model: Wav2Vec2ForJointCTC, *, outputs: int) -> None:
        super().__init__()
        self.encoder = model.wav2vec2.feature_extractor
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


def _normalized(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Zero mean and unit variance, as models hear it."""
    normalized: npt.NDArray[np.float32] = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    return normalized


def _crops(clips: Sequence[npt.NDArray[np.float32]], rng: np.random.Generator) -> torch.Tensor:
    """``[batch, samples]`` of random clips at random places."""
    crops = np.zeros((BATCH_SIZE, CROP), np.float32)
    for row, index in enumerate(rng.integers(len(clips), size=BATCH_SIZE)):
        samples = clips[index]
        start = int(rng.integers(max(1, len(samples) - CROP + 1)))
        part = samples[start : start + CROP]
        crops[row, : len(part)] = part
    return torch.from_numpy(crops)


def mel_filters() -> torch.Tensor:
    """Overlapping triangles, evenly spaced in mel, ``[bins, bands]`` float32 (Davis and Mermelstein, 1980).

    The lowest bands are narrower than a bin of so short a spectrum; they are widened to reach one.
    """
    bin_hz = SAMPLE_RATE_HZ / WINDOW
    bins_hz = np.arange(WINDOW // 2 + 1) * bin_hz
    top_mel = 2595.0 * math.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    edges_hz = 700.0 * (10 ** (np.linspace(0, top_mel, BANDS + 2) / 2595.0) - 1)
    centre_hz = edges_hz[1:-1]
    below_hz = np.maximum(centre_hz - edges_hz[:-2], bin_hz)
    above_hz = np.maximum(edges_hz[2:] - centre_hz, bin_hz)
    distance_hz = bins_hz[:, None] - centre_hz
    triangles = 1 - np.where(distance_hz < 0, -distance_hz / below_hz, distance_hz / above_hz)
    return torch.from_numpy(np.clip(triangles, 0, None).astype(np.float32))


def log_mel(waveforms: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """``[batch, samples]`` to ``[batch, windows, bands]``."""
    windows = waveforms.unfold(1, WINDOW, WINDOW_STEP) * torch.hann_window(WINDOW, device=waveforms.device)
    energies = torch.fft.rfft(windows).abs().square() / WINDOW
    return torch.log(energies @ filters + FLOOR)


def _spectra_of_frames(spectra: torch.Tensor, windows: int, geometry: ConvGeometry) -> torch.Tensor:
    """The spectra inside what each frame sees: ``[batch, frames, windows * bands]``."""
    per_frame = spectra.unfold(1, windows, geometry.hop // WINDOW_STEP)
    return per_frame.transpose(2, 3).flatten(2)
