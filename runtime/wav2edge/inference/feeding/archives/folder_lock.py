"""A folder of results belongs to one run at a time: a lock that ends with the process that holds it."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from wav2edge.errors import UsageError
from wav2edge.inference.feeding.archives import storage

try:
    import fcntl
except ImportError:  # Windows: as in an object store, runs know their own parts
    fcntl = None  # type: ignore[assignment]

LOCK = ".wav2edge.lock"


class FolderLock:
    """Holds a folder of the disk until it is released, or the process ends in whatever way.

    In an object store, and on a disk that has no locks, nothing can be held.

    Args:
        folder: path or address of a folder that exists.

    Raises:
        UsageError: another run holds it.
        OSError: nothing can be written there.

    Attributes:
        held: whether no other run can write there.
    """

    def __init__(self, folder: str) -> None:
        system, path = storage.opened_place(folder)
        self.held, self._path = False, os.path.join(path, LOCK)
        possible = fcntl is not None and isinstance(system, storage.Disk)
        while possible and not self.held:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            possible = self._locked(folder)
            self.held = possible and self._is_there()
            if not self.held:
                os.close(self._file)
        if self.held:
            with suppress(OSError):  # a full disk is told of where results are written
                os.ftruncate(self._file, 0)
                os.write(self._file, f"process {os.getpid()} on {socket.gethostname()}".encode())

    def _is_there(self) -> bool:
        """Whether the locked file is still the one of that name: who held it may have deleted it meanwhile."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.stat(self._path), os.fstat(self._file))
        return False

    def _locked(self, folder: str) -> bool:
        """Lock the open file; False where the disk has no locks."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 1_000).decode(errors="replace") or "another process"
            os.close(self._file)
            raise UsageError(f"{folder}: {holder} writes results there; wait for it, or give another folder") from None
        except OSError:
            os.remove(self._path)
            return False
        return True

    def release(self) -> None:
        """Let others write there."""
        if self.held:
            with suppress(OSError):  # somebody has deleted the folder
                os.remove(self._path)
            os.close(self._file)
        self.held = False
