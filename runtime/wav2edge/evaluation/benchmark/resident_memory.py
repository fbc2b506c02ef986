"""Memory of this process, as the system reports it."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
"""https://man7.org/linux/man-pages/man5/proc_pid_status.5.html"""


def resident_sizes() -> dict[str, int]:
    """Sizes in bytes by Linux's names, such as ``VmRSS`` and ``RssAnon``; empty on other systems."""
    try:
        fields = (line.split(":") for line in STATUS.read_text().splitlines())
    except OSError:
        return {}
    return {name: int(value.split()[0]) * 1024 for name, value in fields if value.endswith(" kB")}


def peak_memory_bytes() -> int:
    """Largest resident size this process has had.

    Linux inherits the peak of the parent process in ``getrusage``, so ``/proc`` is asked first.
    """
    if (peak := resident_sizes().get("VmHWM")) is not None:
        return peak
    import resource  # not on Windows, where only this measurement is missing

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
