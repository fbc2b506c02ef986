"""A stream: sound in, block by block; partial and final answers out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from wav2edge.audio.samples import check_seconds
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import UsageError
from wav2edge.inference.streaming.endpoints import Endpointer, Endpointing, live_detector
from wav2edge.inference.streaming.events import Event, Final, Partial
from wav2edge.inference.streaming.live_sound import LiveSound, seconds
from wav2edge.inference.streaming.stable_words import StableWords
from wav2edge.inference.streaming.utterances import Utterance
from wav2edge.output.result import Result, Word

if TYPE_CHECKING:
    from wav2edge.inference.recognizer import FloatSamples, Recognizer

IDLE_S = 2.0
"""Of sound in which nothing was recognised yet, so much is kept: the rest is noise that was taken for speech."""
KEPT_IDLE_S = 1.0


class Stream:
    """Recognises one source of sound while it is fed; not for several threads at once. Make one with ``Engine.stream``.

    A ``with`` statement closes it, as an error would: what is said in an open utterance is told by ``finish`` alone.

    Args:
        recognizer: reads outputs, and judges results.
        begin: makes an utterance that begins at a sample of the stream, with the sound of it that is known by now.
        rate_hz: sample rate of the source.
        endpointing: where utterances begin and end.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        begin: Callable[[int, FloatSamples], Utterance],
        *,
        rate_hz: int,
        endpointing: Endpointing,
    ) -> None:
        self._recognizer, self._begin_utterance, self._options = recognizer, begin, endpointing
        self._padding = round((endpointing.padding_s or 0.0) * SAMPLE_RATE_HZ)
        self._sound = LiveSound(rate_hz)
        self._endpointer = Endpointer(endpointing, live_detector(endpointing.vad))
        self._audio, self._audio_start = np.zeros(0, np.float32), 0
        self._free_from = 0  # where the last utterance ended
        self._utterance: Utterance | None = None
        self._stable = StableWords(0.0)
        self._said: tuple[Any, ...] = ()
        self._closed = False
        self._arrived = 0.0
        self.compute_s = 0.0
        """Seconds that it took to recognise everything so far."""

    @property
    def clock_s(self) -> float:
        """Seconds of sound since the stream began, lost sound included."""
        return seconds(self._clock)

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open."""
        return self._utterance is not None

    @property
    def level_dbfs(self) -> float:
        """Root mean square of the latest block, in dB relative to full scale."""
        return self._sound.level_dbfs

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed, self._utterance = True, None

    def feed(self, pcm: npt.NDArray[Any] | bytes, *, rate_hz: int | None = None) -> list[Event]:
        """Take a block of any length, and say what is new.

        Args:
            pcm: ``[samples]`` or ``[samples, channels]``, floats in [-1, 1] or integers; bytes are 16-bit integers,
                least significant byte first.
            rate_hz: sample rate of the block, where the source knows it.

        Raises:
            AudioError: the block has another sample rate or number of channels, or samples that are not finite. It is
                left out, and the stream may go on.
            DeviceError: the device failed, or its output is not finite.
            UsageError: the stream is finished, or the block is neither an array nor bytes.
        """
        self._check_open()
        self._arrived = time.perf_counter()
        events = self._take(self._sound.take(pcm, rate_hz))
        self._count_time()
        return events

    def gap(self, lost_s: float) -> list[Event]:
        """Say that so much sound was lost: what was said before it is final, and the clock goes on.

        Raises:
            DeviceError: as of ``feed``.
            UsageError: that is no length of time; the stream may go on. Or it is finished.
        """
        self._check_open()
        check_seconds("lost_s", lost_s)
        self._arrived = time.perf_counter()
        events = self._end_all("gap")
        self._free_from = self._clock + round(float(lost_s) * SAMPLE_RATE_HZ)
        self._audio, self._audio_start = self._audio[:0], self._free_from
        self._endpointer.restart(self._free_from)
        self._count_time()
        return events

    def finish(self) -> list[Event]:
        """End the stream, and say what is left to say; it takes no more sound."""
        self._check_open()
        self._arrived = time.perf_counter()
        events = self._end_all("finish")
        self._closed = True
        self._count_time()
        return events

    @property
    def _clock(self) -> int:
        return self._audio_start + len(self._audio)

    def _count_time(self) -> None:
        self.compute_s += time.perf_counter() - self._arrived

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("this stream is finished; open another with engine.stream()")

    def _end_all(self, reason: str) -> list[Event]:
        events = self._take(self._sound.finish())
        return events + self._end(reason, self._clock)

    def _take(self, samples: FloatSamples) -> list[Event]:
        """Follow 16 kHz samples through the changes of voice activity in them."""
        self._audio = np.concatenate([self._audio, samples])
        events: list[Event] = []
        for change in self._endpointer.feed(samples):
            events += self._listen(change.known)
            if change.speaks:
                self._open(max(self._free_from, self._audio_start, change.at - self._padding), change.known)
            else:
                events += self._end("silence", change.at)
        events += self._listen(self._clock)
        self._forget()
        return events

    def _open(self, start: int, known: int) -> None:
        onset = self._audio[start - self._audio_start : max(start, known) - self._audio_start]
        self._utterance = self._begin_utterance(start, onset)
        self._stable, self._said = StableWords(self._utterance.settled_s), ()

    def _listen(self, until: int) -> list[Event]:
        """Give an open utterance the sound up to a sample."""
        events: list[Event] = []
        while (utterance := self._utterance) is not None and utterance.taken < until:
            first = utterance.taken - self._audio_start
            for _ in utterance.feed(self._audio[first : until - self._audio_start]):
                events += self._progress(utterance)
                break  # it may have been cut, or ended; the loop goes on with the rest
        return events

    def _forget(self) -> None:
        """Drop the sound that neither the open utterance needs nor the next one, which begins before its speech."""
        taken = self._clock if self._utterance is None else self._utterance.taken
        needed = min(taken, self._endpointer.unsettled_from - self._padding)
        unneeded = max(0, needed - self._audio_start)
        self._audio, self._audio_start = self._audio[unneeded:], self._audio_start + unneeded

    def _progress(self, utterance: Utterance) -> Iterator[Event]:
        """What new outputs say."""
        result, length_s = self._read(utterance)
        found = result.words or ()
        words = self._stable.update(found, length_s) if utterance.decides else self._stable.merge(found)
        said = (*(word.text for word in words), self._stable.count, result.label)
        if said != self._said and (words or result.text is None):
            self._said = said
            yield Partial(
                **self._fields(utterance, with_words(result, words), utterance.heard),
                stable_words=self._stable.count,
                latency_s=self._latency_s(utterance.heard),
            )
        if utterance.decides:
            yield from self._decide(utterance, result, words, length_s)

    def _decide(
        self, utterance: Utterance, result: Result, words: tuple[Word, ...], length_s: float
    ) -> Iterator[Event]:
        """Shorten, end or part an utterance where it is time; where not, say when it may be."""
        blank_s, longest_s = self._options.blank_s, self._options.longest_s
        end_s = words[-1].end_s if words else inf  # without a word there is no blank behind it
        idle = result.text is not None and not words
        utterance.decide_by(IDLE_S if idle else min(longest_s, end_s + blank_s))
        if idle:
            if length_s > IDLE_S:
                utterance.cut(utterance.heard - round(KEPT_IDLE_S * SAMPLE_RATE_HZ))
        elif length_s - end_s >= blank_s:
            end = utterance.start + round(end_s * SAMPLE_RATE_HZ)
            yield from self._end_and_go_on("blank", utterance, end)
        elif length_s > longest_s:
            yield from self._part(utterance, result, words)

    def _part(self, utterance: Utterance, result: Result, words: tuple[Word, ...]) -> Iterator[Event]:
        """An utterance that goes on too long: what was said before its last word is final."""
        if len(words) < 2:
            yield from self._end_and_go_on("length", utterance, utterance.heard)
            return
        before, last = words[-2:]
        border_s = (before.end_s + max(before.end_s, last.start_s)) / 2
        start, position = utterance.start, utterance.start + round(border_s * SAMPLE_RATE_HZ)
        before_it = with_words(result, words[:-1])
        settled = utterance.settle(position)
        if settled is not None:
            before_it = self._recognizer.read(settled, duration_s=seconds(position - utterance.start))
        yield self._final("length", utterance, before_it, position)
        utterance.cut(position)
        self._stable.forget(len(words) - 1, seconds(utterance.start - start))

    def _end_and_go_on(self, reason: str, utterance: Utterance, end: int) -> list[Event]:
        """End an utterance, and begin another with the sound that this one has not taken."""
        taken = utterance.taken  # before it goes back to its end, or on into silence
        events = self._end(reason, end)
        self._open(taken, taken)
        return events

    def _end(self, reason: str, end: int) -> list[Event]:
        """End the open utterance, if there is one; one in which nothing was recognised was noise."""
        utterance, self._utterance = self._utterance, None
        if utterance is None:
            return []
        self._free_from = min(end + self._padding, utterance.taken)
        utterance.finish(max(utterance.start + 1, self._free_from))
        result, _ = self._read(utterance)
        words = self._stable.merge(result.words or ())
        if result.text is not None and not words:
            return []
        return [self._final(reason, utterance, with_words(result, words), end)]

    def _final(self, reason: str, utterance: Utterance, result: Result, end: int) -> Final:
        judged = self._recognizer.judge(result)
        return Final(**self._fields(utterance, judged, end), reason=reason, latency_s=self._latency_s(end))

    def _read(self, utterance: Utterance) -> tuple[Result, float]:
        """What the outputs of an utterance say, and how long it is in seconds."""
        length_s = seconds(utterance.heard - utterance.start)
        return self._recognizer.read(utterance.outputs, duration_s=length_s), length_s

    def _fields(self, utterance: Utterance, result: Result, end: int) -> dict[str, Any]:
        """The fields of an event: those of a segment on the stream's clock."""
        start_s = seconds(utterance.start)
        fields = vars(result.as_segment(start_s, max(start_s, seconds(end))))
        return {**fields, "words": None} if self._recognizer.word_times is False else dict(fields)

    def _latency_s(self, end: int) -> float:
        return seconds(self._clock - end) + time.perf_counter() - self._arrived


def with_words(result: Result, words: tuple[Word, ...]) -> Result:
    """A result with other words, and with their text."""
    if result.text is None:
        return result
    return replace(result, words=words, text=" ".join(word.text for word in words))
