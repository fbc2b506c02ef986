"""What is installed, what this machine has, and what of both is in the way."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from wav2edge.errors import DeviceError, MissingDependencyError
from wav2edge.evaluation.benchmark.environment import environment
from wav2edge.evaluation.diagnosis.findings import Finding
from wav2edge.inference.sessions.cpu import X86_MACHINES, cpu_quota, int8_features, native_target, read_or_empty
from wav2edge.inference.sessions.cuda import load_libraries
from wav2edge.inference.sessions.device import INSTALL_GPU, PROVIDERS, import_onnxruntime, physical_cores

BUILDS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-silicon",
)
"""Distributions of ONNX Runtime that share one import name."""
LEAST_MEMORY_BYTES = 512 * 2**20
"""Less is not enough for the base model in fp32, 380 MB, and ten seconds of audio."""
NO_LIMIT_BYTES = 1 << 60
"""Control groups of version 1 write a number about as large where there is no limit."""
REQUIREMENT = re.compile(r"^(?P<name>[\w.-]+)(?!.*\bpython_version\b).*extra == ['\"](?P<extra>[\w-]+)['\"]")
OWN_NAME = "wav2edge"
EXTRAS_MISSING = "extras_missing"
"""The fact that has for each extra the packages it lacks."""


def machine(root: Path = Path("/")) -> dict[str, int | float | None]:
    """Memory in bytes and processors, and what the container allows of them; None where the system does not say.

    Args:
        root: of the file system, in which Linux describes itself.
    """
    return {
        "memory_bytes": _kilobytes(root, "MemTotal"),
        "available_bytes": _kilobytes(root, "MemAvailable"),
        "memory_limit_bytes": _limit(root),
        "cpu_quota": cpu_quota(root),
    }


def diagnose_installation(root: Path = Path("/")) -> tuple[dict[str, Any], list[Finding]]:
    """Facts of the installation and of this machine, and what is wrong with them."""
    here = machine(root)
    findings = [*_builds(), *_processor(), *_threads(here), *_memory(here)]
    runtime = None
    try:
        runtime = import_onnxruntime()
    except MissingDependencyError as error:
        if not any(each.severity == "unusable" for each in findings):
            findings.append(_finding("no-onnxruntime", "unusable", "onnxruntime", *_halves(error)))
    if runtime is not None and PROVIDERS["cuda"] in runtime.get_available_providers():
        findings += _cuda_libraries(runtime)
    providers = list(runtime.get_available_providers()) if runtime is not None else []
    missing = missing_packages()
    extras = {
        "extras_installed": [extra for extra, packages in missing.items() if not packages],
        EXTRAS_MISSING: {extra: packages for extra, packages in missing.items() if packages},
    }
    return {**environment(), **here, "providers": providers, **extras}, findings


def missing_packages() -> dict[str, list[str]]:
    """By extra the packages of it that are not installed; none where it is complete."""
    try:
        requirements = metadata.requires(OWN_NAME) or []
    except metadata.PackageNotFoundError:  # run from a folder, not installed
        return {}
    found: dict[str, list[str]] = {}
    for match in filter(None, map(REQUIREMENT.match, requirements)):
        if match["name"] != OWN_NAME and match["extra"] != "all":
            missing = found.setdefault(match["extra"], [])
            missing += [] if _installed(match["name"]) else [match["name"]]
    return found


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _finding(name: str, severity: Any, where: str, meaning: str, remedy: str) -> Finding:
    return Finding(name=name, severity=severity, where=where, meaning=meaning, remedy=remedy)


def _halves(error: Exception) -> tuple[str, str]:
    """What an error says is wrong, and what to do about it."""
    meaning, _, remedy = str(error).rpartition("; ")
    return meaning or str(error), remedy


def _builds(installed: Callable[[str], bool] = _installed) -> list[Finding]:
    found = [name for name in BUILDS if installed(name)]
    if len(found) < 2:
        return []
    meaning = f"{' and '.join(found)} are installed together and overwrite each other's files"
    remedy = f"pip uninstall -y {' '.join(found)}, then install one: pip install 'wav2edge[cpu]' or 'wav2edge[gpu]'"
    return [_finding("two-onnxruntimes", "unusable", ", ".join(found), meaning, remedy)]


def _cuda_libraries(runtime: Any) -> list[Finding]:
    try:
        load_libraries(runtime, install=INSTALL_GPU)
    except DeviceError as error:
        return [_finding("missing-cuda-libraries", "fault", "cuda", *_halves(error))]
    return []


def _processor() -> list[Finding]:
    features = int8_features()
    if platform.machine().lower() not in X86_MACHINES or not features:
        return []
    if "avx2" not in features and "avx512f" not in features:
        meaning = "it has neither AVX2 nor AVX-512: ONNX Runtime's int8 MatMuls run on its slowest kernels"
        return [_finding("no-avx2", "note", "processor", meaning, "compare int8 with fp32 here: wav2edge bench")]
    if native_target()[0] == "vnni":
        return []
    meaning = "it has no VNNI: int8 graphs made for processors with it saturate here, and their logits drift"
    return [_finding("no-vnni", "note", "processor", meaning, "export with --target avx2 or --target exact")]


def _threads(here: dict[str, Any]) -> list[Finding]:
    quota, threads = here["cpu_quota"], physical_cores()
    if quota is None or quota >= threads:
        return []
    fitting = max(1, int(quota))
    meaning = f"the container may use {quota:g} processors and {threads} threads are started: they are halted in turns"
    return [_finding("threads-over-quota", "fault", "container", meaning, f"--threads {fitting}, or a larger quota")]


def _memory(here: dict[str, Any]) -> list[Finding]:
    known = [here[name] for name in ("available_bytes", "memory_limit_bytes") if here[name] is not None]
    if not known or min(known) >= LEAST_MEMORY_BYTES:
        return []
    meaning = f"{min(known) / 1e6:.0f} MB of memory: the base model in fp32 needs more"
    return [_finding("little-memory", "fault", "memory", meaning, "int8, one worker, shorter clips; or more memory")]


def _kilobytes(root: Path, key: str) -> int | None:
    lines = read_or_empty(root / "proc/meminfo").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), None)


def _limit(root: Path) -> int | None:
    """Of control groups of version 2 or 1, https://docs.kernel.org/admin-guide/cgroup-v2.html."""
    names = ("memory.max", "memory/memory.limit_in_bytes")
    found = [text for name in names if (text := read_or_empty(root / "sys/fs/cgroup" / name)).isdecimal()]
    limits = [int(text) for text in found if int(text) < NO_LIMIT_BYTES]
    return min(limits, default=None)
