"""Files of an archive, on a disk or in an object store: whatever ``pyarrow.fs`` reaches by the address of a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import PurePath, PurePosixPath
from typing import Any

from wav2edge.errors import DataError, MissingDependencyError, UsageError

EXTRAS = {"pyarrow": "archives", "ray": "ray"}
"""Package -> the extra that installs it."""
NO_PIPE = "a named pipe, which cannot be read again if a worker dies; copy it into a file"


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


class Disk:
    """The disk, by Python's own functions: a name on it may hold any bytes, and pyarrow takes text only."""

    @staticmethod
    def open(path: str, mode: str) -> Any:
        """A file to read (``rb``) or to write (``wb``)."""
        return open(path, mode)

    create_folder = staticmethod(partial(os.makedirs, exist_ok=True))
    move, delete, is_folder = staticmethod(os.replace), staticmethod(os.remove), staticmethod(os.path.isdir)

    @staticmethod
    def size_bytes(path: str) -> int | None:
        """None where there is no such file."""
        return os.stat(path).st_size if os.path.exists(path) else None

    @staticmethod
    def files_in(path: str) -> list[str]:
        """Names of the files in a folder, hidden ones, too; none where there is no such folder."""
        return [each.name for each in os.scandir(path) if not each.is_dir()] if os.path.isdir(path) else []

    @staticmethod
    def files_below(path: str) -> Iterator[str]:
        """Paths from a folder on; links to folders are not followed, since they may lead round in a circle."""
        for parent, _, files in os.walk(path):
            yield from (PurePath(parent, name).relative_to(path).as_posix() for name in files)


class Store:
    """An object store, or whatever else pyarrow reaches; the methods are those of ``Disk``."""

    def __init__(self, system: Any) -> None:
        self._system, self._fs = system, optional("pyarrow.fs")
        self.create_folder = partial(system.create_dir, recursive=True)
        self.move, self.delete = system.move, system.delete_file

    def open(self, path: str, mode: str) -> Any:
        """A file to read (``rb``) or to write (``wb``)."""
        return self._system.open_input_file(path) if mode == "rb" else self._system.open_output_stream(path)

    def is_folder(self, path: str) -> bool:
        """Whether there is one."""
        return bool(self._system.get_file_info(path).type == self._fs.FileType.Directory)

    def size_bytes(self, path: str) -> int | None:
        """None where there is no such file."""
        info = self._system.get_file_info(path)
        return int(info.size or 0) if info.type != self._fs.FileType.NotFound else None

    def files_in(self, path: str, *, recursive: bool = False) -> list[str]:
        """Names of the files in a folder, hidden ones, too; none where there is no such folder."""
        found = self._system.get_file_info(self._fs.FileSelector(path, allow_not_found=True, recursive=recursive))
        return [info.path[len(path) :].strip("/") for info in found if info.is_file]

    def files_below(self, path: str) -> Iterator[str]:
        """Paths from a folder on."""
        yield from self.files_in(path, recursive=True)


def opened_place(name: str) -> tuple[Disk | Store, str]:
    """What holds a name, and its path there.

    Raises:
        UsageError: there is no such kind of address, or it cannot be reached.
    """
    if not is_address(name):
        return Disk(), os.path.abspath(name)
    fs, arrow = optional("pyarrow.fs"), optional("pyarrow")
    try:
        system, path = fs.FileSystem.from_uri(name)
    except (OSError, ValueError, arrow.ArrowException) as error:
        raise UsageError(f"{name}: {_in_one_line(error)}; give a path, or an address such as s3://BUCKET/KEY") from None
    return Disk() if isinstance(system, fs.LocalFileSystem) else Store(system), path


def open_for_reading(name: str) -> Any:
    """An open file that can seek; close it after use.

    Raises:
        DataError: it cannot be opened.
        UsageError: see ``opened_place``.
    """
    system, path = opened_place(name)
    if isinstance(system, Disk) and is_pipe(path):
        raise DataError(f"{name}: {NO_PIPE}")
    try:
        return system.open(path, "rb")
    except (OSError, ValueError) as error:  # such as a name with a zero byte
        raise DataError(f"{name}: {why(error)}; check the path and its permissions") from None


def is_pipe(path: str) -> bool:
    """Whether a path of the disk is that of a named pipe."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def size_bytes(name: str) -> int:
    """Bytes of a file; 0 where there is none."""
    system, path = opened_place(name)
    return system.size_bytes(path) or 0


def files_below(name: str) -> Iterator[str]:
    """Names of the files in a folder and in those below it, in order; none where there is no such folder.

    What is hidden is left out, as is what lies in a hidden folder.
    """
    system, path = opened_place(name)
    parts = map(PurePosixPath, system.files_below(path))
    visible = (each for each in parts if not any(part.startswith(".") for part in each.parts))
    yield from (f"{name.rstrip('/')}/{each}" for each in sorted(visible))


def is_folder(name: str) -> bool:
    """Whether a name is that of a folder."""
    system, path = opened_place(name)
    return system.is_folder(path)


def lies_below(name: str, folder: str) -> bool:
    """Whether a file lies in a folder or in one below it."""
    if is_address(name) or is_address(folder):
        return name.startswith(f"{folder.rstrip('/')}/")
    return PurePath(os.path.realpath(name)).is_relative_to(os.path.realpath(folder))


def why(error: Exception) -> str:
    """The reason of an error of the system, in one line."""
    return getattr(error, "strerror", None) or _in_one_line(error)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
