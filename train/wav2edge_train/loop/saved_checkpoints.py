"""Saved steps that a kill or a full disk cannot spoil: a step counts once its mark is written, and only then."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from wav2edge.errors import TrainingError
from wav2edge_train.checkpoint.library_logging import first_line

MARK = "complete"
"""The file of a saved step that is written last."""


def step_folder(folder: Path, step: int) -> Path:
    """Where the Trainer keeps what it saves at a step."""
    return folder / f"{PREFIX_CHECKPOINT_DIR}-{step}"


def saved_steps(folder: Path) -> dict[int, Path]:
    """The folders of saved steps by step, in order, whole or not."""
    names = re.compile(rf"{PREFIX_CHECKPOINT_DIR}-(\d+)")
    found = {int(match[1]): path for path in folder.glob("*") if (match := names.fullmatch(path.name))}
    return dict(sorted(found.items()))


def last_whole_step(folder: Path, say: Callable[[str], None]) -> Path | None:
    """The newest saved step that was written to its end; newer ones that were not are named and passed over."""
    for path in reversed(saved_steps(folder).values()):
        if (path / MARK).is_file():
            return path
        say(f"{path}: passed over, it was not written to its end")
    return None


def mark_whole(folder: Path) -> None:
    """Write the mark, after all else has reached the disk."""
    for path in folder.iterdir():
        _reach_the_disk(path)
    (folder / MARK).touch()
    _reach_the_disk(folder)


def keep_only(folder: Path, steps: set[int]) -> None:
    """Remove every other saved step."""
    for step, path in saved_steps(folder).items():
        if step not in steps:
            (path / MARK).unlink(missing_ok=True)  # first, lest a kill leaves half of it under its mark
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def writing(folder: Path, *, whole: bool) -> Iterator[None]:
    """Turn what goes wrong while a folder is written into one line.

    Args:
        folder: what is written.
        whole: the folder is of no use unless it is whole, so what was written of it is removed.

    Raises:
        TrainingError: it cannot be written.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # json, torch and safetensors each raise their own kind
        if whole:
            shutil.rmtree(folder, ignore_errors=True)
        raise TrainingError(
            f"{folder}: cannot be written ({first_line(error)}); make room there, then go on with --resume"
        ) from None


def _reach_the_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
