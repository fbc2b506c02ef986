"""The results of a shard: a Parquet file, which is there when the shard is complete and not before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from wav2edge.errors import UsageError, Wav2EdgeError
from wav2edge.inference.feeding.archives import storage
from wav2edge.output.result import Result

MADE_BY, BUNDLE, SETTINGS, COUNTS = (
    f"wav2edge.{name}".encode() for name in ("version", "bundle", "settings", "counts")
)
"""Keys of the metadata: the version, the digest of the bundle's manifest, all that results depend on, and counts."""
PART = ".part"
"""What ends the hidden name of a file that is being written."""
ROWS_TOGETHER = 1_000
"""Rows that are in memory before they are written, as a row group."""
PLACE = ("source", "row", "path")
"""Columns that say which recording it is."""


def schema(metadata: Mapping[bytes, bytes] | None = None) -> Any:
    """The columns of results: where a recording comes from, its error, and the fields of ``Result.to_dict``."""
    arrow = storage.optional("pyarrow")
    text, number, truth = arrow.string(), arrow.float64(), arrow.bool_()

    def stretches(name: str) -> Any:
        return arrow.list_(arrow.struct([(name, text), ("start_s", number), ("end_s", number), ("confidence", number)]))

    answer = [
        ("confidence", number),
        ("rejected", truth),
        ("text", text),
        ("words", stretches("text")),
        ("label", text),
        ("scores", arrow.map_(text, number)),
        ("frame_labels", stretches("label")),
        ("embedding", arrow.list_(number)),
    ]
    place = [("source", text), ("row", arrow.int64()), ("path", text), ("error", text)]
    segments = ("segments", arrow.list_(arrow.struct([("start_s", number), ("end_s", number), *answer])))
    columns = [*place, ("duration_s", number), *answer, segments, ("warnings", arrow.list_(text))]
    return arrow.schema(columns, metadata=dict(metadata or {}))


def as_row(outcome: Result | Wav2EdgeError, *, source: str | None, row: int, path: str) -> dict[str, Any]:
    """A recording and its outcome as a row of ``schema``.

    Args:
        outcome: its result, or its error.
        source: the archive it lies in.
        row: its place there.
        path: its path there; of a clip its own.
    """
    place = {"source": source, "row": row, "path": path}
    document = {"error": str(outcome)} if isinstance(outcome, Wav2EdgeError) else outcome.to_dict()
    for each in (document, *document.get("segments", ())):
        if "scores" in each:
            each["scores"] = list(each["scores"].items())
    return {key: _as_text(value) for key, value in {**place, **document}.items()}


