"""From a recording of any length to spans of speech, none longer than a model takes well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from wav2edge.audio.samples import check_seconds
from wav2edge.audio.voice_activity import Detector, EnergyDetector, FloatArray
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import UsageError

SHORTEST_S = 0.5
"""A limit below this would cut words apart."""
ENERGY = "energy"
SHORT_PAUSE_S = 0.08
"""A pause of this length may be in a word, and is a better place to cut than none."""


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """How a recording is cut; all in seconds.

    Attributes:
        longest_s: no span is longer. Speech that goes on is cut in its longest short pause, or else goes on in a span
            that overlaps.
        overlap_s: what two such spans share, at most a quarter of the longest.
        min_silence_s: a shorter silence does not end a span.
        min_speech_s: a sound with less that is surely speech, such as a click, is none.
        padding_s: audio before and after the speech that goes with it.
        vad: what tells speech from noise: ``energy``, ``silero`` for the network of the installed package silero-vad,
            or the path of its ``silero_vad.onnx``.

    Raises:
        UsageError: a value is out of its range.
    """

    longest_s: float = 30.0
    overlap_s: float = 4.0
    min_silence_s: float = 0.4
    min_speech_s: float = 0.18
    padding_s: float = 0.1
    vad: str = ENERGY

    def __post_init__(self) -> None:
        if not self.longest_s >= SHORTEST_S:
            raise UsageError(f"longest_s is {self.longest_s}; a segment needs at least {SHORTEST_S} s")
        for name in ("overlap_s", "min_silence_s", "min_speech_s", "padding_s"):
            check_seconds(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True, eq=False)
class Span:
    """A stretch of a recording with speech in it.

    Attributes:
        start: its first sample in the recording.
        samples: ``[samples] float32`` at 16 kHz.
        overlap: so many of the first samples are also the last ones of the span before: speech that had to be cut
            without a pause.
    """

    start: int
    samples: FloatArray
    overlap: int = 0

    @property
    def end(self) -> int:
        """The sample of the recording after the last."""
        return self.start + len(self.samples)


class Segmenter:
    """Cuts one recording into spans, block by block; holds no more audio than a span and the detector's delay.

    Args:
        options: where to cut.
        hop: samples of one frame of the model; overlapping spans begin whole frames apart.
        detector: tells speech from noise; that of the options where None.
    """

    def __init__(self, options: Segmentation, *, hop: int, detector: Detector | None = None) -> None:
        self._detector = detector or detector_of(options.vad)
        self._longest = _in_steps(options.longest_s, hop)
        self._overlap = _in_steps(min(options.overlap_s, options.longest_s / 4), hop)
        self._padding = round(options.padding_s * SAMPLE_RATE_HZ)
        self._min_silence = options.min_silence_s * SAMPLE_RATE_HZ
        self._min_speech = options.min_speech_s * SAMPLE_RATE_HZ
        self._audio, self._audio_start = np.zeros(0, np.float32), 0
        self._position = 0  # of the next score
        self._region: _Region | None = None
        self._free_from = 0  # where the last span without an overlap ended

    def feed(self, samples: FloatArray) -> Iterator[Span]:
        """The spans that are complete, after more of the recording: ``[samples]`` at 16 kHz."""
        self._audio = np.concatenate([self._audio, samples])
        yield from self._follow(self._detector.feed(samples))
        needed = self._position - self._padding if self._region is None else self._region.start
        unneeded = max(0, needed - self._audio_start)
        self._audio, self._audio_start = self._audio[unneeded:], self._audio_start + unneeded

    def finish(self) -> Iterator[Span]:
        """The spans that are left at the end of the recording."""
        yield from self._follow(self._detector.finish())
        if self._region is not None:
            yield from self._close(self._region)

    def _follow(self, scores: FloatArray) -> Iterator[Span]:
        detector = self._detector
        for score in scores.tolist():
            region, here = self._region, self._position
            self._position = here + detector.hop
            if region is None:
                if score > detector.starts_above:
                    start = max(self._free_from, here - self._padding)
                    self._region = _Region(start=start, speech=here, speech_end=self._position, sure=detector.hop)
                continue
            if score >= detector.ends_below:
                region.add(here, self._position, sure=score > detector.starts_above)
            elif self._position - region.speech_end >= self._min_silence:
                yield from self._close(region)
                continue
            if region.speech_end + self._padding - region.start > self._longest:
                yield self._cut(region)

    def _close(self, region: _Region) -> Iterator[Span]:
        """The end of speech: a span, unless it was a click."""
        self._region = None
        if region.continued or region.sure >= self._min_speech:
            span = self._span(region, region.speech_end + self._padding)
            self._free_from = span.end
            yield span

    def _cut(self, region: _Region) -> Span:
        """A span of speech that goes on: up to the longest short pause in its second half, or with an overlap."""
        pause = region.longest_pause(after=region.start + self._longest // 2)
        if pause is not None:
            start, end = pause
            span = self._span(region, min(start + self._padding, (start + end) // 2))
            self._free_from = span.end
            self._region = region.after(end, start=max(span.end, end - self._padding))
            return span
        span = self._span(region, region.start + self._longest)
        self._region = region.after(span.end - self._overlap, start=span.end - self._overlap, overlap=self._overlap)
        return span

    def _span(self, region: _Region, end: int) -> Span:
        first = region.start - self._audio_start
        samples = self._audio[first : end - self._audio_start].copy()
        return Span(start=region.start, samples=samples, overlap=region.overlap)


@dataclass(kw_only=True)
class _Region:
    """Speech that has not ended yet. All positions are samples of the recording.

    ``start`` is where its span begins, ``speech`` to ``speech_end`` the speech, of which ``sure`` samples surely are;
    ``pauses`` are the silences inside it. ``continued`` tells that it began with an earlier span.
    """

    start: int
    speech: int
    speech_end: int
    sure: int = 0
    overlap: int = 0
    continued: bool = False
    pauses: list[tuple[int, int]] = field(default_factory=list)

    def add(self, start: int, end: int, *, sure: bool) -> None:
        """Add speech; a silence before it is a pause."""
        if start > self.speech_end:
            self.pauses.append((self.speech_end, start))
        self.speech_end = end
        self.sure += sure * (end - start)

    def longest_pause(self, *, after: int) -> tuple[int, int] | None:
        """The longest pause that begins after a position; of equal ones the last."""
        shortest = SHORT_PAUSE_S * SAMPLE_RATE_HZ
        found = [(start, end) for start, end in self.pauses if start >= after and end - start >= shortest]
        return max(found, key=lambda pause: (pause[1] - pause[0], pause[0]), default=None)

    def after(self, position: int, *, start: int, overlap: int = 0) -> _Region:
        """What of this speech comes after a position."""
        later = [pause for pause in self.pauses if pause[0] >= position]
        return _Region(
            start=start,
            speech=position,
            speech_end=max(position, self.speech_end),
            overlap=overlap,
            continued=True,
            pauses=later,
        )


def detector_of(vad: str) -> Detector:
    """A new detector, by the name that ``Segmentation`` has.

    Raises:
        MissingDependencyError: its package is not installed.
        UsageError: there is no such detector.
    """
    if vad == ENERGY:
        return EnergyDetector()
    from wav2edge.audio.silero import SileroDetector  # here: most recordings need none of it

    return SileroDetector(vad)


def _in_steps(seconds: float, hop: int) -> int:
    return max(1, round(seconds * SAMPLE_RATE_HZ / hop)) * hop
