"""Data sets on disk: the Hugging Face ``audiofolder`` layout and NeMo-style JSON-lines manifests.

See https://huggingface.co/docs/datasets/audio_dataset#audiofolder and the manifest format of NVIDIA NeMo's ASR
collection. Only the rows are read here; the audio is read when it is needed.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wav2edge.errors import DataError
from wav2edge.evaluation.text_normalization import TextNormalization

NORMALIZE = TextNormalization()
"""What every transcript gets when it is read: Unicode NFC, single spaces between words."""
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
}
"""Accepted names of a split, and the name used here."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A row of a data set; ``where`` is its table and line, as in ``metadata.csv:7``.

    ``word_starts_s`` is when each word of the transcription begins to sound, in seconds; None where that is unknown.
    """

    path: Path
    where: str
    transcription: str | None = None
    label: str | None = None
    split: str | None = None
    speaker: str | None = None
    word_starts_s: tuple[float, ...] | None = None


def read_dataset(root: Path) -> list[Utterance]:
    """Every row of a data set, in the order of its files.

    Args:
        root: an ``audiofolder`` (``metadata.csv`` or ``metadata.jsonl``, in it or in its split folders), or a
            JSON-lines manifest with ``audio_filepath``, ``text`` and ``label``.

    Raises:
        DataError: no data set is there, or a row is broken; the message names file and line.
    """
    if root.is_file():
        folder, tables = root.parent, [root]
    elif root.is_dir():
        folder, tables = root, [table for each in (root, *sorted(root.iterdir())) for table in _tables_in(each)]
    else:
        raise DataError(f"{root}: no such data set; give a folder with metadata.csv, or a .jsonl manifest")
    if not tables:
        raise DataError(
            f"{root}: no metadata.csv or metadata.jsonl in it or its split folders; write one, a row for each clip:"
            " file_name, transcription, label"
        )
    utterances = [row for path in tables for row in _utterances(path, _reader(path)(path), folder)]
    if not utterances:
        raise DataError(f"{tables[0]}: holds no rows; add one row per clip")
    _check_agreement(utterances)
    return utterances


def select_split(utterances: Sequence[Utterance], split: str) -> list[Utterance]:
    """The rows of one split.

    Raises:
        DataError: there are none; the message lists the splits that the data set has.
    """
    chosen = [row for row in utterances if row.split == SPLIT_NAMES.get(split, split)]
    if not chosen and all(row.split is None for row in utterances):
        raise DataError(
            f"no row belongs to the split {split!r}, since no row names a split; add a column `split` with train,"
            " validation or test, or put the clips into folders of these names"
        )
    if not chosen:
        there = sorted({row.split or "(none)" for row in utterances})
        raise DataError(
            f"no row belongs to the split {split!r}; the data set has: {', '.join(there)}; write {split} into the"
            " column `split` of the rows that are meant for it, or name a split that is there"
        )
    return chosen


def label_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Distinct labels, numbers by value and before names."""
    return tuple(
        sorted(
            set(labels), key=lambda label: (not label.isdecimal(), int(label or 0) if label.isdecimal() else 0, label)
        )
    )


def _check_agreement(utterances: Iterable[Utterance]) -> None:
    """Raise a DataError for a clip that two rows say different things of: one of them is wrong."""
    found: dict[str, Utterance] = {}
    for row in utterances:
        first = found.setdefault(os.path.normpath(row.path), row)
        for name in ("transcription", "label"):
            before, now = getattr(first, name), getattr(row, name)
            if None not in (before, now) and before != now:
                raise DataError(
                    f"{row.where}: the {name} of {row.path.name} is {now!r}, and at {first.where} it is {before!r};"
                    " leave one of the rows out"
                )


def _tables_in(folder: Path) -> list[Path]:
    return [path for suffix in _READERS if (path := folder / f"metadata{suffix}").is_file()]


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        begins = 1
        try:
            _check_unique(reader.fieldnames or (), f"{path}:1", "column")
            begins = reader.line_num + 1
            for row in reader:
                if None in row:
                    raise DataError(
                        f"{path}:{reader.line_num}: more fields than the header has; put quotes around a field with a"
                        " comma"
                    )
                yield reader.line_num, row
                begins = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{path}:{begins}: not CSV ({error}); close each quote, and write one inside a field twice"
            ) from None


def _check_unique(names: Iterable[str], where: str, kind: str) -> None:
    names = [name for name in names if name]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"{where}: the {kind} {repeated!r} is there twice; leave one out")


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=partial(_json_object, f"{path}:{number}"))
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not JSON ({error.msg}); each line holds one JSON object") from None
            if not isinstance(row, dict):
                raise DataError(f"{path}:{number}: not a JSON object; each line holds one")
            yield number, row


def _json_object(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _check_unique((name for name, _ in pairs), where, "key")
    return dict(pairs)


_READERS: dict[str, Callable[[Path], Iterator[tuple[int, Mapping[str, Any]]]]] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
}


def _reader(path: Path) -> Callable[[Path], Iterator[tuple[int, Mapping[str, Any]]]]:
    return _READERS.get(path.suffix.lower(), _json_rows)


def _utterances(path: Path, rows: Iterator[tuple[int, Mapping[str, Any]]], root: Path) -> Iterator[Utterance]:
    try:
        for number, row in rows:
            yield _utterance(path, number, row, root)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None


def _utterance(path: Path, number: int, row: Mapping[str, Any], root: Path) -> Utterance:
    where = f"{path}:{number}"
    name = _text(row, "file_name", "audio_filepath")
    if not name:
        raise DataError(f"{where}: no file_name (or audio_filepath); each row must name its clip")
    if (_text(row, "offset") or "").strip("0."):
        raise DataError(f"{where}: a clip with an offset; cut it out into a file of its own")
    clip = path.parent / name
    transcription = _text(row, "transcription", "text")
    transcription = None if transcription is None else NORMALIZE(transcription)
    split = _text(row, "split") or _split_of(clip, root)
    return Utterance(
        path=clip,
        where=where,
        transcription=transcription,
        label=_text(row, "label", "command") or None,
        split=None if split is None else SPLIT_NAMES.get(split.lower(), split),
        speaker=_text(row, "speaker", "speaker_id") or None,
        word_starts_s=_word_starts_s(row, where, len((transcription or "").split())),
    )


def _word_starts_s(row: Mapping[str, Any], where: str, words: int) -> tuple[float, ...] | None:
    """The column ``word_starts_s``: numbers apart by spaces, or a JSON list of them."""
    written = row.get("word_starts_s")
    parts = written if isinstance(written, list) else str(written or "").split()
    if not parts:
        return None
    try:
        starts_s = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        raise DataError(f"{where}: word_starts_s is {written!r}; write seconds apart by spaces: 0.12 0.48") from None
    if len(starts_s) != words:
        raise DataError(f"{where}: {len(starts_s)} word_starts_s for {words} words; give one for each word, or none")
    if not all(0 <= start_s < math.inf for start_s in starts_s) or list(starts_s) != sorted(starts_s):
        raise DataError(f"{where}: word_starts_s is {written!r}; the seconds must rise from 0 on")
    return starts_s


def _text(row: Mapping[str, Any], *keys: str) -> str | None:
    for key in keys:
        if row.get(key) is not None:
            return str(row[key]).strip()
    return None


def _split_of(clip: Path, root: Path) -> str | None:
    """The split named by a clip's first folder, as in ``audiofolder``."""
    try:
        first = clip.relative_to(root).parts[0]
    except ValueError:
        return None
    return first if first.lower() in SPLIT_NAMES else None
