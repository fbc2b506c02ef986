"""The engine: one graph, answering clip after clip."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import AudioSource, Clip, load_clip
from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.errors import BundleError, DeviceError, UsageError, Wav2EdgeError
from wav2edge.inference.batching import INPUT, MASK, pad_together
from wav2edge.inference.device import give_back_memory, open_session
from wav2edge.inference.parallel import attempt, in_batches, ordered, settled
from wav2edge.inference.recognizer import Recognizer
from wav2edge.output.result import Result

if TYPE_CHECKING:
    from onnxruntime import RunOptions

LONG_S = 15.0
"""Audio longer than this is answered in seconds, so that asking the system for memory again costs nothing beside it."""


class Engine(Recognizer):
    """Answers clips with one variant of a bundle. Threads may share it; a forked child may not.

    Args:
        bundle: an opened bundle.
        device: one of ``wav2edge.inference.device.DEVICES``.
        threads: threads of one call; the physical cores without a number.
        variant: which graph; the bundle's default without a name.
        spinning: see ``wav2edge.inference.device.open_session``.
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
        self._give_back = give_back_memory(self.device)
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
        (found,) = self.batch_outputs([samples])
        return found

    def batch_outputs(self, clips: Sequence[npt.NDArray[np.float32]]) -> list[dict[str, npt.NDArray[np.float32]]]:
        """What the graph gives for clips padded together: for each clip what ``outputs`` gives for it alone.

        Args:
            clips: ``[samples] float32`` at 16 kHz each, of any lengths.

        Raises:
            UsageError: there are several, and the variant takes no mask.
            DeviceError: the device failed, or this is the child of a fork.
        """
        self._check_batch(len(clips))
        if os.getpid() != self._pid:
            raise DeviceError("this engine was loaded before a fork; load it again in the child process")
        padded = [self.pad_to_a_frame(clip) for clip in clips]
        names = list(self.heads.outputs)
        try:
            feeds = pad_together(padded) if self.variant.batched else {INPUT: padded[0][None]}
            values = self._session.run(names, feeds, self._run_options(sum(map(len, padded))))
        except Exception as error:  # its bindings raise a dozen unrelated types
            reason = " ".join(str(error).split())
            longest_s = max(map(len, padded)) / self.geometry.rate_hz
            many = f"{len(clips)} clips of up to " if len(clips) > 1 else ""
            raise DeviceError(
                f"{self.device} failed on {many}{longest_s:.1f} s of audio: {reason}; try shorter clips,"
                f"{' a smaller batch,' if many else ''} or another --device"
            ) from None
        rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
        return [self._own_frames(row, len(clip)) for row, clip in zip(rows, padded, strict=True)]

    def _run_options(self, samples: int) -> RunOptions | None:
        """How to answer so much audio: after a long clip the memory that only it needed goes back to the system."""
        return self._give_back if samples > LONG_S * self.geometry.rate_hz else None

    def _own_frames(
        self, outputs: dict[str, npt.NDArray[np.float32]], samples: int
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Leave out the frames that a clip has only because its neighbours in the batch are longer."""
        if self.heads.ctc is not None:
            outputs[self.heads.ctc.output] = outputs[self.heads.ctc.output][: self.geometry.frames(samples)]
        return outputs

    def _check_batch(self, batch_size: int) -> None:
        if batch_size < 1:
            raise UsageError(f"{batch_size} clips in a batch; at least 1 is needed")
        if batch_size > 1 and not self.variant.batched:
            raise UsageError(
                f"{self.variant.file} takes one clip at a time, not {batch_size}; export with --batched,"
                " or leave the batch size out"
            )

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
        """Answer many clips, in order, holding only a few of them in memory.

        Args:
            sources: clips, taken one by one as they are needed.
            rate_hz: sample rate of arrays.
            errors: ``raise`` ends at the first clip that cannot be answered; ``return`` yields its error in its place.
            batch_size: clips that a batched variant answers at once, padded to the longest of them. Of four such
                batches, which are then in memory, clips of similar length go together.

        Raises:
            UsageError: the variant takes no mask, so it cannot answer batches.
        """
        self._check_batch(batch_size)
        if batch_size == 1:
            return settled(ordered(attempt(lambda source: self(source, rate_hz=rate_hz)), sources), errors)
        clips = ordered(attempt(lambda source: load_clip(source, rate_hz=rate_hz)), sources)
        return settled(in_batches(clips, batch_size, self._answer_batch), errors)

    def _answer_batch(self, clips: Sequence[Clip]) -> list[Result | Wav2EdgeError]:
        """An answer or an error for each clip of a batch; if the device fails, that is the error of them all."""
        try:
            outputs = self.batch_outputs([clip.samples for clip in clips])
        except DeviceError as error:
            return [error] * len(clips)
        return [attempt(partial(self.read, clip))(found) for clip, found in zip(clips, outputs, strict=True)]

    def _check_inputs(self) -> None:
        """The graph must ask for the samples, for a mask if it is batched, and for nothing else."""
        names = [each.name for each in self._session.get_inputs()]
        wanted = [INPUT, MASK] if self.variant.batched else [INPUT]
        if sorted(names) != sorted(wanted):
            raise BundleError(
                f"{self.bundle.folder / self.variant.file}: its inputs are {', '.join(names)} where"
                f" {' and '.join(map(repr, wanted))} {'are' if self.variant.batched else 'is'} wanted;"
                " export the bundle again"
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
