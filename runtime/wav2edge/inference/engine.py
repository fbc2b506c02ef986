"""The engine: one ONNX graph, recognising clip after clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack, overload

import numpy as np

from wav2edge.audio.clip import Clip, Recording, open_recording
from wav2edge.audio.sound_file import AudioSource
from wav2edge.bundle.folder import GPUS, ON_GPUS, Bundle
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.errors import DeviceError, UsageError, Wav2EdgeError
from wav2edge.inference.many_clips import WORKERS, attempt, in_batches, ordered, settled
from wav2edge.inference.recognizer import FloatSamples, Outputs, Recognizer
from wav2edge.inference.sessions.device import Placement, physical_cores
from wav2edge.inference.sessions.graph_session import CALLS_TO_CAPTURE, GraphSession
from wav2edge.output.result import Result

if TYPE_CHECKING:
    from wav2edge.bundle.manifest import Manifest
    from wav2edge.decoding.hypothesis import Decoder
    from wav2edge.inference.streaming.endpoints import Endpointing
    from wav2edge.inference.streaming.opening import StreamGraphs
    from wav2edge.inference.streaming.stream import Stream


class Engine(Recognizer):
    """Recognises clips with one graph. Threads may share it; a forked child may not.

    Make one with ``wav2edge.load``, ``Engine.from_bundle``, or ``Engine.from_graph`` where there is no bundle.

    Attributes:
        precision: name of the variant in its bundle; None without a bundle.
        profile: aim of the profile with which ``load`` made it; None without one.
        batch_size, workers: what ``map`` takes where it is not told; 1 and 2, or those of the profile. Both may be set.
    """

    def __init__(
        self,
        session: GraphSession,
        *,
        precision: str | None = None,
        manifest: Manifest | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        self._session, self.precision, self.decoder = session, precision, decoder
        self.stream_graphs: StreamGraphs | None = None
        self.profile: str | None = None
        self.batch_size, self.workers = 1, WORKERS
        if manifest is not None:
            self.certified_up_to_s, self.longest_clip_s = manifest.certified_up_to_s, manifest.longest_clip_s
            self.word_times, self.confidence_temperature = manifest.word_times, manifest.confidence_temperature
            self.trims_silence = bool(manifest.trims_silence)

    @classmethod
    def from_graph(
        cls,
        graph: str | PathLike[str],
        *,
        heads: Heads,
        geometry: ConvGeometry,
        batched: bool = False,
        for_gpu: bool = False,
        **placement: Unpack[Placement],
    ) -> Engine:
        """An engine of an ONNX file and what its outputs mean, without a bundle, a manifest or a digest.

        Args:
            graph: an ONNX file with the input ``input_values [batch, samples]`` and the outputs that the heads name.
            heads: what the outputs mean.
            geometry: how samples become frames.
            batched: the graph takes ``attention_mask [batch, samples]`` as well.
            for_gpu: it was exported with ``--operators gpu``.
            placement: ``device``, ``threads``, ``spinning``, ``arena`` and ``memory_gb`` of ``load``.

        Raises:
            BundleError: the graph cannot be loaded, or its inputs or outputs are others.
            DeviceError: the device is not available here.
        """
        kind = {"batched": batched, "for_gpu": for_gpu, "one_file": False}
        return cls(GraphSession(Path(graph), heads=heads, geometry=geometry, **kind, **placement))

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        *,
        variant: str | None = None,
        verify: bool = True,
        decoder: Decoder | None = None,
        **placement: Unpack[Placement],
    ) -> Engine:
        """An engine of one variant of a bundle.

        Args:
            bundle: an opened bundle.
            variant: which graph; where None, the bundle's default, or on a GPU ``fp16`` or ``fp32``.
            verify: compare the graph with its digest while it loads.
            decoder: see ``load``.
            placement: ``device``, ``threads``, ``spinning``, ``arena`` and ``memory_gb`` of ``load``.

        Raises:
            BundleError: the graph is missing, damaged, or not what the manifest says.
            DeviceError: the device is not available here, or the variant is for other devices.
        """
        from concurrent.futures import ThreadPoolExecutor  # here: it costs the import of wav2edge 12 ms

        manifest, chosen = bundle.manifest, bundle.variant(variant, device=placement.get("device", "cpu"))
        if placement.get("device") == "auto" and chosen.precision not in ON_GPUS:
            placement["device"] = "cpu"
        graph = bundle.check_size(chosen.file)
        # The digest takes as long as reading the file: another core computes it while the session is built.
        heads, kind = chosen.heads or manifest.heads, {"batched": chosen.batched, "for_gpu": chosen.operators == "gpu"}
        with ThreadPoolExecutor(1) as pool:
            check = pool.submit(bundle.check_hash if verify else bundle.check_size, chosen.file)
            try:
                session = GraphSession(graph, heads=heads, geometry=manifest.geometry, **kind, **placement)
            finally:
                check.result()
        engine = cls(session, precision=chosen.name, manifest=manifest, decoder=decoder or bundle.decoder())
        if manifest.stream is not None and session.device == "cpu":
            from wav2edge.inference.streaming.opening import StreamGraphs

            engine.stream_graphs = StreamGraphs(bundle, precision=chosen.precision, verify=verify, placement=placement)
        return engine

    @property
    def heads(self) -> Heads:
        """What the outputs of the graph mean."""
        return self._session.heads

    @property
    def geometry(self) -> ConvGeometry:
        """How samples become frames."""
        return self._session.geometry

    @property
    def device(self) -> str:
        """Where the graph runs."""
        return self._session.device

    @property
    def batched(self) -> bool:
        """Whether the graph takes a mask, and so padded batches."""
        return self._session.batched

    def __str__(self) -> str:
        return str(self._session)

    def outputs(self, samples: FloatSamples) -> dict[str, FloatSamples]:
        """Each head's output for one clip, without its batch axis.

        Args:
            samples: ``[samples] float32`` at 16 kHz, padded with zeros if they give no frame.

        Raises:
            DeviceError: the device failed, or this is the child of a fork.
        """
        return self.batch_outputs([samples])[0]

    def batch_outputs(self, clips: Sequence[FloatSamples]) -> list[dict[str, FloatSamples]]:
        """The outputs for clips padded together: for each clip what ``outputs`` gives, within float rounding.

        Args:
            clips: ``[samples] float32`` at 16 kHz each, of any lengths.

        Raises:
            UsageError: there are several, and the graph takes no mask.
            DeviceError: the device failed, or this is the child of a fork.
        """
        return self._session.outputs(clips)

    def warm_up(self, seconds: Iterable[float] = (1.0,), *, batch_size: int = 1) -> None:
        """Make the first calls, which are slow: on CUDA, clips near these lengths are then replayed as CUDA graphs.

        Args:
            seconds: lengths of clips to come.
            batch_size: clips at a time.
        """
        for length_s in seconds:
            clips = [np.zeros(round(length_s * SAMPLE_RATE_HZ), np.float32)] * batch_size
            for _ in range(CALLS_TO_CAPTURE):
                self.batch_outputs(clips)

    @overload
    def map(
        self,
        sources: Iterable[AudioSource],
        *,
        rate_hz: int | None = None,
        errors: Literal["raise"] = "raise",
        batch_size: int | None = None,
        segments: bool | None = None,
        workers: int | None = None,
    ) -> Iterator[Result]: ...

    @overload
    def map(
        self,
        sources: Iterable[AudioSource],
        *,
        rate_hz: int | None = None,
        errors: Literal["return"],
        batch_size: int | None = None,
        segments: bool | None = None,
        workers: int | None = None,
    ) -> Iterator[Result | Wav2EdgeError]: ...

    def map(
        self,
        sources: Iterable[AudioSource],
        *,
        rate_hz: int | None = None,
        errors: Literal["raise", "return"] = "raise",
        batch_size: int | None = None,
        segments: bool | None = None,
        workers: int | None = None,
    ) -> Iterator[Result | Wav2EdgeError]:
        """Recognise many clips, in order, with few of them in memory.

        Args:
            sources: clips, taken one by one as they are needed.
            rate_hz: sample rate of the arrays among them; files have their own.
            errors: ``raise`` ends at the first clip that cannot be recognised; ``return`` yields its error instead.
            batch_size: most clips that a batched graph takes at once; ``self.batch_size`` where None.
            segments: as of a call; a recording that is answered in segments is answered by itself.
            workers: clips that are recognised at once, each with the engine's threads; ``self.workers`` where None.

        Raises:
            UsageError: the graph takes no mask, so it cannot take batches; or there is no worker.
        """
        batch_size = self.batch_size if batch_size is None else batch_size
        self._session.check_batch(batch_size)
        if workers is not None and workers < 1:
            raise UsageError(f"{workers} workers; at least 1 is needed")
        calls = self._session.calls()

        def outputs(samples: FloatSamples) -> Outputs:
            return self._session.outputs([samples], calls)[0]

        def opened(source: AudioSource) -> Recording:
            return open_recording(source, rate_hz=rate_hz if isinstance(source, np.ndarray) else None)

        def recognise(source: AudioSource) -> Result:
            with opened(source) as recording:
                return self._recognise(recording, outputs, segments)

        def load(source: AudioSource) -> Clip | Result:
            """A clip for a batch, or the result of a recording that is too long for one."""
            with opened(source) as recording:
                long = self._in_segments(recording, segments)
                return self._recognise(recording, outputs, True) if long else self._clip(recording)

        if batch_size == 1:
            found = ordered(attempt(recognise), sources, workers=workers or self.workers, interrupt=calls.terminate)
            return settled(found, errors)
        on_gpu = self.device in GPUS
        clips = ordered(attempt(load), sources, workers=physical_cores() if on_gpu else WORKERS)
        return settled(in_batches(clips, batch_size, self._batch_results, on_gpu=on_gpu), errors)

    def stream(
        self,
        *,
        rate_hz: int = SAMPLE_RATE_HZ,
        kind: str = "auto",
        chunk_ms: int | None = None,
        endpointing: Endpointing | None = None,
    ) -> Stream:
        """Recognise sound while it comes; several streams may be open at once, each in a thread of its own or not.

        Args:
            rate_hz: sample rate of the source.
            kind: ``cached`` computes nothing twice, ``two-pass`` hears each utterance once more as a whole at its end,
                ``windowed`` again and again, with any bundle; ``auto`` is cached where there are graphs for it.
            chunk_ms: from one answer to the next; for a cached stream one that the bundle is certified for.
            endpointing: where utterances begin and end.

        Raises:
            AudioError: no sound has this sample rate.
            UsageError, BundleError: there is no such kind, or no sound graph for it.
        """
        from wav2edge.inference.streaming.opening import open_stream  # here: most programs open no stream

        graphs = self.stream_graphs
        return open_stream(self, graphs, rate_hz=rate_hz, kind=kind, chunk_ms=chunk_ms, endpointing=endpointing)

    def _batch_results(self, clips: Sequence[Clip]) -> list[Result | Wav2EdgeError]:
        """A result or an error for each clip of a batch; if the device fails, each clip is tried by itself."""
        try:
            outputs = self.batch_outputs([clip.samples for clip in clips])
        except DeviceError as error:
            return [error] if len(clips) == 1 else [self._batch_results([clip])[0] for clip in clips]
        return [attempt(partial(self.result, clip))(found) for clip, found in zip(clips, outputs, strict=True)]
