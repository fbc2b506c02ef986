"""The file of a picture: what would keep it from being written is said first, and it appears when it is complete.

A recording is read block by block and drawn from its envelope, so that memory does not grow with its length.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from wav2edge.audio.clip import open_recording
from wav2edge.errors import MissingDependencyError, UsageError
from wav2edge.output.plot.drawing import COLUMNS, draw, row_length
from wav2edge.output.plot.envelope import envelope_of
from wav2edge.output.plot.lettering import quiet
from wav2edge.output.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Raise, before anything is recognised, what would keep a picture from being drawn.

    Raises:
        UsageError: the file's name ends in no known format, or it cannot be written there.
        MissingDependencyError: Matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--plot {path}: the name of a picture ends in {', '.join(SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--plot {path}: there is no folder {path.parent}; make it first")
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise UsageError(f"--plot {path}: no file can be written there; give another name")
    if find_spec("matplotlib") is None:
        raise MissingDependencyError(
            "--plot needs Matplotlib, which is not installed; run: pip install 'wav2edge[plot]'"
        )


def write_plot(path: Path, result: Result, source: str) -> None:
    """Draw a recording and what was recognised in it; the file appears when it is complete.

    Args:
        path: the picture, of a format in ``SUFFIXES``.
        result: of the recording.
        source: the file of the recording, which is read once more.

    Raises:
        AudioError: the recording can no longer be read.
    """
    row_s = row_length(result)
    with open_recording(source) as recording:
        envelope = envelope_of(recording.blocks(), row_s / COLUMNS)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        with quiet():
            figure = draw(result, envelope, row_s=row_s, title=os.path.basename(source))
            _save(figure, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _save(figure: Figure, path: Path) -> None:
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none"}):  # text stays text: a browser has fonts for more scripts
        figure.savefig(path, dpi=150)
