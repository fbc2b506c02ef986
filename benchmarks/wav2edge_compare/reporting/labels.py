"""Names written beside what they name, in a chart with no room for a legend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from wav2edge_compare.reporting.results import Row

Point = tuple[float, float, Row, str]
"""Place in the chart's own units, what stands there, and its colour."""

LINE_POINTS, LETTER_POINTS = 13.0, 5.6
"""Height of a label's line, and width of one of its letters."""


def name_ends(axes: Axes, ends: Sequence[Point]) -> None:
    """Names to the right of the lines' ends, pushed apart where they would cover each other."""
    per_point = _laid_out(axes).dpi / 72
    heights = [axes.transData.transform((x, y))[1] / per_point for x, y, _, _ in ends]
    for point, height, place in zip(ends, heights, spread(heights, LINE_POINTS), strict=True):
        _name(axes, point, offset=(14, place - height), side="left")


def spread(wanted: Sequence[float], distance: float) -> list[float]:
    """Places at least ``distance`` apart, in the order of the wanted ones and, in squares, as near to them as can be.

    With the distances taken out, that is isotonic regression, here by pooling adjacent violators (Barlow, Bartholomew,
    Bremner and Brunk, "Statistical Inference under Order Restrictions", 1972).
    """
    order = np.argsort(wanted, kind="stable")
    pools: list[list[float]] = []
    for number, index in enumerate(order):
        pools.append([wanted[index] - number * distance])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    level = np.concatenate([np.full(len(pool), np.mean(pool)) for pool in pools])
    places = np.empty(len(wanted))
    places[order] = level + distance * np.arange(len(wanted))
    return places.tolist()


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
