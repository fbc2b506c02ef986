"""Devices: execution providers by name, the number of threads, and a session on the requested device."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from wav2edge.errors import BundleError, DeviceError, MissingDependencyError, UsageError
from wav2edge.inference.sessions.cpu import read_or_empty
from wav2edge.inference.sessions.graph_file import map_graph

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

MOST_THREADS, MOST_MEMORY_GB = 4096, 1e9
"""Beyond these ONNX Runtime's own types end."""
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
    "qnn": "QNNExecutionProvider",
}
"""Device name -> ONNX Runtime execution provider."""

AUTO_ORDER = ("cuda", "coreml", "directml", "cpu")
"""Devices that ``auto`` tries in this order; it takes the first that works."""

DEVICES = (*PROVIDERS, "auto")

ORT_SUFFIX = ".ort"
"""Of files in ONNX Runtime's own format, which it knows by this name; its weights cannot be mapped."""

INSTALL_GPU = "pip uninstall -y onnxruntime && pip install 'wav2edge[gpu]'"
INSTALL_HINTS = {
    "cuda": INSTALL_GPU,
    "tensorrt": f"{INSTALL_GPU} tensorrt",
    "openvino": "pip uninstall -y onnxruntime && pip install onnxruntime-openvino",
    "directml": "pip uninstall -y onnxruntime && pip install onnxruntime-directml",
}


class Placement(TypedDict, total=False):
    """Where and how a graph runs: the options of ``wav2edge.load`` of these names."""

    device: str
    threads: int | None
    spinning: bool | None
    arena: bool | None
    memory_gb: float | None


def import_onnxruntime() -> Any:
    """The module ``onnxruntime``.

    Raises:
        MissingDependencyError: it is not installed, or both its CPU and its GPU build are.
    """
    builds = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    if len(builds) > 1:
        raise MissingDependencyError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other;"
            " run: pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'wav2edge[gpu]'"
        )
    try:
        import onnxruntime
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Ctrl-C meanwhile: the import of its C++ part says it so
            raise error.__cause__ from None
        if error.name != "onnxruntime":
            reason = " ".join(str(error).split())
            raise MissingDependencyError(
                f"ONNX Runtime is installed but cannot be imported ({reason});"
                " run: pip install --force-reinstall onnxruntime"
            ) from None
        raise MissingDependencyError(
            "ONNX Runtime is not installed; run: pip install 'wav2edge[cpu]' (or 'wav2edge[gpu]' for CUDA)"
        ) from None
    return onnxruntime


