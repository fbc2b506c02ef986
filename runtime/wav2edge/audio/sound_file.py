"""Opening sound of any length: files, pipes and arrays, read block by block; what is no sound is said in one line."""

from __future__ import annotations

import codecs
import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from wav2edge.audio.sound_structure import ending, place_of_unwritten_size, what_is_left_over
from wav2edge.errors import AudioError

CONVERT_FIRST = "convert it first: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav"
STANDARD_INPUT = "standard input"
SAMPLE_DUMP = "SDS"
"""libsndfile reads noise from a damaged one, and prints that on standard output, among the answers."""
BLOCK_FRAMES = 1 << 18
"""Files are read in blocks of this length, because a header may promise any length."""
UNKNOWN_FRAMES = 1 << 62
"""From here on libsndfile means "unknown": such a FLAC file, written to a pipe, it reads only in part."""
SMALL_FILE_BYTES = 1 << 24
"""A file of this size is read in one go, which is faster; larger ones, and pipes that give more, stay on the disk."""
AudioSource = str | PathLike[str] | BinaryIO | npt.NDArray[Any]
"""A path, ``-`` for standard input, an open binary file, which is read from its beginning where it can go there, or
samples ``[samples]`` or ``[samples, channels]``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sound:
    """An open file of sound; close it after use.

    Attributes:
        name: what messages call it.
        rate_hz: its sample rate.
        promised: frames (samples of each channel) that its header promises.
        truncated: the file ends before its sound does.
        warnings: about the file.
    """

    name: str
    rate_hz: int
    promised: int
    content: BinaryIO
    file: Any
    truncated: bool
    warnings: tuple[str, ...] = ()

    def blocks(self) -> Iterator[npt.NDArray[np.float64]]:
        """The sound in blocks ``[frames, channels]``; at least one, which may be empty.

        A file that ends too soon gives what there is, which is less than was promised.

        Raises:
            AudioError: the sound cannot be decoded.
        """
        frames, given = BLOCK_FRAMES, 0
        while frames == BLOCK_FRAMES:
            block = np.empty((BLOCK_FRAMES, self.file.channels))
            try:
                frames = len(self.file.read(out=block))
            except (RuntimeError, TypeError) as error:  # libsndfile's error is a RuntimeError
                if not self._is_at_its_end():
                    raise AudioError(f"{self.name}: {_why_unreadable(self.content, error)}") from None
                frames = self.file.tell() - given if self.file.seekable() else 0
            given += frames
            yield block[:frames]

    def _is_at_its_end(self) -> bool:
        """Whether the last byte of the file was asked for: then it is its end that is missing, such as one of FLAC."""
        position = self.content.tell()
        return position == self.content.seek(0, 2)

    def close(self) -> None:
        """Close the file, unless the caller opened it."""
        self.file.close()
        if isinstance(self.content, _OwnFile):
            self.content.close()


def open_sound(source: str | PathLike[str] | BinaryIO) -> Sound:
    """Open a file; a pipe is read to its end first.

    Raises:
        AudioError: it cannot be read, or is not sound.
    """
    import soundfile  # here, so that importing wav2edge stays quick

    name, content = name_of(source), _open(source)
    try:
        file = soundfile.SoundFile(_Seekable(content))
        if file.frames == 0 and (unwritten := place_of_unwritten_size(content)) is not None:
            content.seek(0)
            file = soundfile.SoundFile(_Unfinished(content, unwritten))
    except (RuntimeError, TypeError) as error:
        raise AudioError(f"{name}: {_why_unreadable(content, error)}") from None
    if file.format == SAMPLE_DUMP:
        raise AudioError(f"{name}: a MIDI sample dump, of which damage goes unnoticed; convert it to WAV")
    if file.frames >= UNKNOWN_FRAMES:
        raise AudioError(f"{name}: does not say how long it is (written to a pipe?); convert it to WAV")
    position = content.tell()
    if (left_over := what_is_left_over(content, file.format, file.frames)) is not None:
        raise AudioError(f"{name}: {left_over}; {CONVERT_FIRST}")
    truncated, warnings = ending(content, file.format)
    content.seek(position)
    return Sound(
        name=name,
        rate_hz=file.samplerate,
        promised=file.frames,
        content=content,
        file=file,
        truncated=truncated,
        warnings=warnings,
    )


def name_of(source: str | PathLike[str] | BinaryIO) -> str:
    """What messages call a file."""
    if isinstance(source, (str, PathLike)):
        return STANDARD_INPUT if fspath(source) == "-" else str(Path(source))
    if not hasattr(source, "read"):
        raise AudioError(f"{type(source).__name__}: not a path, an open binary file or a numpy array; pass one")
    return str(getattr(source, "name", "stream"))


class _OwnFile(io.BufferedReader):
    """A file that was opened here, and so is closed here."""


class _Seekable:
    """A file as libsndfile reads it: where a damaged header leads in front of its beginning, it stays where it is.

    soundfile would print the traceback of the error, which it cannot raise through libsndfile.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, if there is such a place."""
        with suppress(ValueError, OSError):
            return self._file.seek(offset, whence)
        return self._file.tell()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Unfinished(_Seekable):
    """A WAV file of which the size of its sound was never written; libsndfile reads to the end where it is 2^32 - 1."""

    def __init__(self, file: BinaryIO, place: int) -> None:
        super().__init__(file)
        self._place = place

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes, with that size in its place."""
        start = self._file.tell()
        block = bytearray(self._file.read(len(buffer)))
        for place in range(self._place - start, self._place - start + 4):
            if 0 <= place < len(block):
                block[place] = 0xFF
        buffer[: len(block)] = bytes(block)
        return len(block)


