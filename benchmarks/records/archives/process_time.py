"""Runs a command, and adds up the processor time of every process that it has started; Linux only."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

LOOK_S = 0.1
MARK = "WAV2EDGE_RECORD"
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a command took, all its processes together, from its first line to its last one.

    Attributes:
        first_s: from its start to the first line.
        clips: in the lines after the first.
        work_s: in which these were answered.
        cpu_s: processor time meanwhile.
        printed: all lines.
    """

    first_s: float
    clips: int
    work_s: float
    cpu_s: float
    printed: str


class Processes:
    """All processes with a mark in their environment, and those below them; with the processor time last seen of each.

    Ray's workers overwrite their environment by their title, and its daemons have no parent.
    """

    def __init__(self) -> None:
        self.mark = uuid4().hex
        self._cpu_s: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Processes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def cpu_s(self) -> float:
        """Processor time of all of them so far."""
        return sum(self._cpu_s.values())

    def named(self, word: str) -> list[int]:
        """Those that live and have a word in their command."""
        return [pid for pid in self._ours() if word.encode() in _read(pid, "cmdline")]

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            self._cpu_s |= self._ours()

    def _ours(self) -> dict[int, float]:
        """Processor time of the processes that live."""
        wanted = f"{MARK}={self.mark}".encode()
        parents, cpu_s, ours = {}, {}, set()
        for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal()):
            if fields := _read(pid, "stat").rpartition(b")")[2].split():
                parents[pid], cpu_s[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS
                if wanted in _read(pid, "environ"):
                    ours.add(pid)
        for pid in parents:
            line = [pid]
            while line[-1] not in ours and line[-1] in parents:
                line.append(parents[line[-1]])
            if line[-1] in ours:
                ours.update(line)
        return {pid: cpu_s[pid] for pid in ours}


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def environment_of(mark: str) -> Mapping[str, str]:
    """The environment of a command whose processes are to be found."""
    return {**os.environ, MARK: mark, "OMP_NUM_THREADS": "1"}


def timed(words: Sequence[str]) -> Spent:
    """Run a command to its end; some of its inputs may fail.

    Its lines are results, a clip each, or shards, with the number of their clips in the second column.
    """
    printed, clips, moments, cpu_s = [], [], [], []
    with Processes() as processes:
        started_s = time.perf_counter()
        with subprocess.Popen(
            words, env=environment_of(processes.mark), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            for line in process.stdout or ():
                moments.append(time.perf_counter() - started_s)
                cpu_s.append(processes.cpu_s)
                printed.append(line)
                clips.append(1 if line.startswith("{") else int(line.split("\t")[1]))
    if process.returncode not in (0, 1):
        raise subprocess.CalledProcessError(process.returncode, words)
    return Spent(
        first_s=moments[0],
        clips=sum(clips[1:]),
        work_s=moments[-1] - moments[0],
        cpu_s=cpu_s[-1] - cpu_s[0],
        printed="".join(printed),
    )
