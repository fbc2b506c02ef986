"""One training in several processes, as `torchrun` or Accelerate start them: only the first talks and writes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch

from wav2edge.errors import CheckpointError, DataError, MissingDependencyError, UsageError


def is_first_process() -> bool:
    """Whether this process talks and writes; one that was started alone is the first."""
    return int(os.environ.get("RANK", "0")) == 0


def process_count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def one_voice() -> Iterator[None]:
    """Silence every process but the first inside the block, and leave the group of processes at its end.

    An error goes out from each, as the one that only a later process meets must be read too; but not what every process
    meets before the first step.
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
