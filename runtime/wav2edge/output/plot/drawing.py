"""Rows of waveform with their segments and a time axis."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from wav2edge.output.plot.envelope import Envelope
from wav2edge.output.plot.lettering import (
    FLOOR,
    INK,
    LEVEL,
    LEVELS,
    LINE_WIDTH,
    MUTED,
    PALE,
    Words,
    between,
    label_of,
    lettering,
    letters_of,
    plain,
    texts_of,
    width_of,
)
from wav2edge.output.result import Result, Segment
from wav2edge.output.writers import labelled_stretches, segments_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAINT, WAVE, VERMILLION, SPEECH, REJECTED = "#d9dee6", "#0072b2", "#d55e00", "#e8f1f8", "#f6ebe4"
"""Blue and vermillion of Okabe and Ito, which colour-blind readers can tell apart, and pale grounds."""
WRITTEN_S, WRITTEN_ROWS_S = 720.0, (60.0, 30.0, 20.0, 15.0)
"""Up to this duration words are written, in rows as short as they need."""
OVERVIEW_ROWS_S, MOST_ROWS = (600.0, 3_600.0, 14_400.0, 86_400.0), 12
"""A longer recording has up to so many longer rows, over a strip of its segments."""
TOLERANCE = 0.1
"""A last row of less than that share is spread over those before."""
ROOMY = 0.6 * LEVELS * LINE_WIDTH
"""Letters in the lines above a row that find places at their times."""
COLUMNS = 1500
"""Stretches of the envelope in a row."""
TICKS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
MOST_TICKS = 12


def row_length(result: Result) -> float:
    """Seconds in a row of the picture, so that its words can be read where the recording is short enough for that."""
    if result.duration_s <= WRITTEN_S:
        lengths_s = [row_s for row_s in WRITTEN_ROWS_S if _has_room(result, row_s)]
        longest_s = max(lengths_s, default=WRITTEN_ROWS_S[-1])
    else:
        lengths_s = [row_s for row_s in OVERVIEW_ROWS_S if result.duration_s <= row_s * MOST_ROWS]
        longest_s = min(lengths_s, default=result.duration_s)
    return result.duration_s / max(1, math.ceil(result.duration_s / longest_s - TOLERANCE))


def _drawn(result: Result) -> list[Segment]:
    """What stands in the picture: segments, or stretches of labels of frames."""
    return [each for segment in segments_of(result) for each in labelled_stretches(segment)]


def _has_room(result: Result, row_s: float) -> bool:
    """Whether hardly any word or label must be left out in rows of that length."""
    words, labels = Counter[int](), Counter[int]()
    for segment in _drawn(result):
        for text, start_s, end_s in texts_of(segment):
            words[int((start_s + end_s) / 2 // row_s)] += width_of(text) + 1
        labels[int((segment.start_s + segment.end_s) / 2 // row_s)] += width_of(label_of(segment)) + 1
    return max(words.values(), default=0) <= ROOMY and max(labels.values(), default=0) <= LINE_WIDTH


def draw(result: Result, envelope: Envelope, *, row_s: float, title: str) -> Figure:
    """The picture.

    Args:
        result: what was recognised; a clip without segments is one.
        envelope: of the recording.
        row_s: seconds in a row.
        title: stands above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = max(1, math.ceil(result.duration_s / row_s - 1e-6))
    segments = _drawn(result)
    written = result.duration_s <= WRITTEN_S
    with lettering(letters_of(title, segments)):
        figure = Figure(figsize=(12, 0.9 + (1.5 if written else 1.1) * rows), layout="constrained")
        FigureCanvasAgg(figure)  # keeps its renderer; without one, every text would be measured in a new image
        grid = [axes for (axes,) in figure.subplots(rows, 1, squeeze=False)]
        figure.suptitle(_title(title), x=0.01, ha="left", fontsize=11, color=INK)
        for number, axes in enumerate(grid):
            _draw_row(axes, envelope, begin_s=number * row_s, end_s=(number + 1) * row_s)
            _mark_segments(axes, segments, written=written)
        figure.draw_without_rendering()  # now it is known how wide words are
        rows_of_words = [Words(axes, segments) for axes in grid] if written else []
        levels = max((row.place() for row in rows_of_words), default=0)
        for axes in grid:
            axes.set_ylim(-1.3, FLOOR - 0.05 + LEVEL * levels)
        note = _note(segments, left_out=sum(row.left_out for row in rows_of_words))
        figure.text(0.99, 1 - 0.05 / figure.get_figheight(), note, ha="right", va="top", fontsize=8, color=MUTED)
    return figure


def _title(name: str) -> str:
    return plain(name if len(name) <= 80 else f"{name[:50]}…{name[-29:]}")


def _note(segments: Sequence[Segment], *, left_out: int) -> str:
    """What the picture alone does not say."""
    rejected = sum(segment.rejected for segment in segments)
    notes = [f"{rejected} of {len(segments)} segments rejected"] if rejected else []
    return ", ".join([*notes, f"no room for {left_out} of the texts"] if left_out else notes)


def _draw_row(axes: Axes, envelope: Envelope, *, begin_s: float, end_s: float) -> None:
    first, last = (round(second / envelope.stretch_s) for second in (begin_s, end_s))
    times = (np.arange(first, min(last, len(envelope.low))) + 0.5) * envelope.stretch_s
    low, high = (side[first:last] / max(envelope.peak, 1e-6) for side in (envelope.low, envelope.high))
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


def _mark_segments(axes: Axes, segments: Sequence[Segment], *, written: bool) -> None:
    """A ground behind each segment where there is room for words, else a strip below the waveform."""
    begin_s, end_s = axes.get_xlim()
    answered, rejected, height = (SPEECH, REJECTED, 1.0) if written else (PALE, VERMILLION, 0.07)
    for segment in between(segments, begin_s, end_s):
        where = (max(segment.start_s, begin_s), min(segment.end_s, end_s))
        axes.axvspan(*where, ymax=height, color=rejected if segment.rejected else answered, zorder=0, linewidth=0)
