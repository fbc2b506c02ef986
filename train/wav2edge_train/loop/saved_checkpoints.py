"""What a run saves to be resumed: checkpoints that a kill or a full disk cannot spoil, and its settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from wav2edge.errors import TrainingError
from wav2edge.output.documents import write_json
from wav2edge_train.checkpoint.durable import sync, sync_folder
from wav2edge_train.checkpoint.library_logging import first_line

CHECKPOINTS = "checkpoints"
"""Folder in the output where a run keeps everything that resuming needs."""

MARK = "complete"
"""The file of a saved checkpoint that is written last."""

SETTINGS = "run.json"
"""The file with the settings that the run was started with."""

CHANGEABLE = (
    *("epochs", "max_steps", "max_minutes", "patience"),
    *("precision", "gradient_checkpointing", "cuda_graphs", "tensorboard"),
)
"""Options that may change on resuming, since the checkpoint stays valid. Any other would be ignored silently, such as
the learning rate, which is part of the optimizer's state, or would mix two runs."""

LONGEST_VALUE = 60
"""Characters of a setting that a message shows; a vocabulary can have thousands."""

Settings = Mapping[str, Any]


def find_saved_checkpoint(output: Path, *, resume: bool, log: Callable[[str], None]) -> Path | None:
    """The last complete checkpoint when resuming; None for a fresh run, and where nothing was saved yet.

    Raises:
        TrainingError: there is nothing to resume, or a fresh run would overwrite another.
    """
    folder = output / CHECKPOINTS
    if not resume and saved_checkpoints(folder):
        raise TrainingError(f"{output}: already holds a run; add --resume to continue it, or give another --output")
    if not resume:
        return None
    if not folder.is_dir():
        raise TrainingError(f"{output}: no run to resume; run again without --resume")
    saved = last_complete_checkpoint(folder, log)
    log(f"{output}: no checkpoint was saved yet, starting over" if saved is None else f"resuming from {saved}")
    return saved


def checkpoint_folder(folder: Path, step: int) -> Path:
    """The folder of the checkpoint that the Trainer saves after a number of updates."""
    return folder / f"{PREFIX_CHECKPOINT_DIR}-{step}"


def saved_checkpoints(folder: Path) -> dict[int, Path]:
    """The folders of saved checkpoints by step, in order, complete or not."""
    names = re.compile(rf"{PREFIX_CHECKPOINT_DIR}-(\d+)")
    found = {int(match[1]): path for path in folder.glob("*") if (match := names.fullmatch(path.name))}
    return dict(sorted(found.items()))


def last_complete_checkpoint(folder: Path, log: Callable[[str], None]) -> Path | None:
    """The newest complete checkpoint; newer ones that are incomplete are logged and skipped."""
    for path in reversed(saved_checkpoints(folder).values()):
        if (path / MARK).is_file():
            return path
        log(f"{path}: skipping incomplete checkpoint")
    return None


def mark_complete(folder: Path) -> None:
    """Write the mark, after everything else has reached the disk."""
    sync_folder(folder)
    (folder / MARK).touch()
    sync(folder)


def keep_only(folder: Path, steps: set[int]) -> None:
    """Remove every other saved checkpoint."""
    for step, path in saved_checkpoints(folder).items():
        if step not in steps:
            (path / MARK).unlink(missing_ok=True)  # first, so that a kill cannot leave a marked half
            shutil.rmtree(path, ignore_errors=True)


def record_settings(output: Path, settings: Settings) -> None:
    """Write the settings of a run next to its checkpoints, in one step.

    Args:
        output: the folder of the run.
        settings: everything that decides what it learns, by its name in messages.

    Raises:
        TrainingError: they cannot be written.
    """
    folder = output / CHECKPOINTS
    partial = folder / f".{SETTINGS}"
    with writing(folder, remove_partial=False):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(partial, settings)
        sync(partial)
        os.replace(partial, folder / SETTINGS)


def check_resumable(output: Path, settings: Settings, log: Callable[[str], None]) -> None:
    """Compare the settings with those of the run in ``output``, and log each change that is allowed.

    Raises:
        TrainingError: the run was started with other data, another base or other options; the message names each.
    """
    try:
        recorded = json.loads((output / CHECKPOINTS / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise TrainingError(
            f"{output}: no readable {CHECKPOINTS}/{SETTINGS}, so this run cannot be resumed; give another --output"
        ) from None
    changed = [name for name in {**recorded, **settings} if recorded.get(name) != settings.get(name)]
    refused = [_difference(name, recorded, settings) for name in changed if name not in CHANGEABLE]
    if refused:
        raise TrainingError(
            f"{output}: holds another run: {'; '.join(refused)}; repeat the command that started it, or give"
            " another --output"
        )
    for name in changed:
        log(f"resuming with a changed option: {_difference(name, recorded, settings)}")


def _difference(name: str, recorded: Settings, settings: Settings) -> str:
    return f"{name} {_shown(settings.get(name))}, was {_shown(recorded.get(name))}"


def _shown(value: Any) -> str:
    return "not set" if value is None else textwrap.shorten(str(value), LONGEST_VALUE, placeholder="...")


@contextmanager
def writing(folder: Path, *, remove_partial: bool) -> Iterator[None]:
    """Report a failure to write a folder in one line.

    Args:
        folder: where the block writes.
        remove_partial: remove the folder on failure, because half of it is useless.

    Raises:
        TrainingError: it cannot be written.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # json, torch and safetensors each raise their own kind
        if remove_partial:
            shutil.rmtree(folder, ignore_errors=True)
        raise TrainingError(
            f"{folder}: cannot be written ({first_line(error)}); make room there, then continue with --resume"
        ) from None