class PipedFile:
    """What came through a pipe, read to its end: in memory while it is small, otherwise in a temporary file.

    Args:
        name: what messages call it.
        pipe: where it comes from.
    """

    def __init__(self, name: str, pipe: BinaryIO) -> None:
        from tempfile import SpooledTemporaryFile  # here: costs the import of wav2edge milliseconds

        self.name, self._file = name, SpooledTemporaryFile(SMALL_FILE_BYTES)  # noqa: SIM115 as long as this object
        shutil.copyfileobj(pipe, self._file, SMALL_FILE_BYTES // 16)
        self._file.seek(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def read_standard_input() -> BinaryIO:
    """Read standard input to its end.

    Raises:
        AudioError: it is closed.
    """
    if sys.stdin is None:
        raise AudioError(f"{STANDARD_INPUT}: closed; pipe a clip into it")
    return cast(BinaryIO, PipedFile(STANDARD_INPUT, sys.stdin.buffer))


def _open(source: str | PathLike[str] | BinaryIO) -> BinaryIO:
    """A seekable file."""
    if isinstance(source, (str, PathLike)):
        return read_standard_input() if fspath(source) == "-" else _open_path(Path(source))
    name = name_of(source)
    try:
        is_text = isinstance(source.read(0), str)
        if not is_text and source.seekable():
            source.seek(0)
    except (OSError, ValueError) as error:
        raise AudioError(f"{name}: cannot be read ({error}); give a binary file that is open for reading") from None
    if is_text:
        raise AudioError(f"{name}: open as text; open it as a binary file, with mode 'rb'")
    return source if source.seekable() else cast(BinaryIO, PipedFile(name, source))


def _open_path(path: Path) -> BinaryIO:
    try:
        if path.stat().st_size > SMALL_FILE_BYTES:
            return _OwnFile(io.FileIO(path))
        return io.BytesIO(path.read_bytes())
    except IsADirectoryError:
        raise AudioError(f"{path}: a folder; give its clips, or the folder to the command line") from None
    except FileNotFoundError:
        if path.is_symlink():
            raise AudioError(f"{path}: a broken link, {path.readlink()} is not there; mend or delete it") from None
        raise AudioError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}; check the path and its permissions") from None
    except ValueError:
        raise AudioError(f"{str(path)!r}: no file can have such a name; check the path") from None


def _why_unreadable(content: BinaryIO, error: Exception) -> str:
    content.seek(0)
    head = content.read(512)
    if not head:
        return "empty file; record or copy it again"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not audio; run `git lfs pull`"
    if head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3"):
        return f"an MP4, M4A, MKV or WebM container; {CONVERT_FIRST}"
    if _is_text(head):
        return "text, not audio; was a web page or a list saved under this name?"
    reason = cast(str, getattr(error, "error_string", str(error))).rstrip(".")
    return f"cannot be decoded ({reason}); it is cut off, damaged or not audio: copy it again, or convert it to WAV"


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # a character may be cut at the end
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\t\n\r" for letter in text)
