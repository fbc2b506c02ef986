"""Names written beside what they name, in a chart with no room for a legend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from wav2edge_export.comparison.comparison import Row

Point = tuple[float, float, Row, str]
"""Place in the chart's own units, what stands there, and its colour."""

LINE_POINTS, LETTER_POINTS = 13.0, 5.6
"""Height of a label's line, and width of one of its letters."""


def name_ends(axes: Axes, ends: Sequence[Point]) -> None:
    """Names to the right of the lines' ends, pushed apart where they would cover each other."""
    per_point = _laid_out(axes).dpi / 72
    wanted = [(axes.transData.transform((x, y))[1] / per_point, x, y, row, colour) for x, y, row, colour in ends]
    lowest = -np.inf
    for height, x, y, row, colour in sorted(wanted, key=lambda each: each[0]):
        lowest = max(height, lowest + LINE_POINTS)
        _name(axes, (x, y, row, colour), offset=(14, lowest - height), side="left")


def name_points(axes: Axes, points: Sequence[Point]) -> None:
    """Names beside points, where they cover neither another point nor another name."""
    per_point = _laid_out(axes).dpi / 72
    places = [axes.transData.transform((x, y)) / per_point for x, y, _, _ in points]
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in places]
    (leftmost, _), (rightmost, _) = axes.bbox.get_points() / per_point
    for (x, y), point in zip(places, points, strict=True):
        width = LETTER_POINTS * len(point[2].title)
        for shift, to_the_right in product((0, 13, -13, 26, -26, 39, -39), (True, False)):
            left = x + 12 if to_the_right else x - 12 - width
            box = Bbox.from_bounds(left, y + shift - LINE_POINTS / 2, width, LINE_POINTS)
            inside = leftmost < box.x0 and box.x1 < rightmost
            if inside and not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)
        _name(axes, point, offset=(12 if to_the_right else -12, shift), side="left" if to_the_right else "right")


def _name(axes: Axes, point: Point, *, offset: tuple[float, float], side: Literal["left", "right"]) -> None:
    """A system's name at an offset in points, tied to its place where it stands away from it."""
    x, y, row, colour = point
    tie = {"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 5}
    axes.annotate(
        row.title,
        (x, y),
        offset,
        textcoords="offset points",
        ha=side,
        va="center",
        color=colour,
        fontsize=9.5,
        fontweight="bold" if row.ours else "normal",
        arrowprops={**tie, "relpos": (0 if side == "left" else 1, 0.5)} if abs(offset[1]) > 4 else None,
        annotation_clip=False,
    )


def _laid_out(axes: Axes) -> Figure:
    """The figure, once everything in it has its place."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    return figure
