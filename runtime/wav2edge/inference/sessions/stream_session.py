"""A graph that recognises streams chunk by chunk, and the memory of each stream, which is bound to it once.

What a graph keeps from chunk to chunk it writes where it read it: input and output are the same memory, so that nothing
is copied but what is new, and a call allocates nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.cached_streams import CachedStreams
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.errors import BundleError, DeviceError
from wav2edge.inference.many_clips import INPUT
from wav2edge.inference.sessions.device import Placement, open_session, refuse_fork, run_options

SAMPLES = "samples"
"""The input that says how many samples of the block are sound, ``[1] int64``, and the name of the dynamic axis."""
NEXT = "next."
"""What the name of a state begins with as an output."""


class StreamSession:
    """Runs the chunks of many streams. Threads may share it; a forked child may not.

    Args:
        path: an ONNX file as ``wav2edge export --stream`` writes it.
        streams: what the manifest says of it.
        chunk_frames: new frames in a chunk.
        heads: what the outputs mean.
        geometry: how samples become frames.
        placement: see ``wav2edge.inference.sessions.device.open_session``.

    Raises:
        BundleError: the graph cannot be loaded, or has other inputs or outputs.
        DeviceError: it is to run on another device than the CPU.
    """

    def __init__(
        self,
        path: Path,
        streams: CachedStreams,
        *,
        chunk_frames: int,
        heads: Heads,
        geometry: ConvGeometry,
        **placement: Unpack[Placement],
    ) -> None:
        if placement.get("device", "cpu") not in ("cpu", "auto"):
            raise DeviceError(f"cached streams run on the CPU, not on {placement['device']}; use --device cpu")
        placement["device"] = "cpu"
        self.path, self.streams, self.chunk_frames, self.heads = path, streams, chunk_frames, heads
        self.geometry = geometry
        self.block_samples = streams.block_samples(chunk_frames, geometry)
        self._session, _ = open_session(path, dimensions={SAMPLES: self.block_samples}, one_file=True, **placement)
        self._options = run_options("cpu")
        self._pid = os.getpid()
        self._check()

    def __str__(self) -> str:
        return f"{self.path}"

    def begin(self) -> StreamMemory:
        """The memory of a stream that begins."""
        return StreamMemory(self._session, self)

    def run(self, memory: StreamMemory, samples: int) -> None:
        """Recognise the block that is in ``memory.block``; its outputs are in ``memory.outputs`` then.

        Args:
            memory: of the stream.
            samples: of the block are sound; the others are zeros behind its end.

        Raises:
            DeviceError: ONNX Runtime failed, or this is the child of a fork.
        """
        refuse_fork(self._pid)
        memory.samples[0] = samples
        try:
            self._session.run_with_iobinding(memory.binding, self._options)
        except Exception as error:  # its bindings raise a dozen unrelated types
            raise DeviceError(f"cpu failed on a chunk of a stream: {' '.join(str(error).split())}") from None

    def _check(self) -> None:
        states = self.streams.states
        inputs = {each.name for each in self._session.get_inputs()}
        outputs = {each.name for each in self._session.get_outputs()}
        wanted_inputs = {INPUT, SAMPLES, *states}
        wanted_outputs = {*self.heads.outputs, *(f"{NEXT}{name}" for name in states)}
        if inputs != wanted_inputs or not wanted_outputs <= outputs:
            odd = sorted((inputs ^ wanted_inputs) | (wanted_outputs - outputs))
            raise BundleError(
                f"{self.path}: is not the graph of a stream that the manifest describes ({', '.join(odd[:4])});"
                " export the bundle again"
            )


class StreamMemory:
    """What one stream keeps between two chunks, bound to its session.

    Attributes:
        block: ``[samples] float32``, where the sound of the next chunk is written.
        states: what the graph keeps from chunk to chunk, by the name of its input.
        outputs: each head's output for the last chunk, ``[frames, vocabulary]``, those that it looked ahead to
            included, and ``[classes]``; the next one overwrites them.
    """

    def __init__(self, session: Any, stream: StreamSession) -> None:
        streams, heads = stream.streams, stream.heads
        self.binding = session.io_binding()
        self.samples = np.zeros(1, np.int64)
        block = np.zeros((1, stream.block_samples), np.float32)
        self.block = block[0]
        self.states = {name: np.zeros(state.shape, state.type) for name, state in streams.states.items()}
        self._bind_input(INPUT, block)
        self._bind_input(SAMPLES, self.samples)
        for name, state in self.states.items():
            self._bind_input(name, state)
            self._bind_output(f"{NEXT}{name}", state)
        self.outputs: dict[str, npt.NDArray[np.float32]] = {}
        shapes: dict[str, tuple[int, ...]] = {name: (1, width) for name, width in heads.widths.items()}
        if heads.ctc is not None:
            frames = stream.chunk_frames + streams.look_ahead_frames
            shapes[heads.ctc.output] = (1, frames, len(heads.ctc.vocabulary))
        for name, shape in shapes.items():
            values = np.zeros(shape, np.float32)
            self.outputs[name] = values[0]
            self._bind_output(name, values)

    def clear(self) -> None:
        """Begin anew."""
        for state in self.states.values():
            state.fill(0)

    @property
    def size_bytes(self) -> int:
        """What the states take."""
        return sum(state.nbytes for state in self.states.values())

    def _bind_input(self, name: str, values: npt.NDArray[Any]) -> None:
        self.binding.bind_input(name, "cpu", 0, values.dtype.type, values.shape, values.ctypes.data)

    def _bind_output(self, name: str, values: npt.NDArray[Any]) -> None:
        self.binding.bind_output(name, "cpu", 0, values.dtype.type, values.shape, values.ctypes.data)
