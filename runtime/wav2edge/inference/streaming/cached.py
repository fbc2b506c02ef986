"""Cached streams: each chunk is computed once, with what earlier ones left behind; and a second pass at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

import numpy as np

from wav2edge.inference.recognizer import FloatSamples, Outputs
from wav2edge.inference.sessions.stream_session import StreamMemory, StreamSession
from wav2edge.inference.streaming.live_sound import SpeechLevel

SETTLED_S = 0.3
"""What a chunk says of a word hardly changes after so much more sound."""


class CachedUtterance:
    """One utterance, recognised chunk by chunk; see ``Utterance``.

    A chunk that looks ahead also answers to the frames that it looks ahead to, as if the sound ended there: these are
    the latest answers until the next chunk computes the same frames once more, with more of what comes after them.

    Args:
        session: the graph.
        memory: of the stream; it is cleared, and belongs to this utterance from here on.
        level: of the stream, which has begun with this utterance; None: its sound is recognised as it is.
        start: sample of the stream at which the utterance begins.
    """

    decides = True

    def __init__(
        self, session: StreamSession, memory: StreamMemory, level: SpeechLevel | None = None, *, start: int
    ) -> None:
        self.start, self._session, self._memory = start, session, memory
        self._level = level or SpeechLevel()
        self._origin = start
        self._hop = session.geometry.hop
        self._advance, self._delay = self._hop * session.chunk_frames, session.streams.delay_frames
        self._waiting = np.zeros(session.block_samples, np.float32)
        self._count = 0  # samples that wait
        self._frames = 0  # that were answered
        self._computed = 0  # and those that their answers are read from, and more of them
        self._chunks: list[FloatSamples] = []
        heads = session.heads
        self._none = np.zeros((0, len(heads.ctc.vocabulary) if heads.ctc else 0), np.float32)
        self._provisional = self._none  # of the frames that the last chunk looked ahead to
        self.settled_s = SETTLED_S + session.streams.look_ahead_frames * session.geometry.frame_s
        self._pooled: FloatSamples | None = None
        memory.clear()

    @property
    def taken(self) -> int:
        """The sample of the stream after the last that was given."""
        return self._origin + self._computed * self._hop + self._count

    @property
    def heard(self) -> int:
        """The sample of the stream up to which the outputs reach."""
        return self.start + (self._frames + len(self._provisional)) * self._hop

    @property
    def outputs(self) -> Outputs:
        """Each head's output so far."""
        heads = self._session.heads
        found: dict[str, FloatSamples] = {}
        if heads.ctc is not None:
            self._chunks = [np.concatenate([self._none, *self._chunks])]
            found[heads.ctc.output] = np.concatenate([*self._chunks, self._provisional])
        if heads.classification is not None:
            none = np.zeros(len(heads.classification.labels), np.float32)
            found[heads.classification.output] = none if self._pooled is None else self._pooled
        return found

    def feed(self, samples: FloatSamples) -> Iterator[None]:
        """Take more sound; after each chunk there are new outputs."""
        while len(samples):
            fits = samples[: len(self._waiting) - self._count]
            samples = samples[len(fits) :]
            yield from self._add(self._level.apply(fits))

    def finish(self, end: int) -> None:
        """Recognise what is left of it; its last answers are read from what is behind its end, or from silence."""
        geometry = self._session.geometry
        length = max(geometry.receptive_field, min(end, self.taken) - self._origin) + self._delay * self._hop
        while (missing := length - (self.taken - self._origin)) > 0:
            for _ in self._add(np.zeros(min(missing, len(self._waiting) - self._count), np.float32)):
                pass
        self._count = max(0, min(self._count, length - self._computed * self._hop))
        while (left := geometry.frames(self._count)) > 0:
            self._recognise(min(left, self._session.chunk_frames))
        self._provisional = self._none

    def cut(self, position: int) -> None:
        """Leave out the frames before a sample of the stream; the transformer goes on to know them."""
        frames = min(self._frames, max(0, (position - self.start) // self._hop))
        ctc = self._session.heads.ctc
        if ctc is not None:
            self._chunks = [np.concatenate([self._none, *self._chunks])[frames:].copy()]
        self.start, self._frames = self.start + frames * self._hop, self._frames - frames

    def settle(self, position: int) -> None:
        """See ``Utterance``: what was said before stays as it is."""

    def decide_by(self, length_s: float) -> None:
        """See ``Utterance``: every chunk decides."""

    def _add(self, samples: FloatSamples) -> Iterator[None]:
        """Samples that fit into the next chunk, which is computed when it is complete."""
        self._waiting[self._count : self._count + len(samples)] = samples
        self._count += len(samples)
        if self._count == len(self._waiting):
            self._recognise(self._session.chunk_frames)
            yield

    def _recognise(self, frames: int) -> None:
        """Compute the next chunk, of which so many frames are new."""
        memory, count = self._memory, self._count
        memory.block[:count] = self._waiting[:count]
        memory.block[count:] = 0.0
        self._session.run(memory, count)
        heads = self._session.heads
        unanswered = max(0, self._delay - self._computed)
        early = min(frames, unanswered)
        if heads.ctc is not None:
            answers, known = memory.outputs[heads.ctc.output], self._session.geometry.frames(count)
            self._chunks.append(answers[early:frames].copy())
            self._provisional = answers[max(frames, unanswered) : known].copy()
        if heads.classification is not None:
            self._pooled = memory.outputs[heads.classification.output].copy()
        self._computed += frames
        self._frames += frames - early
        self._count = max(0, count - self._advance)
        self._waiting[: self._count] = self._waiting[self._advance : count]


class TwoPassUtterance:
    """One utterance, recognised chunk by chunk while it lasts, and as a whole when it has ended; see ``Utterance``.

    Zhang et al., "Unified Streaming and Non-streaming Two-pass End-to-end Model", arXiv:2012.05481: one checkpoint
    hears chunks and whole clips, and what comes later in an utterance tells what was said at its beginning.

    Args:
        first: hears chunks.
        second: each head's output for the samples of the whole utterance.
    """

    settled_s, decides = inf, True  # no word is sure before the second pass

    def __init__(self, first: CachedUtterance, second: Callable[[FloatSamples], Outputs]) -> None:
        self._first, self._second = first, second
        self._sound = np.zeros(0, np.float32)
        self._begins = first.start  # where the sound does
        self._final: Outputs | None = None
        self._end = first.start

    @property
    def start(self) -> int:
        """Sample of the stream at which it begins."""
        return self._first.start

    @property
    def taken(self) -> int:
        """The sample of the stream after the last that was given."""
        return self._first.taken

    @property
    def heard(self) -> int:
        """The sample of the stream up to which the outputs reach."""
        return self._first.heard if self._final is None else self._end

    @property
    def outputs(self) -> Outputs:
        """Each head's output so far; those of the second pass when it has ended."""
        return self._first.outputs if self._final is None else self._final

    def feed(self, samples: FloatSamples) -> Iterator[None]:
        """Take more sound; after each chunk there are new outputs."""
        begun = self.taken
        for _ in self._first.feed(samples):
            self._remember(samples, begun)
            yield
        self._remember(samples, begun)

    def finish(self, end: int) -> None:
        """Recognise it as a whole, up to a sample of the stream."""
        self._end = max(self.start + 1, min(end, self.taken))
        self._final = self._whole(self._end)

    def cut(self, position: int) -> None:
        """Leave out what was before a sample of the stream."""
        self._first.cut(position)
        self._sound = self._sound[max(0, self.start - self._begins) :]
        self._begins = self.start

    def settle(self, position: int) -> Outputs:
        """See ``Utterance``: the second pass over the sound before a sample of the stream."""
        return self._whole(position)

    def decide_by(self, length_s: float) -> None:
        """See ``Utterance``: every chunk decides."""

    def _remember(self, samples: FloatSamples, begun: int) -> None:
        """Keep what the first pass has taken of samples that begin at one of the stream."""
        kept = self._begins + len(self._sound)
        self._sound = np.concatenate([self._sound, samples[kept - begun : self.taken - begun]])

    def _whole(self, end: int) -> Outputs:
        return self._second(self._sound[: end - self._begins])
