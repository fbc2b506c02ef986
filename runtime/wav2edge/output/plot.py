"""A picture of what was recognised: the waveform, its segments, and the words where they were said.

It needs Matplotlib, from the extra ``plot``. A recording is read block by block and drawn from its envelope, so that
memory does not grow with its length.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import open_recording
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import MissingDependencyError, UsageError
from wav2edge.output.result import Result, Segment
from wav2edge.output.writers import segments_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
INK, PALE, FAINT = "#1d2430", "#8b95a5", "#d9dee6"
WAVE, SPEECH, REJECTED = "#0072b2", "#e8f1f8", "#f6ebe4"
"""The blue of Okabe and Ito, which colour-blind readers can tell apart, and two pale grounds."""
FONTS = (
    *("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "WenQuanYi Zen Hei", "Microsoft YaHei"),
    *("PingFang SC", "Hiragino Sans", "Arial Unicode MS", "Noto Sans"),
)
"""Those of them that are installed; what the first lacks is taken from the next."""
ROW_S, MOST_ROWS = 60.0, 12
"""Up to so many rows of a minute words can be read; a longer recording is one row, over a strip of its segments."""
COLUMNS = 1500
"""Columns of the envelope in a row."""
LEVELS, LEVEL = 3, 0.55
"""Heights at which words stand that would otherwise touch, and how far apart; one that fits nowhere is left out."""
TICKS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
MOST_TICKS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Envelope:
    """The lowest and highest sample of each stretch of a recording: ``[stretches] float32`` each."""

    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    stretch_s: float


def check_plot(path: Path) -> None:
    """Raise, before anything is recognised, what would keep a picture from being drawn.

    Raises:
        UsageError: the file's name ends in no known format, or its folder is missing.
        MissingDependencyError: Matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--plot {path}: the name of a picture ends in {', '.join(SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--plot {path}: there is no folder {path.parent}; make it first")
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
    rows = math.ceil(result.duration_s / ROW_S)
    row_s = result.duration_s / (rows if rows <= MOST_ROWS else 1)
    with open_recording(source) as recording:
        envelope = envelope_of(recording.blocks(), row_s / COLUMNS)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # no installed font has it
            draw(result, envelope, row_s=row_s, title=_shown(source)).savefig(part, dpi=150)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _shown(source: str) -> str:
    """The name of a file; bytes that are no text, which cannot be drawn, are question marks."""
    return os.path.basename(source).encode("utf-8", "replace").decode()


def envelope_of(blocks: Iterable[npt.NDArray[np.float32]], stretch_s: float) -> Envelope:
    """The envelope of a recording.

    Args:
        blocks: ``[samples] float32`` each, at 16 kHz.
        stretch_s: seconds of audio in a column.
    """
    stretch = max(1, round(stretch_s * SAMPLE_RATE_HZ))
    lows, highs, rest = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)], np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        whole = len(rest) // stretch * stretch
        table, rest = rest[:whole].reshape(-1, stretch), rest[whole:]
        lows.append(table.min(axis=1))
        highs.append(table.max(axis=1))
    if len(rest):
        lows.append(rest.min(keepdims=True))
        highs.append(rest.max(keepdims=True))
    return Envelope(low=np.concatenate(lows), high=np.concatenate(highs), stretch_s=stretch / SAMPLE_RATE_HZ)


