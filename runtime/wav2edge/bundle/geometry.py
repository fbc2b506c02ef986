"""Frames per clip: the arithmetic of the convolutional feature encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 16_000
"""The sample rate that every wav2vec2-family checkpoint expects."""


@dataclass(frozen=True, kw_only=True)
class ConvGeometry:
    """Kernels and strides of the feature encoder, first layer first (wav2vec 2.0, arXiv:2006.11477, section 4.2)."""

    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    rate_hz: int = SAMPLE_RATE_HZ

    def __post_init__(self) -> None:
        if not self.kernels or len(self.kernels) != len(self.strides):
            raise ValueError(
                f"{len(self.kernels)} kernels and {len(self.strides)} strides; each layer needs one of both"
            )
        if min((*self.kernels, *self.strides)) < 1 or self.rate_hz < 1:
            raise ValueError("kernels, strides and the sample rate must be positive")

    @classmethod
    def of(cls, kernels: Sequence[int], strides: Sequence[int]) -> ConvGeometry:
        """Geometry from a transformers config's ``conv_kernel`` and ``conv_stride``."""
        return cls(kernels=tuple(kernels), strides=tuple(strides))

    @property
    def hop(self) -> int:
        """Samples between the starts of two frames."""
        product = 1
        for stride in self.strides:
            product *= stride
        return product

    @property
    def receptive_field(self) -> int:
        """Samples that one frame depends on; also the length of the shortest clip that gives a frame."""
        field, hop = 1, 1
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            field += (kernel - 1) * hop
            hop *= stride
        return field

    def frames(self, samples: int) -> int:
        """Frames of a clip of ``samples`` samples; 0 when it is shorter than the receptive field."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            if samples < kernel:
                return 0
            samples = (samples - kernel) // stride + 1
        return samples

    def shortest(self, frames: int) -> int:
        """Samples of the shortest clip that gives so many frames, at least one."""
        return self.receptive_field + (frames - 1) * self.hop

    def pad_to_frame(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """``samples: [samples]`` padded with zeros at the end if they are too few for one frame."""
        short = self.receptive_field - len(samples)
        return np.pad(samples, (0, short)) if short > 0 else samples

    @property
    def frame_s(self) -> float:
        """Seconds between the starts of two frames."""
        return self.hop / self.rate_hz