def _as_text(value: Any) -> Any:
    """The same with backslashes in place of what is no text: the name of a file may hold any bytes."""
    if isinstance(value, list):
        return [_as_text(each) for each in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def as_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the JSON document of its recording: that of ``wav2edge run --format jsonl``, after where it comes from.

    Args:
        row: of ``schema``, as Python values.
    """
    document: dict[str, Any] = {}
    for key, value in row.items():
        if value is None and not (key == "label" and row.get("scores") is not None):  # which a rejected answer lacks
            continue
        document[key] = _OF_JSON.get(key, _as_it_is)(value)
    return document


def _as_it_is(value: Any) -> Any:
    return value


_OF_JSON: dict[str, Callable[[Any], Any]] = {
    "scores": dict,
    "segments": lambda segments: [as_document(each) for each in segments],
}
"""Column -> how its value becomes that of the JSON document."""


class ShardResults:
    """Takes the rows of a shard, counts them, and writes them a row group at a time.

    Attributes:
        counts: recordings, those of them that failed, and seconds of speech that are answered.
        example: the first error.
    """

    def __init__(self, writer: Any, columns: Any) -> None:
        self._writer, self._columns = writer, columns
        self._rows: list[dict[str, Any]] = []
        self.counts: dict[str, Any] = {"recordings": 0, "failed": 0, "speech_s": 0.0}
        self.example: str | None = None

    def add(self, row: dict[str, Any]) -> None:
        """One more row."""
        error = row.get("error")
        self.counts["recordings"] += 1
        self.counts["failed"] += error is not None
        self.counts["speech_s"] = round(self.counts["speech_s"] + row.get("duration_s", 0.0), 4)
        self.example = self.example or error
        self._rows.append(row)
        if len(self._rows) == ROWS_TOGETHER:
            self._write()

    def finish(self) -> None:
        """Write the last rows, and the counts."""
        self._write()
        self._writer.add_key_value_metadata({COUNTS: json.dumps(self.counts).encode()})

    def _write(self) -> None:
        table = storage.optional("pyarrow").Table.from_pylist(self._rows, schema=self._columns)
        self._writer.write_table(table)
        self._rows.clear()


@contextmanager
def new_results(folder: str, name: str, metadata: Mapping[bytes, bytes], run: str) -> Iterator[ShardResults]:
    """The results of a shard; their file has its name once the block has ended without an error.

    Args:
        folder: path or address of the folder.
        name: of the file.
        metadata: of the schema.
        run: that writes them; its name is part of that of the unfinished file.

    Raises:
        UsageError: another run has written others meanwhile.
        OSError: it cannot be written.
    """
    parquet, columns = storage.optional("pyarrow.parquet"), schema(metadata)
    system, path = storage.opened_place(folder)
    # Its own: a worker that was given up may still write another.
    part = f"{path}/.{name}.{uuid4().hex[:8]}.{run}{PART}"
    try:
        with (
            system.open(part, "wb") as stream,
            parquet.ParquetWriter(stream, columns, compression="zstd") as writer,
        ):
            results = ShardResults(writer, columns)
            yield results
            results.finish()
        if system.size_bytes(f"{path}/{name}") is None:
            system.move(part, f"{path}/{name}")
        else:
            _check_written_alike(folder, name, metadata)
            system.delete(part)
    except BaseException:
        with suppress(OSError):
            system.delete(part)
        raise


def _check_written_alike(folder: str, name: str, metadata: Mapping[bytes, bytes]) -> None:
    """Raise a UsageError unless a file of results is what would have been written: by a worker that was given up."""
    found = read_metadata(folder, name)
    if any(found.get(key) != metadata.get(key) for key in (BUNDLE, SETTINGS)):
        raise UsageError(f"{folder}/{name}: another run has written other results there; give another folder")


def remove_parts(folder: str, run: str = "") -> None:
    """Delete what workers that died have left in a folder of results: those of a run, or all."""
    system, path = storage.opened_place(folder)
    for name in system.files_in(path):
        if name.startswith(".") and name.endswith(f"{run}{PART}"):
            with suppress(OSError):
                system.delete(f"{path}/{name}")


def read_metadata(folder: str, name: str) -> dict[bytes, bytes]:
    """What a file of results says of itself.

    Raises:
        UsageError: it is not one.
    """
    parquet, arrow = storage.optional("pyarrow.parquet"), storage.optional("pyarrow")
    place = f"{folder.rstrip('/')}/{name}"
    try:
        with storage.open_for_reading(place) as file:
            metadata: dict[bytes, bytes] = dict(parquet.read_metadata(file).metadata or {})
    except arrow.ArrowException:
        metadata = {}
    if BUNDLE not in metadata:
        raise UsageError(f"{place}: not a result of an archive; delete it, or give another folder")
    return metadata


def documents(folder: str, name: str) -> Iterator[dict[str, Any]]:
    """The recordings of one file of results as JSON documents, in order."""
    parquet = storage.optional("pyarrow.parquet")
    with storage.open_for_reading(f"{folder.rstrip('/')}/{name}") as file:
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=ROWS_TOGETHER):
            yield from map(as_document, batch.to_pylist())
