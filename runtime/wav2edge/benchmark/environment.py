"""Where a measurement was made: without it a figure means nothing."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from wav2edge.device import physical_cores
from wav2edge.version import __version__

PACKAGES = ("onnxruntime", "onnxruntime-gpu", "numpy", "soundfile", "soxr")
INT8_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Processor features that decide how fast 8-bit products are, as Linux names them."""


def environment() -> dict[str, object]:
    """Processor, system and versions, as JSON-ready values."""
    return {
        "processor": _processor(),
        "int8_features": _int8_features(),
        "physical_cores": physical_cores(),
        "logical_cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "wav2edge": __version__,
        **{name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpuinfo(*keys: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() in keys), "")


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _int8_features() -> list[str]:
    flags = _cpuinfo("flags", "Features").split()
    return [flag for flag in INT8_FLAGS if flag in flags]
