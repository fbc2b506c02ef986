"""Bundles that are altered somewhere: each is a copy of a good one in which one file was changed."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wav2edge.bundle.manifest import MANIFEST

GRAPHS = "*.onnx"
EDITS: dict[str, Callable[[random.Random, dict[str, Any]], None]] = {
    "name": lambda draw, document: document.update(name=f"other {draw.random()}"),
    "format version": lambda draw, document: document.update(format_version=draw.choice((0, 1, 3, "2"))),
    "vocabulary": lambda draw, document: draw.shuffle(document["heads"]["ctc"]["vocabulary"]),
    "labels": lambda draw, document: document["heads"]["classification"]["labels"].reverse(),
    "blank": lambda draw, document: document["heads"]["ctc"].update(blank_id=draw.randrange(10)),
    "silent tokens": lambda draw, document: document["heads"]["ctc"].update(silent_ids=[draw.randrange(10)]),
    "case": lambda draw, document: document["heads"]["ctc"].update(
        lower_case=not document["heads"]["ctc"]["lower_case"]
    ),
    "strides": lambda draw, document: draw.shuffle(document["conv_strides"]),
    "temperatures": lambda draw, document: document.update(confidence_temperature={"ctc": draw.uniform(0.1, 9)}),
    "decoder": lambda draw, document: document.update(decoder={"grammar": {"phrases": ["fu dan"]}}),
    "silence": lambda draw, document: document.update(trims_silence=not document["trims_silence"]),
    "digest": lambda draw, document: document["files"].pop(draw.choice(sorted(document["files"]))),
}
"""Alterations of a manifest, as somebody might make them with an editor or a script."""

Change = Callable[[random.Random, Path, Path], None]
"""Takes a source of chance, the file to change, and the folder of another bundle."""


def _flip_bit(draw: random.Random, path: Path, _: Path) -> None:
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def _scramble(draw: random.Random, path: Path, _: Path) -> None:
    """The size stays, so that only the digest tells."""
    content = bytearray(path.read_bytes())
    for _each in range(20):
        content[draw.randrange(len(content))] = draw.randrange(256)
    path.write_bytes(content)


def _cut(draw: random.Random, path: Path, _: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content))])


def _add(draw: random.Random, path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes() + draw.choice((b"\n", b" ", b"\0", draw.randbytes(40))))


def _line_breaks(draw: random.Random, path: Path, other: Path) -> None:
    """What Git and editors do on Windows."""
    content = path.read_bytes()
    changed = content.replace(b"\n", b"\r\n")
    path.write_bytes(changed)
    if changed == content:
        _add(draw, path, other)


def _remove(draw: random.Random, path: Path, _: Path) -> None:
    path.unlink()


def _of_another(draw: random.Random, path: Path, other: Path) -> None:
    """The file of the same name from another bundle, or any other file of that one."""
    same = other / path.name
    source = same if same.is_file() else draw.choice(sorted(each for each in other.rglob("*") if each.is_file()))
    shutil.copyfile(source, path)


CHANGES: dict[str, Change] = {
    "a bit flipped": _flip_bit,
    "bytes overwritten": _scramble,
    "cut short": _cut,
    "bytes added": _add,
    "other line breaks": _line_breaks,
    "removed": _remove,
    "of another bundle": _of_another,
}
"""What is done to a file, by its name in the record."""


def _edit_manifest(draw: random.Random, path: Path, name: str) -> None:
    document = json.loads(path.read_bytes())
    EDITS[name](draw, document)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def alter(folder: Path, other: Path, *, seed: int, number: int) -> tuple[str, str]:
    """Change one file of a bundle, of every second mutant the manifest or a graph.

    Args:
        folder: a copy, which is changed.
        other: another bundle.
        seed: of all mutants.
        number: of this one.

    Returns: what was done, and the path of the file in the folder.
    """
    draw = random.Random(f"bundle {seed} {number}")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if number % 4 == 0:
        name = list(EDITS)[number // 4 % len(EDITS)]
        _edit_manifest(draw, folder / MANIFEST, name)
        return f"edited {name}", MANIFEST
    chosen = {1: [folder / MANIFEST], 2: sorted(folder.rglob(GRAPHS)), 3: files}[number % 4]
    path = draw.choice(chosen)
    before = path.read_bytes()
    name = draw.choice(list(CHANGES))
    CHANGES[name](draw, path, other)
    if path.is_file() and path.read_bytes() == before:
        name = "bytes added"
        CHANGES[name](draw, path, other)
    return name, path.relative_to(folder).as_posix()
