"""The environment of a measurement: processor, system and versions."""

from __future__ import annotations

import os
import platform

from wav2edge import __version__
from wav2edge.bundle.manifest import installed_versions
from wav2edge.inference.sessions.cpu import int8_features, processor_name
from wav2edge.inference.sessions.device import physical_cores

PACKAGES = ("onnxruntime", "onnxruntime-gpu", "numpy", "soundfile", "soxr")


def environment() -> dict[str, object]:
    """Processor, system and versions, as JSON-ready values."""
    return {
        "processor": processor_name(),
        "int8_features": int8_features(),
        "physical_cores": physical_cores(),
        "logical_cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "wav2edge": __version__,
        **installed_versions(PACKAGES),
    }
