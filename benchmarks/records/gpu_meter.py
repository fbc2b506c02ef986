"""The share of the time in which a GPU was busy, as its driver counts it: some kernel was running."""

from __future__ import annotations

import shutil
import subprocess
from statistics import mean

import torch

COMMAND = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200", "--id=0")


def device_name() -> str:
    """The GPU that PyTorch would train on, or the CPU."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


class GpuMeter:
    """Asks NVIDIA's driver five times a second, between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self._asking: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin to ask, where there is a driver."""
        if shutil.which(COMMAND[0]):
            self._asking = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def stop(self) -> float | None:
        """The mean share since the start; None where nobody answered."""
        if self._asking is None:
            return None
        self._asking.terminate()
        answers, _ = self._asking.communicate()
        return busy_share(answers)


def busy_share(answers: str) -> float | None:
    """The mean of a line of percent each; lines that are no number, cut short by the end, are passed over."""
    shares = [int(line) / 100 for line in answers.splitlines() if line.strip().isdecimal()]
    return mean(shares) if shares else None
