"""The commands that answer an archive by two workers, in three ways, and what they write."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import wav2edge
from wav2edge.output.documents import strict_json

WORKERS, SHARD = 2, 100
SYSTEMS = {
    "threads of one process": (),
    "processes": ("--cluster", "local"),
    "actors of Ray": ("--cluster", "ray"),
}
"""How two workers answer -> the options of ``wav2edge run``."""
FIRST, *OTHERS = SYSTEMS


def command(bundle: Path, clips: Sequence[Path] | Path, output: Path, options: Sequence[str], shard: int) -> list[str]:
    """The command of a system; that of one process prints its lines."""
    names = [clips] if isinstance(clips, Path) else clips
    where = ["--output-dir", output, "--shard", shard] if options else ["--format", "jsonl"]
    words = ["run", bundle, *names, "--workers", WORKERS, "--threads", 1, *options, *where]
    return [sys.executable, "-m", "wav2edge", *map(str, words)]


def lines(output: Path) -> list[str]:
    """Results as JSON lines, in the order of the inputs."""
    if output.is_file():
        return output.read_text(encoding="utf-8").splitlines()
    found = sorted(wav2edge.read_archive(output), key=lambda each: str(each["path"]))
    return [
        strict_json({key: each[key] for key in each if key not in ("source", "row")}, indent=None) for each in found
    ]


def clear(output: Path) -> Path:
    """A place for results, with nothing there."""
    shutil.rmtree(output, ignore_errors=True)
    return output
