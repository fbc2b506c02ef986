"""The processes and threads of one training; of several processes only the first logs and writes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch
from torch import nn

from wav2edge.errors import CheckpointError, DataError, MissingDependencyError, UsageError
from wav2edge_train.model.complexity import count_parameters

SMALL_PARAMETERS = 10_000_000
"""A model with fewer parameters trains faster on one thread."""


def is_first_process() -> bool:
    """Whether this process logs and writes; a process that runs alone is the first."""
    return int(os.environ.get("RANK", "0")) == 0


def process_count() -> int:
    """How many processes train together, as `torchrun` or Accelerate start them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def of_first_process(value: float, device: torch.device) -> float:
    """The value that the first process has, so that all decide alike; each process has to ask.

    Args:
        value: this process's own.
        device: where the process group exchanges tensors.
    """
    if process_count() == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=device)
    torch.distributed.broadcast(shared, src=0)
    return float(shared)


@contextmanager
def rank_zero_output() -> Iterator[None]:
    """Silence every process but the first inside the block, and leave the process group at its end.

    Every process raises its errors, since a later process may be the only one to meet one; errors that all of them meet
    before the first step are raised by the first alone.
    """
    try:
        if is_first_process():
            yield
        else:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                yield
    except (UsageError, DataError, CheckpointError, MissingDependencyError) as error:
        if is_first_process():
            raise
        raise SystemExit(error.exit_code) from None
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


@contextmanager
def threads_for(model: nn.Module) -> Iterator[None]:
    """Use one thread for small models inside the block, and PyTorch's own number for others.

    A small MatMul is finished before a second thread has woken up: an update of the preset `tiny` took 0.12 s on one
    core and 0.33 s on two.
    """
    threads = torch.get_num_threads()
    if count_parameters(model) < SMALL_PARAMETERS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
