"""The engine: one graph, answering clip after clip."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Literal, TypeVar, overload

import numpy as np
import numpy.typing as npt

from wav2edge.audio import AudioSource
from wav2edge.bundle import Bundle
from wav2edge.device import open_session
from wav2edge.errors import BundleError, DeviceError, Wav2EdgeError
from wav2edge.geometry import ConvGeometry
from wav2edge.heads import Heads
from wav2edge.recognizer import Recognizer
from wav2edge.result import Result

if TYPE_CHECKING:
    from concurrent.futures import Future

Outcome = TypeVar("Outcome")

INPUT = "input_values"
"""What every graph calls its input: ``[batch, samples] float32``."""
MAP_WORKERS = 2
"""Clips in flight in ``Engine.map``: one is decoded from its file while another is in the graph."""


class Engine(Recognizer):
    """Answers clips with one variant of a bundle. Threads may share it; a forked child may not.

    Args:
        bundle: an opened bundle.
        device: one of ``wav2edge.device.DEVICES``.
        threads: threads of one call; the physical cores without a number.
        variant: which graph; the bundle's default without a name.
        spinning: see ``wav2edge.device.open_session``.
        verify: compare the graph with its digest while it loads.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        threads: int | None = None,
        variant: str | None = None,
        spinning: bool = False,
        verify: bool = True,
    ) -> None:
        from concurrent.futures import ThreadPoolExecutor  # here and below: it costs the import of wav2edge 12 ms

        self.bundle = bundle
        self.variant = bundle.variant(variant)
        graph = bundle.check_size(self.variant.file)
        # The digest takes as long as reading the file: another core does it while the session is built.
        with ThreadPoolExecutor(1) as pool:
            check = pool.submit(bundle.check_hash, self.variant.file) if verify else None
            try:
                self._session, self.device = open_session(graph, device=device, threads=threads, spinning=spinning)
            finally:
                if check is not None:
                    check.result()
        self._pid = os.getpid()
        self._check_inputs()
        self._check_outputs()

    @property
    def heads(self) -> Heads:
        """What the outputs of the graph mean."""
        return self.bundle.manifest.heads

    @property
    def geometry(self) -> ConvGeometry:
        """How samples become frames."""
        return self.bundle.manifest.geometry

    def __str__(self) -> str:
        return f"{self.variant.file} on {self.device}"

    def outputs(self, samples: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """What the graph gives for one clip: each head's output without its batch axis.

        Args:
            samples: ``[samples] float32`` at 16 kHz, padded with zeros here if no frame fits.

        Raises:
            DeviceError: the device failed, or this is the child of a fork.
        """
        if os.getpid() != self._pid:
            raise DeviceError("this engine was loaded before a fork; load it again in the child process")
        padded = self.pad_to_a_frame(samples)
        names = list(self.heads.outputs)
        try:
            values = self._session.run(names, {INPUT: padded[None]})
        except Exception as error:  # its bindings raise a dozen unrelated types
            reason = " ".join(str(error).split())
            raise DeviceError(
                f"{self.device} failed on {len(padded) / self.geometry.rate_hz:.1f} s of audio: {reason};"
                " try shorter clips, or another --device"
            ) from None
        return {name: value[0] for name, value in zip(names, values, strict=True)}

    @overload
    def map(
        self, sources: Iterable[AudioSource], *, rate_hz: int | None = None, errors: Literal["raise"] = "raise"
    ) -> Iterator[Result]: ...

    @overload
    def map(
        self, sources: Iterable[AudioSource], *, rate_hz: int | None = None, errors: Literal["return"]
    ) -> Iterator[Result | Wav2EdgeError]: ...

    def map(
        self,
        sources: Iterable[AudioSource],
        *,
        rate_hz: int | None = None,
        errors: Literal["raise", "return"] = "raise",
    ) -> Iterator[Result | Wav2EdgeError]:
        """Answer many clips, in order, holding only a few of them in memory.

        Args:
            sources: clips, taken one by one as they are needed.
            rate_hz: sample rate of arrays.
            errors: ``raise`` ends at the first clip that cannot be answered; ``return`` yields its error in its place.
        """

        def attempt(source: AudioSource) -> Result | Wav2EdgeError:
            try:
                return self(source, rate_hz=rate_hz)
            except Wav2EdgeError as error:
                return error

        for found in _ordered(attempt, sources):
            if isinstance(found, Wav2EdgeError) and errors == "raise":
                raise found
            yield found

    def _check_inputs(self) -> None:
        """The graph must ask for the samples and nothing else."""
        names = [each.name for each in self._session.get_inputs()]
        if names != [INPUT]:
            raise BundleError(
                f"{self.bundle.folder / self.variant.file}: its inputs are {', '.join(names)} where {INPUT!r} is"
                " wanted; export the bundle again"
            )

    def _check_outputs(self) -> None:
        """The graph must give what the manifest says, as wide as the manifest says."""
        graph = self.bundle.folder / self.variant.file
        widths = {output.name: output.shape[-1] for output in self._session.get_outputs()}
        ctc, classification = self.heads.ctc, self.heads.classification
        expected = {ctc.output: len(ctc.vocabulary)} if ctc else {}
        expected |= {classification.output: len(classification.labels)} if classification else {}
        for name, width in expected.items():
            if name not in widths:
                raise BundleError(
                    f"{graph}: gives {', '.join(widths)} where the manifest says {name!r}; export the bundle again"
                )
            if isinstance(widths[name], int) and widths[name] != width:
                raise BundleError(
                    f"{graph}: its output {name!r} is {widths[name]} wide where the manifest says {width};"
                    " export the bundle again"
                )


def _ordered(attempt: Callable[[AudioSource], Outcome], sources: Iterable[AudioSource]) -> Iterator[Outcome]:
    """Apply ``attempt`` on a few threads, and give the outcomes in the order of the sources."""
    from concurrent.futures import ThreadPoolExecutor

    pending: deque[Future[Outcome]] = deque()
    with ThreadPoolExecutor(MAP_WORKERS, thread_name_prefix="wav2edge") as pool:
        try:
            for source in sources:
                pending.append(pool.submit(attempt, source))
                if len(pending) > MAP_WORKERS:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


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
        threads: threads of one call; the physical cores without a number.
        variant: a precision of the bundle, such as ``int8`` or ``fp32``; its default without a name.
        spinning: let idle threads spin between calls.

    Raises:
        BundleError: the bundle is missing, damaged, or newer than this version.
        DeviceError: the device is not available here.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    return Engine(Bundle.open(bundle), device=device, threads=threads, variant=variant, spinning=spinning)
