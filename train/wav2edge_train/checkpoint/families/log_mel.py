"""The log-mel features that wav2vec2-BERT hears, of waveforms and inside a graph.

Computes what ``SeamlessM4TFeatureExtractor`` of transformers 4.57 computes
(``models/seamless_m4t/feature_extraction_seamless_m4t.py``), which is Kaldi's filter bank (Povey et al., "The Kaldi
Speech Recognition Toolkit", 2011): windows of 25 ms every 10 ms, without their mean, with pre-emphasis. Each mel band
is then brought to zero mean and unit variance over the clip, and two windows are a frame. All that happens to a window
before its power is linear, so it is one product with a matrix, in float64: next to a loud tone the bands that a
logarithm looks at are lost in the rounding of float32. Where transformers rounds, so does this: in a clip of two
windows that sound alike, their difference is all that is left of a band.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.audio_utils import mel_filter_bank, window_function

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge_train.checkpoint.families.family_table import MEL_HOP, MEL_STRIDE, MEL_WINDOW
from wav2edge_train.checkpoint.families.framing import frame_counts, inside, window_index

FFT = 512
PRE_EMPHASIS = 0.97
FULL_SCALE = 2.0**15
"""Kaldi reads samples as 16-bit integers."""
FLOOR = 1.192092955078125e-07
LOWEST_HZ = 20.0
VARIANCE_EPS = 1e-7


class LogMelFeatures(nn.Module):
    """Waveforms to normalised log-mel features.

    Args:
        bands: mel bands of a window.
    """

    spectrum: Tensor
    filters: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        filters = mel_filter_bank(
            num_frequency_bins=FFT // 2 + 1,
            num_mel_filters=bands,
            min_frequency=LOWEST_HZ,
            max_frequency=SAMPLE_RATE_HZ // 2,
            sampling_rate=SAMPLE_RATE_HZ,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
        # Neither is a weight: both follow from the kind of features.
        self.register_buffer("spectrum", torch.from_numpy(spectrum_matrix()), persistent=False)
        self.register_buffer("filters", torch.from_numpy(filters), persistent=False)
        self.unit = math.gcd(MEL_WINDOW, MEL_HOP)

    def forward(self, waveforms: Tensor, mask: Tensor | None = None, *, half_frame: bool = False) -> Tensor:
        """Compute the features.

        Args:
            waveforms: [batch, samples] at 16 kHz, full scale is 1.
            mask: [batch, samples], 1 on a clip, which begins at the left, and 0 on its padding; None without padding.
            half_frame: keep a window too many for the last frame, with zeros behind it.

        Returns:
            [batch, frames, 2 * bands] float32; a window too many for the last frame counts in mean and variance, as in
            transformers, and is then left out.
        """
        energies = self.log_energies(waveforms)
        normalized = _standardized(energies, None if mask is None else _window_weights(mask, energies.shape[1]))
        if half_frame:
            normalized = functional.pad(normalized, (0, 0, 0, MEL_STRIDE - 1))
        frames = normalized.shape[1] // MEL_STRIDE
        features = normalized[:, : frames * MEL_STRIDE]
        return features.reshape(features.shape[0], frames, MEL_STRIDE * features.shape[2])

    def log_energies(self, waveforms: Tensor) -> Tensor:
        """Logarithms of the energy in each band: waveforms [batch, samples] -> [batch, windows, bands] float32."""
        whole = waveforms.shape[1] // self.unit
        units = (waveforms[:, : whole * self.unit] * FULL_SCALE).reshape(waveforms.shape[0], whole, self.unit)
        index = window_index(units.shape[1], MEL_WINDOW // self.unit, MEL_HOP // self.unit, device=units.device)
        windows = torch.index_select(units, 1, index).reshape(units.shape[0], -1, MEL_WINDOW).double()
        parts = (windows @ self.spectrum).float().double()
        power = (parts * parts).reshape(parts.shape[0], -1, 2, FFT // 2 + 1).sum(dim=2)
        return torch.log(torch.clamp(power @ self.filters, min=FLOOR)).float()


def spectrum_matrix() -> np.ndarray:
    """A window of samples to its spectrum: [400, 2 * 257] float64, the real parts and then the imaginary ones."""
    steps = np.eye(MEL_WINDOW) - 1 / MEL_WINDOW  # rows: each sample alone, without the mean of the window
    emphasized = steps - PRE_EMPHASIS * np.pad(steps, ((0, 0), (1, 0)), mode="edge")[:, :-1]
    spectra = np.fft.rfft(emphasized * window_function(MEL_WINDOW, "povey", periodic=False), FFT)
    return np.concatenate([spectra.real, spectra.imag], axis=1)


def _window_weights(mask: Tensor, windows: int) -> Tensor:
    """Which windows lie inside each clip: mask [batch, samples] -> [batch, windows, 1] float64."""
    counts = frame_counts(mask.sum(dim=1), MEL_WINDOW, MEL_HOP).clamp(min=MEL_STRIDE)
    return inside(counts, windows)[:, :, None].double()


def _standardized(energies: Tensor, weights: Tensor | None) -> Tensor:
    """Zero mean and unit variance of each band over a clip, with its unbiased variance; 0 behind the clip.

    Args:
        energies: [batch, windows, bands] float32.
        weights: [batch, windows, 1] float64, 1 on a clip and 0 behind it; None where every window counts.

    Returns:
        Like the energies. Sums are of float64.
    """
    kept = energies.new_ones(1, 1, 1, dtype=torch.float64) if weights is None else weights
    count = energies.shape[1] if weights is None else weights.sum(dim=1, keepdim=True)
    mean = (energies.double() * kept).sum(dim=1, keepdim=True) / count
    centred = (energies - mean.float()) * kept.float()
    variance = (centred.double() * centred.double()).sum(dim=1, keepdim=True) / (count - 1)
    return centred / torch.sqrt(variance.float() + VARIANCE_EPS)
