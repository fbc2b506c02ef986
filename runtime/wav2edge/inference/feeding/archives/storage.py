"""Files of an archive, on a disk or in an object store: whatever ``pyarrow.fs`` reaches by the address of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from wav2edge.errors import DataError, MissingDependencyError, UsageError

EXTRAS = {"pyarrow": "archives", "ray": "ray"}
"""Package -> the extra that installs it."""


def optional(module: str) -> Any:
    """A module of a package that only archives need.

    Raises:
        MissingDependencyError: it is not installed.
    """
    extra = EXTRAS[module.partition(".")[0]]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in (*EXTRAS, "pandas"):
            raise
        raise MissingDependencyError(
            f"this needs {missing}, which is not installed; run: pip install 'wav2edge[{extra}]'"
        ) from None


def is_address(name: str) -> bool:
    """Whether a name is the address of something in an object store, such as ``s3://bucket/key``."""
    return "://" in name


def opened_place(name: str) -> tuple[Any, str]:
    """The file system that holds a name, and its path there.

    Raises:
        UsageError: there is no such kind of address, or it cannot be reached.
    """
    fs = optional("pyarrow.fs")
    if not is_address(name):
        return fs.LocalFileSystem(), os.path.abspath(name)
    try:
        system, path = fs.FileSystem.from_uri(name)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: {_in_one_line(error)}; give a path, or an address such as s3://BUCKET/KEY") from None
    return system, path


def open_for_reading(name: str) -> Any:
    """An open file that can seek; close it after use.

    Raises:
        DataError: it cannot be opened.
    """
    system, path = opened_place(name)
    try:
        return system.open_input_file(path)
    except OSError as error:
        raise DataError(f"{name}: {_why(error)}; check the path and its permissions") from None


def size_bytes(name: str) -> int:
    """Bytes of a file; 0 where there is none."""
    system, path = opened_place(name)
    return int(system.get_file_info(path).size or 0)


def files_below(name: str) -> Iterator[str]:
    """Names of the files in a folder and in those below it, in order; none where there is no such folder.

    What is hidden is left out, as is what lies in a hidden folder.
    """
    system, path = opened_place(name)
    selector = optional("pyarrow.fs").FileSelector(path, allow_not_found=True, recursive=True)
    below = [info.path[len(path) :].strip("/") for info in system.get_file_info(selector) if info.is_file]
    visible = (each for each in below if not any(part.startswith(".") for part in PurePosixPath(each).parts))
    yield from (f"{name.rstrip('/')}/{each}" for each in sorted(visible, key=PurePosixPath))


def is_folder(name: str) -> bool:
    """Whether a name is that of a folder."""
    system, path = opened_place(name)
    return bool(system.get_file_info(path).type == optional("pyarrow.fs").FileType.Directory)


def _why(error: OSError) -> str:
    return error.strerror or _in_one_line(error)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
