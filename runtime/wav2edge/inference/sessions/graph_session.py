"""One ONNX graph on one device: clips in, the outputs of each head out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.errors import BundleError, DeviceError, UsageError
from wav2edge.inference.many_clips import INPUT, MASK, pad_together
from wav2edge.inference.recognizer import FloatSamples
from wav2edge.inference.sessions.device import Placement, open_session, refuse_fork, run_options

if TYPE_CHECKING:
    from onnxruntime import RunOptions

    from wav2edge.inference.sessions.cuda import CapturedCalls

LONG_SAMPLES = 15 * SAMPLE_RATE_HZ
"""Above this length, padding included, a call takes seconds, and allocating memory anew costs next to nothing."""


CALLS_TO_CAPTURE = 3
"""On CUDA, ONNX Runtime runs a shape, captures it, and replays it."""
MASK_TYPES = {"tensor(int64)": np.int64, "tensor(bool)": np.bool_}
"""ONNX Runtime's names of what a mask may consist of."""


class Calls:
    """Some calls of a graph, which another thread may terminate; ``arena`` is whether the device keeps memory."""

    def __init__(self, device: str, *, arena: bool = True) -> None:
        self._usual, self._shrinking = (run_options(device, shrink_arena=shrink) for shrink in (False, arena))

    def options(self, samples: int) -> RunOptions:
        """Options of a call; after one on much audio, memory that only it needed goes back to the system."""
        return self._shrinking if samples > LONG_SAMPLES else self._usual

    def terminate(self) -> None:
        """End the running ones after the node that each is at, and those to come: all raise a DeviceError."""
        self._usual.terminate = self._shrinking.terminate = True


class GraphSession:
    """Runs a graph. Threads may share it; a forked child may not.

    Args:
        path: an ONNX file with the input ``input_values [batch, samples]`` and the outputs that the heads name.
        heads: what the outputs mean.
        geometry: how samples become frames.
        batched: the graph takes ``attention_mask [batch, samples]`` as well, and so padded batches.
        for_gpu: the graph was made for CUDA, where its calls are replayed as CUDA graphs.
        one_file: refuse a graph with weights in other files.
        placement: see ``wav2edge.inference.sessions.device.open_session``.

    Raises:
        BundleError: the graph cannot be loaded, or has other inputs or outputs.
        DeviceError: the device is not available here.
    """

    def __init__(
        self,
        path: Path,
        *,
        heads: Heads,
        geometry: ConvGeometry,
        batched: bool = False,
        for_gpu: bool = False,
        one_file: bool = True,
        **placement: Unpack[Placement],
    ) -> None:
        self.path, self.heads, self.geometry, self.batched = path, heads, geometry, batched
        self._session, self.device = open_session(path, captured=for_gpu, one_file=one_file, **placement)
        types = {each.name: each.type for each in self._session.get_inputs()}
        self._mask_type = MASK_TYPES.get(types.get(MASK, ""), np.int64)
        self._captured = self._captured_calls() if for_gpu and self.device == "cuda" else None
        self._arena = placement.get("arena") is not False
        self._calls = self.calls()
        self._pid = os.getpid()
        self._check_inputs()
        self._check_outputs()

    def __str__(self) -> str:
        return f"{self.path} on {self.device}"

    def calls(self) -> Calls:
        """Calls of this graph that can be terminated together."""
        return Calls(self.device, arena=self._arena)

    def outputs(self, clips: Sequence[FloatSamples], calls: Calls | None = None) -> list[dict[str, FloatSamples]]:
        """For each clip the output of each head without its batch axis, as for the clip alone within float rounding.

        Args:
            clips: ``[samples] float32`` at 16 kHz each, of any lengths; padded with zeros if they give no frame.
            calls: what another thread may terminate this call through.

        Raises:
            BundleError: an output has another first axis than the batch.
            UsageError: there are several, and the graph takes no mask.
            DeviceError: the device failed, or this is the child of a fork.
        """
        self.check_batch(len(clips))
        refuse_fork(self._pid)
        padded = [self.geometry.pad_to_frame(clip) for clip in clips]
        names = list(self.heads.outputs)
        try:
            values = self._values(names, padded, calls or self._calls)
        except Exception as error:  # its bindings raise a dozen unrelated types
            raise self._failure(error, padded) from None
        if any(len(value) != len(clips) for value in values):
            raise BundleError(f"{self.path}: an output has no batch in front; [batch, ...] is needed: export it again")
        rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
        return [self._own_frames(row, len(clip)) for row, clip in zip(rows, padded, strict=True)]

    def _values(self, names: Sequence[str], clips: Sequence[FloatSamples], calls: Calls) -> list[Any]:
        options = calls.options(len(clips) * max(map(len, clips)))
        if self._captured is not None:
            return self._captured.run(names, clips, options)
        feeds = pad_together(clips, self._mask_type) if self.batched else {INPUT: clips[0][None]}
        found: list[Any] = self._session.run(names, feeds, options)
        return found

    def _captured_calls(self) -> CapturedCalls:
        from wav2edge.inference.sessions.cuda import CapturedCalls  # here: most machines have no use for it

        return CapturedCalls(
            self._session,
            widths=self.heads.widths,
            framed=self.heads.framed,
            geometry=self.geometry,
            mask_type=self._mask_type,
        )

    def _failure(self, error: Exception, clips: Sequence[FloatSamples]) -> DeviceError:
        reason = " ".join(str(error).split())
        longest_s = max(map(len, clips)) / self.geometry.rate_hz
        many = f"{len(clips)} clips of up to " if len(clips) > 1 else ""
        return DeviceError(
            f"{self.device} failed on {many}{longest_s:.1f} s of audio: {reason}; try shorter clips,"
            f"{' a smaller batch,' if many else ''} or another --device"
        )

    def _own_frames(self, outputs: dict[str, FloatSamples], samples: int) -> dict[str, FloatSamples]:
        """Leave out the frames that a clip has only because its neighbours in the batch are longer."""
        own = self.geometry.frames(samples)
        return {name: rows[:own] if name in self.heads.framed else rows for name, rows in outputs.items()}

    def check_batch(self, batch_size: int) -> None:
        """Raise a UsageError where so many clips cannot go together."""
        if batch_size < 1:
            raise UsageError(f"{batch_size} clips in a batch; at least 1 is needed")
        if batch_size > 1 and not self.batched:
            raise UsageError(
                f"{self.path} takes one clip at a time, not {batch_size}; export with --batched,"
                " or leave the batch size out"
            )

    def _check_inputs(self) -> None:
        """The graph must ask for the samples, for a mask if it is batched, and for nothing else."""
        names = [each.name for each in self._session.get_inputs()]
        wanted = [INPUT, MASK] if self.batched else [INPUT]
        if sorted(names) != sorted(wanted):
            raise BundleError(
                f"{self.path}: its inputs are {', '.join(names)} where {' and '.join(map(repr, wanted))}"
                f" {'are' if self.batched else 'is'} wanted; export the bundle again"
            )

    def _check_outputs(self) -> None:
        """The graph must give what the heads say, as wide as they say."""
        widths = {output.name: (output.shape or [None])[-1] for output in self._session.get_outputs()}
        for name, width in self.heads.widths.items():
            if name not in widths:
                raise BundleError(
                    f"{self.path}: gives {', '.join(widths)} where the manifest says {name!r}; export the bundle again"
                )
            if isinstance(widths[name], int) and widths[name] != width:
                raise BundleError(
                    f"{self.path}: its output {name!r} is {widths[name]} wide where the manifest says {width};"
                    " export the bundle again"
                )
