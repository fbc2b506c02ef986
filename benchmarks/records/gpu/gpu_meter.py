"""The share of time in which a GPU was busy, that is some kernel was running, as its driver counts it."""

from __future__ import annotations

import shutil
import subprocess
from statistics import mean

import torch

COMMAND = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200", "--id=0")


def device_name() -> str:
    """Name of the GPU that PyTorch would train on, else ``cpu``."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


class GpuMeter:
    """Polls NVIDIA's driver five times a second between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self._polling: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start polling, where there is a driver."""
        if shutil.which(COMMAND[0]):
            self._polling = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def stop(self) -> float | None:
        """The mean share since the start; None without a driver."""
        if self._polling is None:
            return None
        self._polling.terminate()
        output, _ = self._polling.communicate()
        return busy_share(output)


def busy_share(output: str) -> float | None:
    """The mean of one percentage per line; lines that are not numbers are skipped."""
    shares = [int(line) / 100 for line in output.splitlines() if line.strip().isdecimal()]
    return mean(shares) if shares else None