def _installed(distribution: str) -> bool:
    from importlib import metadata  # here, so that importing wav2edge stays quick

    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def physical_cores() -> int:
    """Cores this process may run on, hyper-threads counted once and a container's CPU quota respected."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        return max(1, (os.cpu_count() or 2) // 2)
    siblings = Path("/sys/devices/system/cpu")
    cores = {read_or_empty(siblings / f"cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in allowed}
    quota, _, period_us = read_or_empty(Path("/sys/fs/cgroup/cpu.max")).partition(" ")
    limit = max(1, int(quota) // int(period_us)) if quota.isdecimal() and period_us.isdecimal() else len(cores)
    return min(len(cores), limit)


def open_session(
    graph: Path,
    *,
    device: str = "cpu",
    threads: int | None = None,
    spinning: bool | None = None,
    arena: bool | None = None,
    profile: Path | None = None,
    captured: bool = False,
    memory_gb: float | None = None,
    dimensions: Mapping[str, int] | None = None,
    one_file: bool = False,
) -> tuple[InferenceSession, str]:
    """A session on the requested device, and that device's name.

    Args:
        graph: an ONNX file.
        device: one of ``DEVICES``. Only ``auto`` may end up on another one.
        threads: threads per call; the physical cores where None.
        spinning: let idle threads spin between calls: faster by microseconds, at the price of a busy core.
            Where None they do not.
        arena: keep the memory of a call for the next one, as where None: faster for most graphs.
        profile: prefix of the file that the time of every node is written to.
        captured: on CUDA, calls are replayed as CUDA graphs; see ``wav2edge.inference.sessions.cuda``.
        memory_gb: on CUDA, most memory to take, in 10^9 bytes.
        dimensions: lengths of dynamic axes that are known now, by their names: what depends on them is computed once.
        one_file: refuse a graph with weights in other files, as in a bundle, where no digest would cover them.

    Raises:
        DeviceError: the device is not available here.
        BundleError: the graph cannot be loaded.
    """
    if device not in DEVICES:
        raise UsageError(f"unknown device {device!r}; choose from {', '.join(DEVICES)}")
    if threads is not None:
        check_threads(threads)
    if memory_gb is not None and not 0 < memory_gb < MOST_MEMORY_GB:
        raise UsageError(f"{memory_gb} GB of memory; more than 0 is needed, and less than {MOST_MEMORY_GB:.0g}")
    runtime = import_onnxruntime()
    options = _session_options(runtime, threads or physical_cores(), bool(spinning))
    options.enable_cpu_mem_arena = arena is not False
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    for name, length in (dimensions or {}).items():
        options.add_free_dimension_override_by_name(name, length)
    on_gpu = {"memory_gb": memory_gb, "captured": captured}
    if device != "auto":
        return _open_on(runtime, graph, device, options, on_gpu, one_file), device
    for candidate in AUTO_ORDER:
        try:
            return _open_on(runtime, graph, candidate, options, on_gpu, one_file), candidate
        except DeviceError:
            continue
    raise DeviceError("no device works here; reinstall ONNX Runtime: pip install --force-reinstall onnxruntime")


def check_threads(threads: int) -> None:
    """Raise a UsageError for a number of threads that nothing can run on."""
    if not isinstance(threads, Integral):
        raise UsageError(f"{threads!r} threads; give a whole number")
    if threads < 1:
        raise UsageError(f"{threads} threads; at least 1 is needed")
    if threads > MOST_THREADS:
        raise UsageError(f"{threads} threads; at most {MOST_THREADS} can be had")


def refuse_fork(loaded_in: int) -> None:
    """A session does not survive a fork: its threads stay behind in the process ``loaded_in``.

    Raises:
        DeviceError: this is another process.
    """
    if os.getpid() != loaded_in:
        raise DeviceError("this engine was loaded before a fork; load it again in the child process")


def _session_options(runtime: Any, threads: int, spinning: bool) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    # Patterns are kept for each new input shape; clips of ever new lengths would make them grow without end.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    options.log_severity_level = 4  # an error is raised as well, and our message says what to do about it
    return options


def run_options(device: str, *, shrink_arena: bool = False) -> RunOptions:
    """Options of a call, through which another thread can end it.

    Args:
        device: where the graph runs.
        shrink_arena: after the call give memory that is not in use back to the system, on a device that can. ONNX
            Runtime otherwise keeps what its longest clip needed: at XLSR-53's shape 400 MB after one of 27 s.
    """
    options = import_onnxruntime().RunOptions()
    if shrink_arena and device == "cpu":
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    if device == "cuda":
        from wav2edge.inference.sessions.cuda import UNCAPTURED

        options.add_run_config_entry(*UNCAPTURED)
    return options


def _mapped(graph: Path, options: Any, one_file: bool) -> bytes:
    """The graph without its weights; ONNX Runtime maps those from the file that the options then name."""
    mapped = map_graph(graph)
    if one_file and not mapped.is_one_file:
        raise BundleError(f"{graph}: keeps weights in other files, which no digest covers; export the bundle again")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(mapped.folder))
    return mapped.model


def _open_on(
    runtime: Any, graph: Path, device: str, options: Any, on_gpu: dict[str, Any], one_file: bool
) -> InferenceSession:
    provider = PROVIDERS[device]
    if provider not in runtime.get_available_providers():
        hint = INSTALL_HINTS.get(device)
        raise DeviceError(
            f"{device} is not in the installed ONNX Runtime {runtime.__version__};"
            f" {f'run: {hint}' if hint else 'install a build that has it'}, or use --device cpu"
        )
    providers: list[Any] = list(dict.fromkeys([provider, PROVIDERS["cpu"]]))
    if device in ("cuda", "tensorrt"):
        from wav2edge.inference.sessions.cuda import (
            load_libraries,
            provider_options,
        )  # here: most machines have no use for it

        load_libraries(runtime, install=INSTALL_GPU)
        runtime.set_default_logger_severity(4)  # what goes wrong is raised as well
        # What TensorRT does not take runs on CUDA.
        tensorrt = [provider] if device == "tensorrt" else []
        providers = [*tensorrt, (PROVIDERS["cuda"], provider_options(**on_gpu)), PROVIDERS["cpu"]]
    try:
        mappable = device == "cpu" and graph.suffix != ORT_SUFFIX
        model = _mapped(graph, options, one_file) if mappable else str(graph)
        # ONNX Runtime's own fallback moves to another device and prints it on standard output: it is switched off.
        session = runtime.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except BundleError:
        raise
    except Exception as error:  # its bindings raise a dozen unrelated types
        reason = " ".join(str(error).split())
        if device == "cpu":
            raise BundleError(f"{graph}: ONNX Runtime {runtime.__version__} cannot load it: {reason}") from None
        raise DeviceError(f"{device} cannot be used here: {reason}") from None
    if session.get_providers()[0] != provider:
        raise DeviceError(
            f"{device} was requested and ONNX Runtime took {session.get_providers()[0]};"
            " check the driver and its libraries, or use --device cpu"
        )
    return session
