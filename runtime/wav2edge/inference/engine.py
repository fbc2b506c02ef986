"""The engine: one ONNX graph, recognising clip after clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Literal, overload

import numpy as np

from wav2edge.audio.clip import AudioSource, Clip, load_clip
from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.errors import DeviceError, Wav2EdgeError
from wav2edge.inference.graph_session import Calls, GraphSession
from wav2edge.inference.many_clips import attempt, in_batches, ordered, settled
from wav2edge.inference.recognizer import FloatSamples, Recognizer
from wav2edge.output.result import Result


class Engine(Recognizer):
    """Recognises clips with one graph. Threads may share it; a forked child may not.

    Make one with ``wav2edge.load``, ``Engine.from_bundle``, or ``Engine.from_graph`` where there is no bundle.

    Args:
        session: the graph, open on a device.
        precision: the name of the variant in its bundle; None without a bundle.
        certified_up_to_s: longest audio that the certificate covers; longer clips get a warning.
    """

    def __init__(
        self, session: GraphSession, *, precision: str | None = None, certified_up_to_s: float | None = None
    ) -> None:
        self._session, self.precision, self.certified_up_to_s = session, precision, certified_up_to_s

    @classmethod
    def from_graph(
        cls,
        graph: str | PathLike[str],
        *,
        heads: Heads,
        geometry: ConvGeometry,
        batched: bool = False,
        device: str = "cpu",
        threads: int | None = None,
        spinning: bool = False,
    ) -> Engine:
        """An engine of an ONNX file and what its outputs mean, without a bundle, a manifest or a digest.

        Args:
            graph: an ONNX file with the input ``input_values [batch, samples]`` and the outputs that the heads name.
            heads: what the outputs mean.
            geometry: how samples become frames.
            batched: the graph takes ``attention_mask [batch, samples]`` as well.
            device: one of ``wav2edge.inference.device.DEVICES``.
            threads: threads per call; the physical cores where None.
            spinning: see ``wav2edge.inference.device.open_session``.

        Raises:
            BundleError: the graph cannot be loaded, or its inputs or outputs are others.
            DeviceError: the device is not available here.
        """
        session = GraphSession(
            Path(graph),
            heads=heads,
            geometry=geometry,
            batched=batched,
            device=device,
            threads=threads,
            spinning=spinning,
        )
        return cls(session)

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        *,
        variant: str | None = None,
        device: str = "cpu",
        threads: int | None = None,
        spinning: bool = False,
        verify: bool = True,
    ) -> Engine:
        """An engine of one variant of a bundle.

        Args:
            bundle: an opened bundle.
            variant: which graph; the bundle's default where None.
            device: one of ``wav2edge.inference.device.DEVICES``.
            threads: threads per call; the physical cores where None.
            spinning: see ``wav2edge.inference.device.open_session``.
            verify: compare the graph with its digest while it loads.

        Raises:
            BundleError: the graph is missing, damaged, or not what the manifest says.
            DeviceError: the device is not available here.
        """
        from concurrent.futures import ThreadPoolExecutor  # here: it costs the import of wav2edge 12 ms

        manifest, chosen = bundle.manifest, bundle.variant(variant)
        graph = bundle.check_size(chosen.file)
        # The digest takes as long as reading the file: another core computes it while the session is built.
        with ThreadPoolExecutor(1) as pool:
            check = pool.submit(bundle.check_hash, chosen.file) if verify else None
            try:
                session = GraphSession(
                    graph,
                    heads=manifest.heads,
                    geometry=manifest.geometry,
                    batched=chosen.batched,
                    device=device,
                    threads=threads,
                    spinning=spinning,
                )
            finally:
                if check is not None:
                    check.result()
        return cls(session, precision=chosen.precision, certified_up_to_s=manifest.certified_up_to_s)

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
        (found,) = self.batch_outputs([samples])
        return found

    def batch_outputs(self, clips: Sequence[FloatSamples]) -> list[dict[str, FloatSamples]]:
        """The outputs for clips padded together: for each clip what ``outputs`` gives, within float rounding.

        Args:
            clips: ``[samples] float32`` at 16 kHz each, of any lengths.

        Raises:
            UsageError: there are several, and the graph takes no mask.
            DeviceError: the device failed, or this is the child of a fork.
        """
        return self._session.outputs(clips)

    @overload
    def map(
        self,
        sources: Iterable[AudioSource],
        *,
        rate_hz: int | None = None,
        errors: Literal["raise"] = "raise",
        batch_size: int = 1,
    ) -> Iterator[Result]: ...

    @overload
    def map(
        self,
        sources: Iterable[AudioSource],
        *,
        rate_hz: int | None = None,
        errors: Literal["return"],
        batch_size: int = 1,
    ) -> Iterator[Result | Wav2EdgeError]: ...

    def map(
        self,
        sources: Iterable[AudioSource],
        *,
        rate_hz: int | None = None,
        errors: Literal["raise", "return"] = "raise",
        batch_size: int = 1,
    ) -> Iterator[Result | Wav2EdgeError]:
        """Recognise many clips, in order, holding only a few of them in memory.

        Args:
            sources: clips, taken one by one as they are needed.
            rate_hz: sample rate of the arrays among them; files have their own.
            errors: ``raise`` ends at the first clip that cannot be recognised; ``return`` yields its error in its
                place.
            batch_size: most clips that a batched graph takes at once, padded to the longest of them. Clips of similar
                length go together, and long ones in smaller batches (see ``wav2edge.inference.many_clips``).

        Raises:
            UsageError: the graph takes no mask, so it cannot take batches.
        """
        self._session.check_batch(batch_size)

        def load(source: AudioSource) -> Clip:
            return load_clip(source, rate_hz=rate_hz if isinstance(source, np.ndarray) else None)

        calls = Calls(self.device)

        def recognise(source: AudioSource) -> Result:
            clip = load(source)
            (outputs,) = self._session.outputs([clip.samples], calls)
            return self.result(clip, outputs)

        if batch_size == 1:
            return settled(ordered(attempt(recognise), sources, interrupt=calls.terminate), errors)
        return settled(in_batches(ordered(attempt(load), sources), batch_size, self._batch_results), errors)

    def _batch_results(self, clips: Sequence[Clip]) -> list[Result | Wav2EdgeError]:
        """A result or an error for each clip of a batch; if the device fails, each clip is tried by itself."""
        try:
            outputs = self.batch_outputs([clip.samples for clip in clips])
        except DeviceError as error:
            return [error] if len(clips) == 1 else [self._batch_results([clip])[0] for clip in clips]
        return [attempt(partial(self.result, clip))(found) for clip, found in zip(clips, outputs, strict=True)]


def load(
    bundle: str | PathLike[str],
    *,
    device: str = "cpu",
    threads: int | None = None,
    variant: str | None = None,
    spinning: bool = False,
) -> Engine:
    """Open a bundle and make an engine of it.

    >>> engine = wav2edge.load("bundle")
    >>> engine("clip.wav").text

    Args:
        bundle: the folder that ``wav2edge export`` wrote.
        device: ``cpu``, ``cuda``, ``tensorrt``, ``openvino``, ``coreml``, ``directml``, ``xnnpack``, ``qnn``, ``auto``.
        threads: threads per call; the physical cores where None.
        variant: a precision of the bundle, such as ``int8`` or ``fp32``; its default where None.
        spinning: let idle threads spin between calls.

    Raises:
        BundleError: the bundle is missing, damaged, or newer than this version.
        DeviceError: the device is not available here.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    return Engine.from_bundle(Bundle.open(bundle), device=device, threads=threads, variant=variant, spinning=spinning)
