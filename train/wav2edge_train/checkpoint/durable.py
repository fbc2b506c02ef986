"""Writing that survives a power failure: what is written has reached the disk before anything relies on it."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Flush every file below a folder, and the folder itself, to the disk.

    Raises:
        OSError: a file cannot be flushed, for example because the disk is full.
    """
    for path in (*folder.rglob("*"), folder):
        sync(path)


def sync(path: Path) -> None:
    """Flush one file or folder to the disk (``fsync``).

    Raises:
        OSError: the file cannot be flushed.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some file systems cannot sync a folder
            raise
    finally:
        os.close(handle)
