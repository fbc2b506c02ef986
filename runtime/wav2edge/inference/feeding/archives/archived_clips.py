"""The recordings of a shard, one after the other: of files, of a Parquet file, of a WebDataset tar."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from wav2edge.audio.inputs import AUDIO_SUFFIXES, UNREADABLE_SUFFIXES
from wav2edge.audio.sound_file import CONVERT_FIRST, AudioSource
from wav2edge.errors import AudioError, DataError, Wav2EdgeError
from wav2edge.inference.feeding.archives import storage
from wav2edge.inference.feeding.archives.shard_results import MADE_BY
from wav2edge.inference.feeding.archives.shards import CLIPS, PARQUET, TAR, Shard

ROWS_AT_ONCE = 16
"""Rows of Parquet with their audio that are in memory at once, besides the pages that they lie in."""


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
            yield ArchivedClip(path=each.name, row=row, source=each.name)


def _fetched(path: str, row: int, address: str) -> ArchivedClip:
    """A recording that lies at an address, in memory."""
    try:
        with storage.open_for_reading(address) as file:
            return ArchivedClip(path=path, row=row, source=_Content(file.read(), address))
    except DataError as error:
        return ArchivedClip(path=path, row=row, error=AudioError(str(error)))


def _members(shard: Shard) -> Iterator[ArchivedClip]:
    """The sound among the members of a tar, read from its beginning to its end; everything else is passed over."""
    found = 0
    try:
        with storage.open_for_reading(shard.name) as file, tarfile.open(fileobj=file, mode="r|*") as tar:
            for member in tar:
                suffix = PurePosixPath(member.name).suffix.lower()
                if not member.isfile() or PurePosixPath(member.name).name.startswith("."):
                    continue
                if suffix in UNREADABLE_SUFFIXES:
                    reason = AudioError(f"{shard.name}/{member.name}: {suffix} files cannot be read; {CONVERT_FIRST}")
                    yield ArchivedClip(path=member.name, row=found, error=reason)
                    found += 1
                elif suffix in AUDIO_SUFFIXES:
                    content = tar.extractfile(member)
                    sound = b"" if content is None else content.read()
                    yield ArchivedClip(
                        path=member.name, row=found, source=_Content(sound, f"{shard.name}/{member.name}")
                    )
                    found += 1
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(
            f"{shard.name}: cannot be read as a tar after {found} recordings ({' '.join(str(error).split())});"
            " copy it again"
        ) from None


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
    shown = str(row) if path is None else path
    if sound is not None:
        return ArchivedClip(path=shown, row=row, source=_Content(sound, f"{name}, row {row}"))
    if path is None:
        return ArchivedClip(path=shown, row=row, error=AudioError(f"{name}, row {row}: no audio; leave the row out"))
    if storage.is_address(path):
        return _fetched(path, row, path)
    if storage.is_address(name):
        return _fetched(path, row, f"{name.rpartition('/')[0]}/{path}")
    return ArchivedClip(path=path, row=row, source=os.path.join(os.path.dirname(name), path))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


READERS: dict[str, Callable[[Shard], Iterator[ArchivedClip]]] = {CLIPS: _clips, TAR: _members, PARQUET: _rows}
"""Kind of a shard -> what reads it."""
