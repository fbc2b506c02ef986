"""The recordings of a shard, one after the other: of files, of a Parquet file, of a WebDataset tar."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import NoneType
from typing import Any, Self, cast

from wav2edge.audio.inputs import AUDIO_SUFFIXES, UNREADABLE_SUFFIXES
from wav2edge.audio.sound_file import CONVERT_FIRST, AudioSource
from wav2edge.errors import AudioError, DataError, UsageError, Wav2EdgeError
from wav2edge.inference.feeding.archives import storage
from wav2edge.inference.feeding.archives.shard_results import MADE_BY
from wav2edge.inference.feeding.archives.shards import CLIPS, PARQUET, TAR, Shard

ROWS_AT_ONCE = 16
"""Rows of Parquet with their audio that are in memory at once, besides the pages that they lie in."""
UNPACKED_BY: dict[bytes, Callable[[Any], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
"""What a compressed file starts with -> what unpacks it."""
TAIL_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class ArchivedClip:
    """A recording of a shard, or in its place why there is none.

    Attributes:
        path: the file, the member of a tar, or what a Parquet file calls it, else its row.
        row: its place in the shard, from 0.
        source: what an engine reads; None where there is an error.
    """

    path: str
    row: int
    source: AudioSource | None = None
    error: Wav2EdgeError | None = None


class _Content(io.BytesIO):
    """A recording in memory, with the name that messages call it."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def recordings(shard: Shard) -> Iterator[ArchivedClip]:
    """The recordings of a shard, in order, few of them in memory.

    Raises:
        DataError: the archive cannot be read.
    """
    yield from READERS[shard.kind](shard)


def _clips(shard: Shard) -> Iterator[ArchivedClip]:
    for row, each in enumerate(shard.clips):
        if each.error is not None:
            yield ArchivedClip(path=each.name, row=row, error=each.error)
        elif storage.is_address(each.name):
            yield _fetched(each.name, row, each.name)
        else:
            yield _on_disk(each.name, row, each.name)


def _on_disk(path: str, row: int, name: str) -> ArchivedClip:
    """A recording that is a file, which the engine opens."""
    if storage.is_pipe(name):
        return ArchivedClip(path=path, row=row, error=AudioError(f"{name}: {storage.NO_PIPE}"))
    return ArchivedClip(path=path, row=row, source=name)


def _fetched(path: str, row: int, address: str) -> ArchivedClip:
    """A recording that lies at an address, in memory."""
    try:
        with storage.open_for_reading(address) as file:
            return ArchivedClip(path=path, row=row, source=_Content(file.read(), address))
    except (DataError, UsageError) as error:
        return ArchivedClip(path=path, row=row, error=AudioError(str(error)))


class _Header(tarfile.TarInfo):
    """A header of a tar, which is whole: tarfile takes a damaged one, and the end of the file, for the end of a tar."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The header in a block.

        Raises:
            tarfile.HeaderError: it is one of those blocks of zeros that close a tar.
            tarfile.ReadError: it is damaged or missing.
        """
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf == bytes(tarfile.BLOCKSIZE):
                raise
            cut = len(buf) < tarfile.BLOCKSIZE
            raise tarfile.ReadError("it ends without the zeros that close a tar" if cut else str(error)) from None


def _members(shard: Shard) -> Iterator[ArchivedClip]:
    """The sound among the members of a tar, read from its beginning to its end; everything else is passed over."""
    found = 0
    try:
        with (
            storage.open_for_reading(shard.name) as file,
            _unpacked(file) as content,
            tarfile.open(fileobj=content, mode="r|", tarinfo=_Header) as tar,
        ):
            for member in tar:
                if (clip := _member(shard, tar, member, found)) is not None:
                    yield clip
                    found += 1
            _check_end(shard, tar)
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise DataError(
            f"{shard.name}: cannot be read as a tar after {found} recordings ({' '.join(str(error).split())});"
            " copy it again, or pack it again"
        ) from None


def _unpacked(file: Any) -> Any:
    """The tar in an open file that may be compressed; unlike tarfile's streams these check what they unpack."""
    start = file.read(max(map(len, UNPACKED_BY)))
    file.seek(0)
    unpack = next((unpack for magic, unpack in UNPACKED_BY.items() if start.startswith(magic)), nullcontext)
    return unpack(file)