def draw(result: Result, envelope: Envelope, *, row_s: float, title: str) -> Figure:
    """The picture.

    Args:
        result: what was recognised; a clip without segments is one.
        envelope: of the recording.
        row_s: seconds in a row.
        title: stands above.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows = max(1, round(result.duration_s / row_s))
    segments = segments_of(result)
    readable = row_s <= ROW_S
    with rc_context({"font.family": _fonts(), "svg.fonttype": "none"}):
        figure = Figure(figsize=(12, 0.9 + 1.5 * rows), layout="constrained")
        grid = figure.subplots(rows, 1, squeeze=False)
        scale = max(float(np.abs(envelope.low).max(initial=0)), float(envelope.high.max(initial=0)), 1e-6)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
        for number, (axes,) in enumerate(grid):
            _draw_row(axes, envelope, scale, begin_s=number * row_s, end_s=(number + 1) * row_s)
            _mark_segments(axes, segments, height=1.0 if readable else 0.05)
        figure.draw_without_rendering()  # now it is known how wide words are
        levels = [_write_words(axes, segments) for (axes,) in grid] if readable else [0]
        for (axes,) in grid:
            axes.set_ylim(-1.3, 1.15 + LEVEL * max(levels))
    return figure


def _draw_row(axes: Axes, envelope: Envelope, scale: float, *, begin_s: float, end_s: float) -> None:
    first, last = (round(second / envelope.stretch_s) for second in (begin_s, end_s))
    times = (np.arange(first, min(last, len(envelope.low))) + 0.5) * envelope.stretch_s
    low, high = (side[first:last] / scale for side in (envelope.low, envelope.high))
    axes.fill_between(times, low, high, color=WAVE, linewidth=0.3, zorder=2)
    axes.set_xlim(begin_s, max(end_s, begin_s + 1e-3))
    axes.set_yticks([])
    step_s = next((step for step in TICKS_S if (end_s - begin_s) / step <= MOST_TICKS), TICKS_S[-1])
    axes.set_xticks(np.arange(math.ceil(begin_s / step_s - 1e-6) * step_s, end_s + 1e-6, step_s))
    axes.xaxis.set_major_formatter(_clock)
    axes.tick_params(colors=PALE, labelsize=8, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(FAINT)


def _clock(second: float, position: float = 0) -> str:
    """A moment on the axis: seconds below a minute, minutes and seconds above, and hours."""
    minutes, seconds = divmod(second, 60)
    if not minutes:
        return f"{round(seconds, 2):g} s"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:02.0f}" if hours else f"{minutes}:{seconds:02.0f}"


def _mark_segments(axes: Axes, segments: Sequence[Segment], *, height: float) -> None:
    """A ground behind each segment, up to a share of the row's height; a low one is dark enough to be seen."""
    begin_s, end_s = axes.get_xlim()
    for segment in _between(segments, begin_s, end_s):
        ground = (REJECTED if segment.rejected else SPEECH) if height == 1 else PALE
        where = (max(segment.start_s, begin_s), min(segment.end_s, end_s))
        axes.axvspan(*where, ymax=height, color=ground, zorder=0, linewidth=0)


def _between(segments: Sequence[Segment], begin_s: float, end_s: float) -> Iterator[Segment]:
    return (segment for segment in segments if segment.end_s > begin_s and segment.start_s < end_s)


def _write_words(axes: Axes, segments: Sequence[Segment]) -> int:
    """Words at the lowest height that is free, and the label of a segment below it; returns the heights in use."""
    begin_s, end_s = axes.get_xlim()
    rows = [_Line(axes, 1.2 + LEVEL * level, size=9, colour=INK) for level in range(LEVELS)]
    labels = _Line(axes, -1.28, size=8, colour=PALE)
    for segment in _between(segments, begin_s, end_s):
        for text, start_s, stop_s in _words(segment):
            if begin_s <= (start_s + stop_s) / 2 < end_s:
                row = next((row for row in rows if row.write(text, (start_s + stop_s) / 2)), None)
                if row is not None:
                    axes.plot([start_s, stop_s], [row.height - 0.08] * 2, color=PALE, linewidth=0.8, zorder=1)
        middle_s = (segment.start_s + segment.end_s) / 2
        if (label := _label(segment)) and begin_s <= middle_s < end_s:
            labels.write(label, middle_s)
    return sum(row.free_from > float("-inf") for row in rows)


class _Line:
    """A line of texts that must not touch."""

    def __init__(self, axes: Axes, height: float, *, size: float, colour: str) -> None:
        self._axes, self.height = axes, height
        self._look: dict[str, Any] = {"fontsize": size, "color": colour}
        self.free_from = float("-inf")

    def write(self, text: str, middle_s: float) -> bool:
        """Write a text around a moment, inside the row; False where it would touch the one before."""
        written = self._axes.text(middle_s, self.height, text, ha="center", va="bottom", clip_on=True, **self._look)
        box = written.get_window_extent().transformed(self._axes.transData.inverted())
        begin_s, end_s = self._axes.get_xlim()
        moved_s = max(0.0, begin_s - box.x0) - max(0.0, box.x1 - end_s)
        if box.x0 + moved_s < self.free_from:
            written.remove()
            return False
        written.set_x(middle_s + moved_s)
        self.free_from = box.x1 + moved_s + (box.x1 - box.x0) / max(1, len(text))
        return True


def _words(segment: Segment) -> list[tuple[str, float, float]]:
    """What stands above a segment: its words at their times, or its whole text."""
    if segment.words is not None:
        return [(word.text, word.start_s, word.end_s) for word in segment.words]
    return [(segment.text, segment.start_s, segment.end_s)] if segment.text else []


def _label(segment: Segment) -> str | None:
    """What stands below a segment: the class and how sure it is, or that it is rejected."""
    if segment.rejected:
        return "rejected"
    if segment.label is None or not segment.scores:
        return None
    return f"{segment.label} ({max(segment.scores.values()):.2f})"


def _fonts() -> list[str]:
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return [name for name in FONTS if name in installed] or ["sans-serif"]
