"""The interface that an engine and the PyTorch original share: one clip in, its outputs interpreted, one result out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import Clip, Recording, open_recording
from wav2edge.audio.sound_file import AudioSource
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import CtcHead, Heads
from wav2edge.decoding.ctc import FloatArray, log_softmax
from wav2edge.errors import DeviceError, UsageError
from wav2edge.inference.interpretation import interpret
from wav2edge.output.result import Alignment, Result, Segment

if TYPE_CHECKING:
    from wav2edge.audio.segmentation import Segmentation, Span
    from wav2edge.decoding.hypothesis import Decoder

FloatSamples = npt.NDArray[np.float32]
Outputs = Mapping[str, FloatSamples]

UNKNOWN_COMFORT_S = 30.0
"""What is answered whole where nothing is known of the training: what most models for speech were trained on."""
FAR_LONGER = 2.0
"""A clip that is answered whole, and so many times as long as any in training, gets a warning."""
UNCERTAIN_TIMES = "the certificate does not bear out the times of words"
"""What an alignment says of its times; a result then has no words."""


class Recognizer(ABC):
    """Recognises clips one at a time, without padding."""

    certified_up_to_s: float | None = None
    """Longest audio that the certificate covers, in seconds; longer clips get a warning. None: there is none."""
    longest_clip_s: float | None = None
    """Longest clip that the model was trained on, in seconds; None: it is not known."""
    word_times: bool | None = None
    """Whether the certificate bears out the times of words; if not, results have no words. None: it is not known."""
    confidence_temperature: Mapping[str, float] | None = None
    """What the logits of a head are divided by, for confidences alone; None: it is not known, and they stay."""
    trims_silence: bool = False
    """Whether silence at the ends of a clip is left out; set from the bundle, where its certificate shows no loss."""
    decoder: Decoder | None = None
    """Turns logits into a transcript; None: the best token of each frame."""
    segmentation: Segmentation | None = None
    """How longer recordings are cut into segments; None: of up to ``comfortable_s``, otherwise by default."""
    _reject_below: float = 0.0

    @property
    @abstractmethod
    def heads(self) -> Heads:
        """What the outputs mean."""

    @property
    @abstractmethod
    def geometry(self) -> ConvGeometry:
        """How samples become frames."""

    @property
    def reject_below(self) -> float:
        """Answers, and segments of recordings, with less confidence are rejected; from 0, for none of them, to 1."""
        return self._reject_below

    @reject_below.setter
    def reject_below(self, confidence: float) -> None:
        if not 0 <= confidence <= 1:
            raise UsageError(f"answers below {confidence} cannot be rejected; give a confidence from 0 to 1")
        self._reject_below = confidence

    @abstractmethod
    def outputs(self, samples: FloatSamples) -> dict[str, FloatSamples]:
        """Each head's output for one clip, without its batch axis.

        Args:
            samples: ``[samples] float32`` at 16 kHz, padded with zeros if they give no frame.
        """

    def __call__(
        self,
        source: AudioSource,
        *,
        rate_hz: int | None = None,
        segments: bool | None = None,
        on_segment: Callable[[Segment], None] | None = None,
    ) -> Result:
        """Recognise a clip, or a recording of any length segment by segment; ``transcribe`` is the same call.

        Args:
            source: a path, ``-``, an open binary file, or samples ``[samples]`` or ``[samples, channels]``.
            rate_hz: sample rate of an array; a file has its own.
            segments: answer segment by segment, or as a whole; where None, what is longer than ``comfortable_s`` is
                answered segment by segment.
            on_segment: is given each segment of a recording as soon as it is known.

        Raises:
            AudioError: the clip cannot be used.
            UsageError: the sample rate is not a number, or was given for a file.
            DeviceError: the device failed, or its output is not finite.
        """
        with open_recording(source, rate_hz=rate_hz) as recording:
            return self._recognise(recording, self.outputs, segments, on_segment)

    transcribe = __call__

    def segments(self, source: AudioSource, *, rate_hz: int | None = None) -> Iterator[Segment]:
        """Recognise a recording of any length; each segment is given once the next has begun, in constant memory.

        Args:
            source: as of a call.
            rate_hz: as of a call.

        Raises:
            AudioError, UsageError, DeviceError: as a call does; segments before the error have been given.
        """
        with open_recording(source, rate_hz=rate_hz) as recording:
            yield from self._segments(recording, self.outputs)

    @property
    def comfortable_s(self) -> float:
        """Longest audio that is answered whole, and longest segment, in seconds."""
        if self.segmentation is not None:
            return self.segmentation.longest_s
        return self.longest_clip_s or self.certified_up_to_s or UNKNOWN_COMFORT_S

    def _recognise(
        self,
        recording: Recording,
        outputs: Callable[[FloatSamples], Outputs],
        segments: bool | None,
        on_segment: Callable[[Segment], None] | None = None,
    ) -> Result:
        """The result of a recording; ``outputs`` runs the model."""
        if not self._in_segments(recording, segments):
            clip = self._clip(recording)
            return self.result(clip, outputs(clip.samples))
        found = []
        for segment in self._segments(recording, outputs):
            if on_segment is not None:
                on_segment(segment)
            found.append(segment)
        warnings = recording.warnings if found else [*recording.warnings, "no speech found"]
        return Result.of_segments(found, duration_s=recording.given_s, warnings=tuple(warnings))

    def _clip(self, recording: Recording) -> Clip:
        """A recording that is answered whole, without the silence at its ends where that is known to do no harm."""
        clip = recording.clip()
        clip = clip.without_silence() if self.trims_silence else clip
        if self._shortest:
            from wav2edge.inference.recordings import require_length  # here: few models need more than a frame

            require_length(clip, recording.name, self._shortest)
        return clip

    @property
    def _shortest(self) -> int:
        """Samples that the model needs; 0 for most, which answer to a single frame, made of silence if need be."""
        fewest = self.heads.fewest_frames
        return self.geometry.shortest(fewest) if fewest > 1 else 0

    def _in_segments(self, recording: Recording, segments: bool | None = None) -> bool:
        """Whether a recording is answered in segments; where it is not said, if it is longer than comfortable."""
        return recording.duration_s > self.comfortable_s if segments is None else segments

    def _segments(self, recording: Recording, outputs: Callable[[FloatSamples], Outputs]) -> Iterator[Segment]:
        from wav2edge.inference.recordings import long_enough, recognise_spans  # here: a short clip needs none of it

        def interpreted(found: Outputs, duration_s: float) -> Result:
            return self._interpret(found, duration_s=duration_s, warnings=())

        yield from recognise_spans(
            long_enough(self._spans(recording), self._shortest, recording.warnings),
            outputs=outputs,
            interpret=interpreted,
            head=self.heads.ctc,
            hop=self.geometry.hop,
        )

    def _spans(self, recording: Recording) -> Iterator[Span]:
        """The stretches of a recording with speech in them."""
        from wav2edge.audio.segmentation import SHORTEST_S, Segmentation, Segmenter  # here: a short clip needs none

        options = self.segmentation or Segmentation(longest_s=max(self.comfortable_s, SHORTEST_S))
        segmenter = Segmenter(options, hop=self.geometry.hop)
        for block in recording.blocks():
            yield from segmenter.feed(block)
        yield from segmenter.finish()

    def result(self, clip: Clip, outputs: Outputs) -> Result:
        """Interpret the outputs for a clip, with the warnings about it.

        Args:
            clip: what was recognised.
            outputs: each head's output for it, without a batch axis.

        Raises:
            DeviceError: an output is not finite.
        """
        warnings = (*clip.warnings, *self._length_warnings(clip))
        result = self._interpret(outputs, duration_s=clip.duration_s, warnings=warnings)
        if not clip.begins_s or not result.words:
            return result
        return replace(result, words=tuple(word.later(clip.begins_s) for word in result.words))

    def _interpret(self, outputs: Outputs, *, duration_s: float, warnings: tuple[str, ...]) -> Result:
        return self.judge(self.read(outputs, duration_s=duration_s, warnings=warnings))

    def read(self, outputs: Outputs, *, duration_s: float, warnings: tuple[str, ...] = ()) -> Result:
        """What outputs say, before it is judged.

        Raises:
            DeviceError: an output is not finite.
        """
        self._require_finite(outputs)
        return interpret(
            outputs,
            self.heads,
            self.geometry,
            duration_s=duration_s,
            warnings=warnings,
            decoder=self.decoder,
            temperatures=self.confidence_temperature,
        )

    def judge(self, result: Result) -> Result:
        """A result without its answer where that is not sure enough, and without word times that are not borne out."""
        if result.rejected or result.confidence < self.reject_below:
            result = result.as_rejected()
        return replace(result, words=None) if self.word_times is False else result

    def align(self, source: AudioSource, text: str, *, rate_hz: int | None = None) -> Alignment:
        """Find when each word and token of a text was said, and how surely.

        ``confidence`` is the geometric mean probability of the text's tokens. ``gop``, goodness of pronunciation, is
        the mean log ratio of a token's probability and that of its best competitor: below 0, something else was said.
        ``warnings`` say so where the certificate does not bear out the times of words.
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
            raise UsageError(f"{self} does not transcribe; alignment needs a model that was trained to")
        with open_recording(source, rate_hz=rate_hz) as recording:
            blocks = self._log_probabilities(recording, head)
            found = align(blocks, text, head, frame_s=self.geometry.frame_s, duration_s=recording.duration_s)
        doubts = (UNCERTAIN_TIMES,) if self.word_times is False else ()
        return replace(found, duration_s=recording.given_s, warnings=(*recording.warnings, *doubts))

    def _log_probabilities(self, recording: Recording, head: CtcHead) -> Iterator[FloatArray]:
        """Log probabilities of a recording, ``[frames, vocabulary]``: in one block, or span by span if it is long."""

        def logits(samples: FloatSamples) -> FloatSamples:
            outputs = self.outputs(samples)
            self._require_finite(outputs)
            return outputs[head.output]

        if self._in_segments(recording):
            from wav2edge.inference.recordings import frames_of_spans

            yield from frames_of_spans(self._spans(recording), logits=logits, head=head, hop=self.geometry.hop)
            return
        clip = recording.clip()
        recording.warnings = [*clip.warnings, *self._length_warnings(clip)]
        yield log_softmax(logits(clip.samples))

    def _require_finite(self, outputs: Mapping[str, FloatSamples]) -> None:
        if not all(np.isfinite(values).all() for values in outputs.values()):
            raise DeviceError(f"{self} gave NaN or infinity; check it with `wav2edge verify`, or use another --variant")

    def _length_warnings(self, clip: Clip) -> list[str]:
        warnings = []
        if len(clip.samples) < self.geometry.receptive_field:
            warnings.append(f"only {clip.duration_s * 1e3:.0f} ms long: silence was added")
        limits = (
            ("was trained on clips of up to", self.longest_clip_s, FAR_LONGER),
            ("is certified up to", self.certified_up_to_s, 1.0),
        )
        for what, limit_s, times in limits:
            if limit_s is not None and clip.duration_s > times * limit_s:
                warnings.append(f"{clip.duration_s:.1f} s long: the model {what} {limit_s:g} s; answer it in segments")
                break
        return warnings