def _check_end(shard: Shard, tar: tarfile.TarFile) -> None:
    """Raise a DataError where a tar goes on after its end; reads all: a compressed one has its checksum there."""
    stream = cast(io.BufferedIOBase, tar.fileobj)
    while content := stream.read(TAIL_BYTES):
        if content.strip(b"\0"):
            raise DataError(
                f"{shard.name}: goes on after its end, as tars do that were joined; give them one by one, or unpack it"
                " (tar --ignore-zeros -xf) and pack it again"
            )


def _member(shard: Shard, tar: tarfile.TarFile, member: tarfile.TarInfo, row: int) -> ArchivedClip | None:
    """The recording of a member; None where it is none."""
    path, name = PurePosixPath(member.name), f"{shard.name}/{member.name}"
    suffix = path.suffix.lower()
    if path.name.startswith(".") or member.isdir() or suffix not in AUDIO_SUFFIXES | UNREADABLE_SUFFIXES:
        return None
    if member.islnk() or member.issym():
        reason = f"a link to {member.linkname}; pack its content: tar --dereference --hard-dereference"
    elif not member.isfile():
        reason = "a pipe or a device, which has no sound; leave it out"
    elif suffix in UNREADABLE_SUFFIXES:
        reason = f"{suffix} files cannot be read; {CONVERT_FIRST}"
    else:
        content = tar.extractfile(member)
        return ArchivedClip(
            path=member.name, row=row, source=_Content(b"" if content is None else content.read(), name)
        )
    return ArchivedClip(path=member.name, row=row, error=AudioError(f"{name}: {reason}"))


def _rows(shard: Shard) -> Iterator[ArchivedClip]:
    """The rows of a Parquet file: its column ``audio``, sound or ``{bytes, path}``, or else its column ``path``."""
    parquet, arrow = storage.optional("pyarrow.parquet"), storage.optional("pyarrow")
    try:
        with storage.open_for_reading(shard.name) as content:
            file = parquet.ParquetFile(content, pre_buffer=False)
            column = _audio_column(shard, file.schema_arrow)
            row = 0
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=[column]):
                for value in batch.column(0).to_pylist():
                    yield archived_clip(value, row, shard.name)
                    row += 1
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{shard.name}: {' '.join(str(error).split())}; copy it again") from None


def _audio_column(shard: Shard, schema: Any) -> str:
    if MADE_BY in (schema.metadata or {}):
        raise DataError(f"{shard.name}: results of an archive, not its recordings; leave it out of the inputs")
    for name in ("audio", "path"):
        if name in schema.names:
            return name
    raise DataError(f"{shard.name}: no column audio or path among {', '.join(schema.names)}; rename the one that it is")


def archived_clip(value: Any, row: int, name: str) -> ArchivedClip:
    """The recording of one value: sound, a path, or ``{bytes, path}`` as Hugging Face's datasets write them.

    Args:
        value: of the column.
        row: of the value.
        name: the file; paths are from its folder, unless they are absolute.
    """
    parts: Mapping[str, Any] = value if isinstance(value, Mapping) else {"path" if _is_text(value) else "bytes": value}
    sound, path = parts.get("bytes"), parts.get("path")
    shown = str(row) if path is None else str(path)
    if isinstance(sound, bytes):
        return ArchivedClip(path=shown, row=row, source=_Content(sound, f"{name}, row {row}"))
    if sound is not None or not isinstance(path, (str, NoneType)) or (parts and not parts.keys() & {"bytes", "path"}):
        reason = f"{_shown(value)} where the bytes of a sound file, its path, or {{bytes, path}} belong; write it so"
        return ArchivedClip(path=shown, row=row, error=AudioError(f"{name}, row {row}: {reason}"))
    if path is None:
        return ArchivedClip(path=shown, row=row, error=AudioError(f"{name}, row {row}: no audio; leave the row out"))
    if storage.is_address(path):
        return _fetched(path, row, path)
    if storage.is_address(name):
        return _fetched(path, row, f"{name.rpartition('/')[0]}/{path}")
    # Seen from ".", too: "-" alone would be standard input.
    return _on_disk(path, row, os.path.join(os.path.dirname(name) or ".", path))


def _shown(value: Any) -> str:
    """What a value is, such as ``{bytes: str, path: str}``."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {type(each).__name__}' for key, each in value.items())}}}"
    return type(value).__name__


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


READERS: dict[str, Callable[[Shard], Iterator[ArchivedClip]]] = {CLIPS: _clips, TAR: _members, PARQUET: _rows}
"""Kind of a shard -> what reads it."""
