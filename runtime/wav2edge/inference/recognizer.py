"""What an engine and the PyTorch original it is held against have in common: from one clip to one answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import AudioSource, Clip, load_clip
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.decoding.ctc import answer
from wav2edge.errors import DeviceError
from wav2edge.output.result import Result

FloatSamples = npt.NDArray[np.float32]


class Recognizer(ABC):
    """Answers clips one at a time, so that padding never enters."""

    @property
    @abstractmethod
    def heads(self) -> Heads:
        """What the outputs mean."""

    @property
    @abstractmethod
    def geometry(self) -> ConvGeometry:
        """How samples become frames."""

    @abstractmethod
    def outputs(self, samples: FloatSamples) -> dict[str, FloatSamples]:
        """Each head's output for one clip, without its batch axis.

        Args:
            samples: ``[samples] float32`` at 16 kHz, padded with zeros if no frame fits.
        """

    def __call__(self, source: AudioSource, *, rate_hz: int | None = None) -> Result:
        """Answer one clip.

        Args:
            source: a path, ``-``, an open binary file, or samples ``[samples]`` or ``[samples, channels]``.
            rate_hz: sample rate of an array.

        Raises:
            AudioError: the clip cannot be answered.
            DeviceError: the device failed, or gave what is not a number.
        """
        clip = load_clip(source, rate_hz=rate_hz)
        return self.read(clip, self.outputs(clip.samples))

    def read(self, clip: Clip, outputs: Mapping[str, FloatSamples]) -> Result:
        """What the outputs for a clip mean.

        Args:
            clip: what was answered.
            outputs: each head's output for it, without a batch axis.

        Raises:
            DeviceError: an output is not a number.
        """
        warnings = clip.warnings
        if len(clip.samples) < self.geometry.receptive_field:
            warnings = (*warnings, f"only {clip.duration_s * 1e3:.0f} ms long: silence was added")
        if not all(np.isfinite(values).all() for values in outputs.values()):
            raise DeviceError(f"{self} gave NaN or infinity; check it with `wav2edge verify`, or use another --variant")
        return answer(outputs, self.heads, self.geometry, duration_s=clip.duration_s, warnings=warnings)

    def pad_to_a_frame(self, samples: FloatSamples) -> FloatSamples:
        """Zeros behind a clip that is shorter than the receptive field, so that it gives one frame."""
        short = self.geometry.receptive_field - len(samples)
        return np.pad(samples, (0, short)) if short > 0 else samples
