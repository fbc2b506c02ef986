"""Clips that are heard as streams: what a cached stream gives for each, without end points."""

from __future__ import annotations

import numpy as np

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.inference.recognizer import FloatSamples, Recognizer
from wav2edge.inference.sessions.stream_session import StreamSession
from wav2edge.inference.streaming.cached import CachedUtterance

BLOCK = 4_001
"""Samples that a clip is fed in at once: a quarter of a second, and no multiple of any chunk."""


class ChunkedClips(Recognizer):
    """Recognises clips through the graph of a stream, to certify and to evaluate it; threads may share it.

    Args:
        session: the graph.
        like: the engine whose decoder and limits are taken over; None: the best token of each frame.
    """

    batched, device = False, "cpu"

    def __init__(self, session: StreamSession, like: Recognizer | None = None) -> None:
        self.session = session
        if like is not None:
            self.decoder, self.reject_below = like.decoder, like.reject_below
            self.confidence_temperature, self.word_times = like.confidence_temperature, like.word_times
            self.longest_clip_s, self.certified_up_to_s = like.longest_clip_s, like.certified_up_to_s

    def __str__(self) -> str:
        return str(self.session)

    @property
    def heads(self) -> Heads:
        """What the outputs mean."""
        return self.session.heads

    @property
    def geometry(self) -> ConvGeometry:
        """How samples become frames."""
        return self.session.geometry

    def outputs(self, samples: FloatSamples) -> dict[str, FloatSamples]:
        """Each head's output for one clip, without its batch axis.

        Args:
            samples: ``[samples] float32`` at 16 kHz, padded with zeros if they give no frame.
        """
        padded = self.geometry.pad_to_frame(np.asarray(samples, np.float32))
        utterance = CachedUtterance(self.session, self.session.begin(), start=0)
        for start in range(0, len(padded), BLOCK):
            for _ in utterance.feed(padded[start : start + BLOCK]):
                pass
        utterance.finish(len(padded))
        return dict(utterance.outputs)
