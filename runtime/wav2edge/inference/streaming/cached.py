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
        self._hop = session.geometry.hop
        self._advance = self._hop * session.chunk_frames
        self._waiting = np.zeros(session.block_samples, np.float32)
        self._count = 0  # samples that wait
        self._frames = 0
        self._chunks: list[FloatSamples] = []
        self._pooled: FloatSamples | None = None
        memory.clear()

    @property
    def taken(self) -> int:
        """The sample of the stream after the last that was given."""
        return self.heard + self._count

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
        """Recognise what is left of it; what is behind its end and waits for a chunk is left out."""
        geometry = self._session.geometry
        self._count = max(0, min(self._count, end - self.heard))
        if not self._frames:
            self._count = max(self._count, geometry.receptive_field)  # with silence behind it
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
        if heads.ctc is not None:
            self._chunks.append(memory.outputs[heads.ctc.output][:frames].copy())
        if heads.classification is not None:
            self._pooled = memory.outputs[heads.classification.output].copy()
        self._frames += frames
        self._count = max(0, count - self._advance)
        self._waiting[: self._count] = self._waiting[self._advance : count]
