"""Opening a stream: which of the three kinds, and the graphs of cached streams, each of which is loaded once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import ceil, inf
from numbers import Real
from threading import Lock
from typing import TYPE_CHECKING

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import UsageError
from wav2edge.inference.recognizer import FAR_LONGER
from wav2edge.inference.sessions.stream_session import StreamMemory, StreamSession
from wav2edge.inference.streaming.cached import CachedUtterance, TwoPassUtterance
from wav2edge.inference.streaming.chunked_clips import ChunkedClips
from wav2edge.inference.streaming.endpoints import Endpointing
from wav2edge.inference.streaming.live_sound import SpeechLevel
from wav2edge.inference.streaming.stream import Stream
from wav2edge.inference.streaming.utterances import Utterance, WindowedUtterance

if TYPE_CHECKING:
    from wav2edge.bundle.folder import Bundle
    from wav2edge.bundle.manifest import Manifest
    from wav2edge.inference.engine import Engine
    from wav2edge.inference.recognizer import FloatSamples, Recognizer
    from wav2edge.inference.sessions.device import Placement

KINDS = ("auto", "cached", "two-pass", "windowed")
"""Kinds of streams; ``auto`` is cached where the bundle has graphs for it."""
WHOLE = ("two-pass", "windowed")
"""Those that recognise utterances as a whole, which therefore are no longer than the model takes well."""
STEP_MS = 160
"""From one answer of a windowed stream to the next."""
LEAST_PADDING_S = 0.15
"""Sound around speech that belongs to it; of clips of words in a recording, more gave more errors."""
FIRST_LETTER_S = 0.02
"""A chunk and its look-ahead end so long after the answer to the beginning of speech can be read: the first letter does
not wait."""

NO_GRAPHS = "has no graphs for cached streams; train with --streaming and export with --stream"


class StreamGraphs:
    """The graphs of a bundle's cached streams in one precision; threads may share them.

    Args:
        bundle: an opened bundle whose manifest describes streams.
        precision: whose graph to take; that of the engine where the bundle has it, otherwise the first.
        verify: compare the graph with its digest when it is loaded.
        placement: ``device``, ``threads`` and ``spinning`` of ``load``.
    """

    def __init__(self, bundle: Bundle, *, precision: str, verify: bool, placement: Placement) -> None:
        streams = bundle.manifest.stream
        if streams is None:
            raise UsageError(f"{bundle.folder} {NO_GRAPHS}")
        self.streams, self._bundle, self._verify, self._placement = streams, bundle, verify, placement
        self.precision = precision if precision in streams.files else next(iter(streams.files))
        self._sessions: dict[int, StreamSession] = {}
        self._lock = Lock()

    def session(self, chunk_ms: int | None) -> StreamSession:
        """The session for chunks of a length, the first of the manifest where None.

        Raises:
            UsageError: the bundle is not certified for such chunks.
            BundleError: the graph is missing, damaged, or not what the manifest says.
        """
        manifest = self._bundle.manifest
        lengths_ms = chunk_lengths_ms(manifest)
        chosen_ms = next(iter(lengths_ms)) if chunk_ms is None else chunk_ms
        if chosen_ms not in lengths_ms:
            raise UsageError(
                f"{self._bundle.folder}: no stream in chunks of {chosen_ms} ms; it has {_listed(lengths_ms)} ms:"
                " export it with --stream"
            )
        frames = lengths_ms[chosen_ms]
        with self._lock:
            if frames not in self._sessions:
                self._sessions[frames] = self._open(frames, manifest)
            return self._sessions[frames]

    def _open(self, frames: int, manifest: Manifest) -> StreamSession:
        file = self.streams.files[self.precision]
        graph = self._bundle.checked(file) if self._verify else self._bundle.check_size(file)
        return StreamSession(
            graph,
            self.streams,
            chunk_frames=frames,
            heads=manifest.heads,
            geometry=manifest.geometry,
            **self._placement,
        )


def chunk_lengths_ms(manifest: Manifest) -> dict[int, int]:
    """Frames of each kind of chunk that a bundle is certified for, by its length in milliseconds."""
    frames = manifest.stream.chunk_frames if manifest.stream else ()
    return {round(count * manifest.geometry.frame_s * 1e3): count for count in frames}


def in_chunks(engine: Engine, chunk_ms: int | None = None) -> ChunkedClips:
    """Recognises clips as the cached streams of an engine would, without end points: to evaluate and to verify them.

    Raises:
        UsageError: the bundle has no cached streams, or none in such chunks.
        BundleError: the graph is missing, damaged, or not what the manifest says.
    """
    if engine.stream_graphs is None:
        raise UsageError(f"{engine} {NO_GRAPHS}")
    return ChunkedClips(engine.stream_graphs.session(chunk_ms), like=engine)


def open_stream(
    recognizer: Recognizer,
    graphs: StreamGraphs | None,
    *,
    rate_hz: int,
    kind: str,
    chunk_ms: int | None,
    endpointing: Endpointing | None,
) -> Stream:
    """See ``Engine.stream``."""
    if kind not in KINDS:
        raise UsageError(f"no stream of kind {kind!r}; choose {', '.join(KINDS)}")
    if chunk_ms is not None and not isinstance(chunk_ms, Real):
        raise UsageError(f"chunk_ms is {chunk_ms!r}; give milliseconds")
    if recognizer.heads.ctc is None and recognizer.heads.classification is None:
        raise UsageError(f"{recognizer} has no transcripts or classes to stream; give it whole clips")
    if kind in ("cached", "two-pass") and graphs is None:
        raise UsageError(f"{recognizer} {NO_GRAPHS}, or use a windowed stream")
    graphs = None if kind == "windowed" else graphs
    options = endpointing or Endpointing()
    if options.padding_s is None:
        padding_s = LEAST_PADDING_S if graphs is None else aligned_padding_s(graphs.session(chunk_ms))
        options = replace(options, padding_s=padding_s)
    if graphs is None or kind in WHOLE:
        longest_s = max(1.0, FAR_LONGER * recognizer.comfortable_s)
        options = replace(options, longest_s=min(options.longest_s, longest_s))
    begin = _beginning(recognizer, graphs, kind, chunk_ms)
    return Stream(recognizer, begin, rate_hz=rate_hz, endpointing=options)


def aligned_padding_s(session: StreamSession) -> float:
    """Sound before speech with which a chunk is computed as soon as the first letter of an utterance can be known."""
    frame_s, streams = session.geometry.frame_s, session.streams
    chunk_s = session.chunk_frames * frame_s
    known_s = (streams.delay_frames - streams.look_ahead_frames) * frame_s + FIRST_LETTER_S
    return ceil((LEAST_PADDING_S + known_s) / chunk_s) * chunk_s - known_s


def _beginning(
    recognizer: Recognizer, graphs: StreamGraphs | None, kind: str, chunk_ms: int | None
) -> Callable[[int, FloatSamples], Utterance]:
    """What makes the utterances of a stream; without graphs they are windowed."""
    if graphs is None:
        step_ms = STEP_MS if chunk_ms is None else chunk_ms
        if not 1 <= step_ms < inf:
            raise UsageError(f"a step of {step_ms} ms; give 1 ms or more")
        return partial(_windowed, recognizer, round(step_ms * (SAMPLE_RATE_HZ // 1000)))
    session = graphs.session(chunk_ms)
    # A model that does not normalise its sound takes it at whatever level it has.
    level = SpeechLevel() if graphs.streams.normalizes else None
    cached = partial(_cached, session, session.begin(), level)
    return partial(_two_pass, recognizer, cached) if kind == "two-pass" else cached


def _cached(
    session: StreamSession, memory: StreamMemory, level: SpeechLevel | None, start: int, onset: FloatSamples
) -> CachedUtterance:
    if level is not None:
        level.begin(onset)
    return CachedUtterance(session, memory, level, start=start)


def _two_pass(
    recognizer: Recognizer, first: Callable[[int, FloatSamples], CachedUtterance], start: int, onset: FloatSamples
) -> Utterance:
    return TwoPassUtterance(first(start, onset), recognizer.outputs)


def _windowed(recognizer: Recognizer, step: int, start: int, onset: FloatSamples) -> Utterance:
    return WindowedUtterance(recognizer.outputs, start=start, step=step)


def _listed(values: dict[int, int]) -> str:
    return ", ".join(map(str, values))
