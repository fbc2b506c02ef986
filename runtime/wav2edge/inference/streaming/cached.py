"""Cached streams: each chunk is computed once, with what earlier chunks left behind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wav2edge.inference.recognizer import FloatSamples, Outputs
from wav2edge.inference.sessions.stream_session import StreamMemory, StreamSession


class CachedUtterance:
    """One utterance, recognised chunk by chunk; see ``Utterance``.

    Args:
        session: the graph.
        memory: of the stream; it is cleared, and belongs to this utterance from here on.
        start: sample of the stream at which the utterance begins.
    """

    settled_s = 0.3

    def __init__(self, session: StreamSession, memory: StreamMemory, *, start: int) -> None:
        self.start, self._session, self._memory = start, session, memory
        self._origin = start
        self._hop = session.geometry.hop
        self._advance, self._delay = self._hop * session.chunk_frames, session.streams.delay_frames
        self._waiting = np.zeros(session.block_samples, np.float32)
        self._count = 0  # samples that wait
        self._frames = 0  # that were answered
        self._computed = 0  # and those that their answers are read from, and more of them
        self._chunks: list[FloatSamples] = []
        self._pooled: FloatSamples | None = None
        memory.clear()

    @property
    def taken(self) -> int:
        """The sample of the stream after the last that was given."""
        return self._origin + self._computed * self._hop + self._count

    @property
    def heard(self) -> int:
        """The sample of the stream up to which the outputs reach."""
        return self.start + self._frames * self._hop

    @property
    def outputs(self) -> Outputs:
        """Each head's output so far."""
        heads = self._session.heads
        found: dict[str, FloatSamples] = {}
        if heads.ctc is not None:
            empty = np.zeros((0, len(heads.ctc.vocabulary)), np.float32)
            self._chunks = [np.concatenate([empty, *self._chunks])]
            found[heads.ctc.output] = self._chunks[0]
        if heads.classification is not None:
            none = np.zeros(len(heads.classification.labels), np.float32)
            found[heads.classification.output] = none if self._pooled is None else self._pooled
        return found

    def feed(self, samples: FloatSamples) -> Iterator[None]:
        """Take more sound; after each chunk there are new outputs."""
        while len(samples):
            fits = samples[: len(self._waiting) - self._count]
            self._waiting[self._count : self._count + len(fits)] = fits
            self._count += len(fits)
            samples = samples[len(fits) :]
            if self._count == len(self._waiting):
                self._recognise(self._session.chunk_frames)
                yield

    def finish(self, end: int) -> None:
        """Recognise what is left of it; its last answers are read from what is behind its end, or from silence."""
        geometry = self._session.geometry
        length = max(geometry.receptive_field, min(end, self.taken) - self._origin) + self._delay * self._hop
        silence = length - (self.taken - self._origin)
        for _ in self.feed(np.zeros(max(0, silence), np.float32)):
            pass
        self._count = max(0, min(self._count, length - self._computed * self._hop))
        while (left := geometry.frames(self._count)) > 0:
            self._recognise(min(left, self._session.chunk_frames))

    def cut(self, position: int) -> None:
        """Leave out the frames before a sample of the stream; the transformer goes on to know them."""
        frames = min(self._frames, max(0, (position - self.start) // self._hop))
        ctc = self._session.heads.ctc
        if ctc is not None:
            self._chunks = [self.outputs[ctc.output][frames:].copy()]
        self.start, self._frames = self.start + frames * self._hop, self._frames - frames

    def _recognise(self, frames: int) -> None:
        """Compute the next chunk, of which so many frames are new."""
        memory, count = self._memory, self._count
        memory.block[:count] = self._waiting[:count]
        memory.block[count:] = 0.0
        self._session.run(memory, count)
        heads = self._session.heads
        early = min(frames, max(0, self._delay - self._computed))
        if heads.ctc is not None:
            self._chunks.append(memory.outputs[heads.ctc.output][early:frames].copy())
        if heads.classification is not None:
            self._pooled = memory.outputs[heads.classification.output].copy()
        self._computed += frames
        self._frames += frames - early
        self._count = max(0, count - self._advance)
        self._waiting[: self._count] = self._waiting[self._advance : count]
