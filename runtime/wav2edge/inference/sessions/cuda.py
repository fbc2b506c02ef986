"""CUDA: its libraries, the options of its provider, and calls that are replayed as CUDA graphs.

A call of XLSR-53's shape launches 350 kernels. Launching them one by one takes longer than running them on one second
of audio, so they are captured once as a CUDA graph, which is one launch ("CUDA C++ Programming Guide", NVIDIA, section
on CUDA graphs). A graph holds for one shape: clips are padded up to a few lengths, which the mask makes exact.
"""

from __future__ import annotations

import contextlib
import io
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.errors import DeviceError
from wav2edge.inference.many_clips import INPUT, MASK, pad_together, write_padded

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, IOBinding, RunOptions

BUCKETS = ((4.0, 0.25), (8.0, 0.5), (16.0, 1.0), (32.0, 2.0))
"""Up to so many seconds, lengths are rounded up to a multiple of so many: 40 lengths, padded by a tenth on average."""
GRAPH_ID = "gpu_graph_id"
UNCAPTURED = (GRAPH_ID, "-1")
"""Option of a call that is not captured in a session whose other calls are."""
MOST_GRAPHS = 64
"""Shapes that are captured; ONNX Runtime cannot forget one. Shapes met later are launched kernel by kernel."""

Array: TypeAlias = npt.NDArray[Any]


def load_libraries(runtime: Any, *, install: str) -> None:
    """Load CUDA's and cuDNN's libraries from their pip packages or the system, as ONNX Runtime's GPU build needs them.

    Args:
        runtime: the module ``onnxruntime``.
        install: the line that installs what is missing.

    Raises:
        DeviceError: one is missing.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):  # it prints what it cannot load
        runtime.preload_dlls()
    missing = [line.split(":")[0].split()[-1] for line in printed.getvalue().splitlines() if "Failed to load" in line]
    if missing:
        raise DeviceError(
            f"cuda needs {', '.join(missing)}, not found; ONNX Runtime {runtime.__version__} is built for CUDA"
            f" {runtime.cuda_version}; run: {install}"
        )


def provider_options(*, memory_gb: float | None, captured: bool) -> dict[str, str]:
    """Options of the CUDA provider.

    Args:
        memory_gb: most memory for activations and weights, in 10^9 bytes; all of the GPU's where None.
        captured: calls of this session are replayed as CUDA graphs. ONNX Runtime refuses that, and says so, where a
            part of the graph would run on the CPU.
    """
    options = {
        "cudnn_conv_algo_search": "HEURISTIC",  # an exhaustive search costs a tenth of a second at each new length
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0",  # fp32 is fp32
        "enable_cuda_graph": str(int(captured)),
    }
    return options if memory_gb is None else options | {"gpu_mem_limit": str(round(memory_gb * 1e9))}


def bucket(samples: int) -> int | None:
    """The length that a clip is padded to, in samples; None for one that is longer than all of them."""
    for longest_s, step_s in BUCKETS:
        step = round(step_s * SAMPLE_RATE_HZ)
        if samples <= longest_s * SAMPLE_RATE_HZ:
            return max(1, -(-samples // step)) * step
    return None


class CapturedCalls:
    """Runs a session on padded batches, each shape as a CUDA graph from its third call on.

    One call is on the GPU at a time, since the graphs share memory.

    Args:
        session: open on CUDA with ``enable_cuda_graph``; it takes samples and a mask.
        widths: columns of each output.
        framed: the outputs that have a row per frame.
        geometry: how samples become frames.
        mask_type: of the mask.
        device: where the buffers are; the CPU in tests.
    """

    def __init__(
        self,
        session: InferenceSession,
        *,
        widths: Mapping[str, int],
        framed: Sequence[str],
        geometry: ConvGeometry,
        mask_type: type[np.generic] = np.bool_,
        device: str = "cuda",
    ) -> None:
        self._session, self._widths, self._framed, self._geometry = session, widths, framed, geometry
        self._mask_type, self._device = mask_type, device
        self._shapes: dict[tuple[int, int], _Shape] = {}
        self._lock = threading.Lock()

    def run(self, names: Sequence[str], clips: Sequence[npt.NDArray[np.float32]], options: RunOptions) -> list[Array]:
        """The outputs of the session, whose frames go on behind the clips.

        Args:
            names: the outputs that are wanted.
            clips: ``[samples] float32`` each.
            options: of a call whose shape is not captured.
        """
        length = bucket(max(map(len, clips)))
        with self._lock:
            shape = None if length is None else self._shape(len(clips), length)
            if shape is not None:
                return shape.run(names, clips)
            found: list[Array] = self._session.run(names, pad_together(clips, self._mask_type), options)
            return found

    def _shape(self, rows: int, length: int) -> _Shape | None:
        known = self._shapes.get((rows, length))
        if known is None and len(self._shapes) < MOST_GRAPHS:
            host = {INPUT: np.zeros((rows, length), np.float32), MASK: np.zeros((rows, length), self._mask_type)}
            sizes, graph_id = self._sizes(rows, length), len(self._shapes) + 1
            known = _Shape(self._session, host, sizes, graph_id=graph_id, device=self._device)
            self._shapes[rows, length] = known
        return known

    def _sizes(self, rows: int, length: int) -> dict[str, tuple[int, ...]]:
        frames = self._geometry.frames(length)
        return {
            name: (rows, frames, width) if name in self._framed else (rows, width)
            for name, width in self._widths.items()
        }


class _Shape:
    """Buffers of one shape, at addresses that its CUDA graph has in it."""

    def __init__(
        self,
        session: InferenceSession,
        host: dict[str, Array],
        outputs: Mapping[str, tuple[int, ...]],
        *,
        graph_id: int,
        device: str,
    ) -> None:
        from onnxruntime import OrtValue, RunOptions

        self._session, self._host, self._device = session, host, device
        self._lengths: list[int] = []
        if device == "cuda":
            for each in host.values():
                _pin(each)
        self._inputs = {name: OrtValue.ortvalue_from_numpy(host, device, 0) for name, host in self._host.items()}
        self._outputs = {
            name: OrtValue.ortvalue_from_shape_and_type(size, np.float32, device, 0) for name, size in outputs.items()
        }
        self._binding: IOBinding = session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)
        self._options = RunOptions()
        self._options.add_run_config_entry(GRAPH_ID, str(graph_id))

    def run(self, names: Sequence[str], clips: Sequence[npt.NDArray[np.float32]]) -> list[Array]:
        lengths = [len(clip) for clip in clips]
        changed = [INPUT] if lengths == self._lengths else [INPUT, MASK]
        self._lengths = lengths
        write_padded(clips, {name: self._host[name] for name in changed})
        for name in changed:
            self._inputs[name].update_inplace(self._host[name])
        self._session.run_with_iobinding(self._binding, self._options)
        found = [self._outputs[name].numpy() for name in names]
        return found if self._device == "cuda" else [each.copy() for each in found]  # on the CPU they are the buffers


def _pin(array: Array) -> None:
    """Lock an array's memory, from which the GPU then copies at twice the speed; where CUDA cannot, it stays as it is.

    The array is unlocked when it is given back. ``cudaHostRegister`` of the CUDA Runtime API, section 5.9.
    """
    import ctypes

    try:
        library = ctypes.CDLL("libcudart.so.13")
    except OSError:
        return
    address = ctypes.c_void_p(array.ctypes.data)
    if library.cudaHostRegister(address, ctypes.c_size_t(array.nbytes), ctypes.c_uint(0)) == 0:
        weakref.finalize(array, library.cudaHostUnregister, address)
