"""Recognise every clip of a folder and write one row per clip.

A clip that fails gets its error in the row:

    python examples/folder_to_csv.py models/words models/clips transcripts.csv
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import wav2edge

SUFFIXES = {".wav", ".flac", ".mp3", ".ogg"}
COLUMNS = ("path", "duration_s", "text", "label", "confidence", "error")


def rows(engine: wav2edge.Engine, folder: Path) -> list[dict[str, object]]:
    """A row per clip, in the order of the file names. ``map`` holds only a few clips in memory at a time."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    found = []
    for path, result in zip(paths, engine.map(paths, errors="return"), strict=True):
        row: dict[str, object] = {"path": path.as_posix()}
        if isinstance(result, wav2edge.Wav2EdgeError):
            row["error"] = str(result)
        else:
            row |= {name: value for name, value in result.to_dict().items() if name in COLUMNS}
        found.append(row)
    return found


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python examples/folder_to_csv.py BUNDLE FOLDER TABLE")
    bundle, folder, table = sys.argv[1:]
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows(wav2edge.load(bundle), Path(folder)))
