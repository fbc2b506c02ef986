"""A crew of processes of this machine, each a fresh interpreter: an engine does not survive a fork."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from typing import Self

from wav2edge.errors import Wav2EdgeError
from wav2edge.inference.feeding.archives.crews.dispatch import Died, Event, Ready
from wav2edge.inference.feeding.archives.shard_worker import EngineRecipe, ShardWorker
from wav2edge.inference.feeding.archives.shards import Shard

FAREWELL_S = 5.0
"""So long a worker that has nothing to do any more may take to leave."""
LOOK_S = 1.0
"""An interrupt that comes just before a wait for workers is heeded only after it, so no wait is longer."""


@dataclass(frozen=True, eq=False)
class LocalWorker:
    """A process, and this end of the pipe to it."""

    process: SpawnProcess
    pipe: Connection


class LocalProcesses:
    """Processes of this machine.

    Args:
        recipe: of their engines.
        output: folder of the results.
        size: so many processes.
    """

    def __init__(self, recipe: EngineRecipe, output: str, size: int) -> None:
        self.size = size
        self._recipe, self._output = recipe, output
        self._workers: list[LocalWorker] = []
        self._leaving: list[SpawnProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        """End all processes; those that work when something failed are killed."""
        for worker in list(self._workers):
            self.dismiss(worker)
            if failure != (None, None, None):
                worker.process.kill()
        for process in self._leaving:
            process.join(FAREWELL_S)
            process.kill()
            process.join()

    def hire(self) -> LocalWorker:
        """Start a process."""
        context = multiprocessing.get_context("spawn")
        ours, its = context.Pipe()
        process = context.Process(target=_work, args=(its, self._recipe, self._output), daemon=True)
        process.start()
        its.close()  # its death then ends our side, too
        worker = LocalWorker(process, ours)
        self._workers.append(worker)
        return worker

    def give(self, worker: LocalWorker, shard: Shard) -> None:
        """Send a shard; if the process has died meanwhile, ``wait`` says so."""
        with suppress(OSError):
            worker.pipe.send(shard)

    def dismiss(self, worker: LocalWorker) -> None:
        """Close the pipe to a process, which then leaves."""
        self._workers.remove(worker)
        self._leaving.append(worker.process)
        worker.pipe.close()

    def wait(self) -> Sequence[tuple[LocalWorker, Event]]:
        """What came from processes, or that they are no more."""
        pipes = [worker.pipe for worker in self._workers]
        while not (found := wait(pipes, LOOK_S)):
            pass
        return [(worker, self._event(worker)) for worker in list(self._workers) if worker.pipe in found]

    def _event(self, worker: LocalWorker) -> Event:
        try:
            event: Event = worker.pipe.recv()
        except (EOFError, OSError):
            self.dismiss(worker)
            worker.process.join()
            return Died(_cause(worker.process.exitcode or 0))
        return event


def _cause(exit_code: int) -> str:
    """Why a process ended: a signal, such as that of a system without memory, or an exit code."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"


def _work(pipe: Connection, recipe: EngineRecipe, output: str) -> None:
    """What a process does: answer shards until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one, which then ends it
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    try:
        worker = ShardWorker(recipe, output)
    except Wav2EdgeError as error:
        pipe.send(error)
        return
    with suppress(EOFError, OSError):
        pipe.send(Ready())
        while True:
            pipe.send(worker.answer(pipe.recv()))


def _end_with(parent: BaseProcess) -> None:
    """End this process, even in the middle of a shard, when the one that started it is gone."""
    parent.join()
    os._exit(1)
