"""Where in a stream utterances begin and end, by voice activity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wav2edge.audio.samples import check_seconds
from wav2edge.audio.segmentation import ENERGY
from wav2edge.audio.voice_activity import Detector, FloatArray
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import UsageError

NO_DETECTOR = "none"


@dataclass(frozen=True, kw_only=True)
class Endpointing:
    """Where utterances begin and end; all in seconds.

    Attributes:
        start_s: sound that is surely speech before an utterance begins; less is a click.
        padding_s: sound before and after the speech that goes with it; where None, what the kind of stream does best
            with.
        silence_s: silence that ends an utterance.
        blank_s: sound in which nothing is recognised, after something was, and which ends an utterance as well.
        longest_s: an utterance that goes on longer is parted between two words.
        vad: what tells speech from noise: ``energy``, ``silero`` for the network of the installed package silero-vad,
            the path of its ``silero_vad.onnx``, or ``none``: everything is speech, and blanks alone end it.

    Raises:
        UsageError: a value is out of its range.
    """

    start_s: float = 0.06
    padding_s: float | None = None
    silence_s: float = 0.7
    blank_s: float = 1.5
    longest_s: float = 20.0
    vad: str = ENERGY

    def __post_init__(self) -> None:
        for name in ("start_s", "padding_s", "silence_s", "blank_s"):
            if (value := getattr(self, name)) is not None:
                check_seconds(name, value)
        if not self.longest_s >= 1:
            raise UsageError(f"longest_s is {self.longest_s}; an utterance may be 1 s long at least")


class LiveDetector(Detector, Protocol):
    """A detector whose scores come while the sound does.

    Attributes:
        ahead: samples behind those of a score that it waits for.
    """

    ahead: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """At the sample ``at`` of the stream speech began, or ended: it is known by the sample ``known``."""

    speaks: bool
    at: int
    known: int


class Endpointer:
    """Follows the scores of a detector.

    Args:
        options: what counts as an utterance.
        detector: tells speech from noise; None: everything is speech.
    """

    def __init__(self, options: Endpointing, detector: LiveDetector | None) -> None:
        self._options, self._detector = options, detector
        self.restart(0)

    def restart(self, position: int) -> None:
        """Begin anew at a sample of the stream: sound before it is not known."""
        if self._detector is not None:
            self._detector.finish()
        self._position = position  # of the next score
        self._speaks = False
        self._sure_from: int | None = None
        self._speech_end = position

    @property
    def unsettled_from(self) -> int:
        """Sample of the stream before which no speech begins that is not known yet."""
        return self._position if self._speaks or self._sure_from is None else self._sure_from

    def feed(self, samples: FloatArray) -> list[Change]:
        """What changed with more sound, ``[samples]`` at 16 kHz."""
        if self._detector is None:
            begins = [] if self._speaks or not len(samples) else [Change(speaks=True, at=self._position, known=0)]
            self._speaks, self._position = self._speaks or len(samples) > 0, self._position + len(samples)
            return begins
        changes = []
        for score in self._detector.feed(samples).tolist():
            change = self._follow(score, self._detector)
            if change is not None:
                changes.append(change)
        return changes

    def _follow(self, score: float, detector: LiveDetector) -> Change | None:
        here, self._position = self._position, self._position + detector.hop
        known = self._position + detector.ahead
        if self._speaks:
            if score >= detector.ends_below:
                self._speech_end = self._position
            elif self._position - self._speech_end >= self._options.silence_s * SAMPLE_RATE_HZ:
                self._speaks, self._sure_from = False, None
                return Change(speaks=False, at=self._speech_end, known=known)
            return None
        if score <= detector.starts_above:
            self._sure_from = None
            return None
        self._sure_from = here if self._sure_from is None else self._sure_from
        if self._position - self._sure_from < self._options.start_s * SAMPLE_RATE_HZ:
            return None
        self._speaks, self._speech_end = True, self._position
        return Change(speaks=True, at=self._sure_from, known=known)


def live_detector(vad: str) -> LiveDetector | None:
    """A detector that scores sound as it comes, by its name.

    Raises:
        MissingDependencyError: the package silero-vad is not installed.
        UsageError: there is no such file, or it is another graph.
    """
    if vad == NO_DETECTOR:
        return None
    if vad == ENERGY:
        from wav2edge.audio.causal_voice_activity import CausalEnergyDetector

        return CausalEnergyDetector()
    from wav2edge.audio.silero import SileroDetector  # here: most streams need none of it

    return SileroDetector(vad)
