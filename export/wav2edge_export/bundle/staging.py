"""Writing a folder so that a reader sees the old one or the new one, never a mixture, whenever the writer dies."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wav2edge.bundle.manifest import MANIFEST
from wav2edge.errors import UsageError
from wav2edge_train.checkpoint.durable import sync, sync_folder

AT_FDCWD = -100
RENAME_EXCHANGE = 2
"""``renameat2(2)``: swap two paths in one step."""


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """A temporary sibling of ``target`` to write in; it takes the target's place when the block ends well.

    An error removes it and leaves the target as it was. A killed process leaves its sibling behind, and the next
    writer takes it away.

    Raises:
        UsageError: the target is something other than a bundle.
    """
    if target.exists() and not _replaceable(target):
        raise UsageError(f"{target}: exists and is not a bundle; give another --output")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    stage = Path(tempfile.mkdtemp(prefix=f"{_prefix(target)}{os.getpid()}-", dir=target.parent))
    try:
        yield stage
        stage.chmod(0o755)  # mkdtemp's folder is for its owner alone
        sync_folder(stage)
        _take_place(stage, target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    sync(target.parent)


def _replaceable(target: Path) -> bool:
    return target.is_dir() and ((target / MANIFEST).exists() or not any(target.iterdir()))


def _prefix(target: Path) -> str:
    return f".{target.name}.tmp-"


def _remove_abandoned(target: Path) -> None:
    for path in target.parent.glob(f"{_prefix(target)}*"):
        pid = path.name.removeprefix(_prefix(target)).partition("-")[0]
        if pid.isdecimal() and not _is_running(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _take_place(stage: Path, target: Path) -> None:
    """Put ``stage`` where ``target`` is; what was there is then at ``stage``, to be removed."""
    if not target.exists():
        os.replace(stage, target)
    elif not _exchange(stage, target):
        # No such system call here: between these two renames there is an instant without a bundle.
        aside = stage.with_name(f"{stage.name}-old")
        os.replace(target, aside)
        os.replace(stage, target)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    return bool(rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0)
