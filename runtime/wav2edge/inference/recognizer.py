"""The interface that an engine and the PyTorch original share: one clip in, one result out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import AudioSource, Clip, load_clip
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.decoding.interpretation import interpret
from wav2edge.errors import DeviceError
from wav2edge.output.result import Result

FloatSamples = npt.NDArray[np.float32]


class Recognizer(ABC):
    """Recognises clips one at a time, without padding."""

    certified_up_to_s: float | None = None
    """Longest audio that the certificate covers, in seconds; longer clips get a warning. None: there is none."""

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
            samples: ``[samples] float32`` at 16 kHz, padded with zeros if they give no frame.
        """

    def __call__(self, source: AudioSource, *, rate_hz: int | None = None) -> Result:
        """Recognise one clip; ``transcribe`` is the same call.

        Args:
            source: a path, ``-``, an open binary file, or samples ``[samples]`` or ``[samples, channels]``.
            rate_hz: sample rate of an array; a file has its own.

        Raises:
            AudioError: the clip cannot be used.
            UsageError: the sample rate is not a number, or was given for a file.
            DeviceError: the device failed, or its output is not finite.
        """
        clip = load_clip(source, rate_hz=rate_hz)
        return self.result(clip, self.outputs(clip.samples))

    transcribe = __call__

    def result(self, clip: Clip, outputs: Mapping[str, FloatSamples]) -> Result:
        """Interpret the outputs for a clip, with the warnings about it.

        Args:
            clip: what was recognised.
            outputs: each head's output for it, without a batch axis.

        Raises:
            DeviceError: an output is not finite.
        """
        if not all(np.isfinite(values).all() for values in outputs.values()):
            raise DeviceError(f"{self} gave NaN or infinity; check it with `wav2edge verify`, or use another --variant")
        warnings = (*clip.warnings, *self._length_warnings(clip))
        return interpret(outputs, self.heads, self.geometry, duration_s=clip.duration_s, warnings=warnings)

    def _length_warnings(self, clip: Clip) -> list[str]:
        warnings = []
        if len(clip.samples) < self.geometry.receptive_field:
            warnings.append(f"only {clip.duration_s * 1e3:.0f} ms long: silence was added")
        if self.certified_up_to_s is not None and clip.duration_s > self.certified_up_to_s:
            warnings.append(
                f"{clip.duration_s:.1f} s long: the model is certified up to {self.certified_up_to_s:g} s;"
                " cut the recording into shorter clips"
            )
        return warnings
