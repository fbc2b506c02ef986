"""The interface that an engine and the PyTorch original share: one clip in, its outputs interpreted, one result out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import AudioSource, Clip, load_clip
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.decoding.ctc import FloatArray, best_path, geometric_mean_probability, join_words, log_softmax, softmax
from wav2edge.errors import DeviceError, UsageError
from wav2edge.output.alignment_result import Alignment
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
        self._require_finite(outputs)
        warnings = (*clip.warnings, *self._length_warnings(clip))
        return interpret(outputs, self.heads, self.geometry, duration_s=clip.duration_s, warnings=warnings)

    def align(self, source: AudioSource, text: str, *, rate_hz: int | None = None) -> Alignment:
        """Find when each word and token of a text was said, and how surely.

        ``confidence`` is the geometric mean probability of the text's tokens. ``gop``, goodness of pronunciation, is
        the mean log ratio of a token's probability and that of its best competitor: below 0, something else was said.
        The formulas are those of ``wav2edge.decoding.forced_alignment.align``.

        Args:
            source: a path, ``-``, an open binary file, or samples ``[samples]`` or ``[samples, channels]``.
            text: what was said, in characters of the model's vocabulary; ``*`` as a word stands for anything.
            rate_hz: sample rate of an array; a file has its own.

        Raises:
            AlignmentError: the vocabulary cannot spell the text, or the text needs a longer clip.
            AudioError: the clip cannot be used.
            UsageError: the model has no CTC head, or the sample rate is not a number or was given for a file.
            DeviceError: the device failed, or its output is not finite.
        """
        from wav2edge.decoding.forced_alignment import align  # here: recognising does not need it

        head = self.heads.ctc
        if head is None:
            raise UsageError(f"{self} only classifies; alignment needs a model that was trained to transcribe")
        clip = load_clip(source, rate_hz=rate_hz)
        return align(
            map(log_softmax, self._logits(clip, head.output)),
            text,
            head,
            frame_s=self.geometry.frame_s,
            duration_s=clip.duration_s,
            warnings=(*clip.warnings, *self._length_warnings(clip)),
        )

    def _logits(self, clip: Clip, name: str) -> Iterator[FloatSamples]:
        """The output ``name`` of a clip, ``[frames, vocabulary]``, in one block or in several, one at a time."""
        outputs = self.outputs(clip.samples)
        self._require_finite(outputs)
        yield outputs[name]

    def _require_finite(self, outputs: Mapping[str, FloatSamples]) -> None:
        if not all(np.isfinite(values).all() for values in outputs.values()):
            raise DeviceError(f"{self} gave NaN or infinity; check it with `wav2edge verify`, or use another --variant")

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


def interpret(
    outputs: Mapping[str, FloatArray],
    heads: Heads,
    geometry: ConvGeometry,
    *,
    duration_s: float,
    warnings: tuple[str, ...] = (),
) -> Result:
    """The result of one clip.

    Args:
        outputs: for each head's output name, ``[frames, vocabulary]`` (CTC) or ``[classes]`` (classification).
        heads: what the outputs mean.
        geometry: the duration of a frame.
        duration_s: length of the clip.
        warnings: remarks about its audio.
    """
    text = words = scores = None
    confidence = 1.0
    if heads.classification is not None:
        probabilities = softmax(outputs[heads.classification.output])
        scores = {label: float(p) for label, p in zip(heads.classification.labels, probabilities, strict=True)}
        confidence = max(scores.values())
    if heads.ctc is not None:
        tokens = best_path(outputs[heads.ctc.output], heads.ctc)
        words = join_words(tokens, heads.ctc, geometry.frame_s)
        text = " ".join(word.text for word in words)
        confidence = geometric_mean_probability(tokens)
    return Result(
        duration_s=duration_s, text=text, words=words, scores=scores, confidence=confidence, warnings=warnings
    )
