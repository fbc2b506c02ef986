"""The charts of a report, each drawn for light and for dark pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from wav2edge_compare.measuring.statistics import median_s
from wav2edge_compare.reporting.labels import name_ends, name_points
from wav2edge_compare.reporting.results import Comparison, Row

PEER_COLOURS = ("#8c6bb1", "#d08a3e", "#b5567a", "#4f8f8b", "#7a8794", "#5b82b5", "#9a8f3c", "#a0705a", "#6f9a52")
"""Muted and of like weight, told apart also by their labels; two fixed bright ones are ours."""

MARKERS = "osD^vPX<>"


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours of a page."""

    name: str
    paper: str
    ink: str
    faint: str
    ours: tuple[str, ...]


LIGHT = Theme(name="light", paper="#ffffff", ink="#1d2430", faint="#d9dee6", ours=("#0b7a5c", "#2f9fd8"))
DARK = Theme(name="dark", paper="#161b22", ink="#e4e9f0", faint="#303843", ours=("#3ddc9f", "#5cc3ff"))
THEMES = (LIGHT, DARK)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart's file name, title, one sentence on how to read it, and how it is drawn."""

    name: str
    title: str
    caption: str
    draw: Callable[[Axes, Comparison, Theme], None]
    height_in: float = 4.8

    def figure(self, comparison: Comparison, theme: Theme) -> Figure:
        """Draw it."""
        figure = Figure(figsize=(9, self.height_in), dpi=160, facecolor=theme.paper, layout="constrained")
        axes = figure.add_subplot()
        _dress(axes, theme)
        self.draw(axes, comparison, theme)
        return figure


def charts(comparison: Comparison) -> tuple[Chart, ...]:
    """The charts that a comparison has figures for."""
    judged, length_s = _judgement(comparison), reference_length_s(comparison)
    rows = _timed(comparison)
    drawn = {
        Chart(
            name="latency",
            title="Latency against clip length",
            caption="Median time to answer one clip; both axes are logarithmic. Lower is faster.",
            draw=draw_latency,
            height_in=5.4,
        ): bool(rows),
        Chart(
            name="accuracy",
            title=f"{judged.title} against latency at {length_s:g} s",
            caption=f"{judged.caption} Towards the lower left corner is better on both counts.",
            draw=draw_quality,
        ): any(judged.of(row) is not None for row in rows),
        Chart(
            name="memory",
            title="Peak memory",
            caption="Largest resident size of the whole process, from the shortest clips (ring) to the longest (disc).",
            draw=draw_memory,
        ): any(row.peaks_bytes for row in rows),
    }
    return tuple(chart for chart, has_figures in drawn.items() if has_figures)


def reference_length_s(comparison: Comparison) -> float:
    """The clip length nearest to one second, by which systems are compared in one figure."""
    return min(comparison.durations_s, key=lambda duration_s: abs(np.log(duration_s)))


def draw_latency(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    """Median latency over clip length, a line a system, named at its end."""
    rows = _timed(comparison)
    ends = []
    for row, colour, marker in _styled(rows, theme):
        lengths = sorted(row.turns)
        values = [median_s(row.turns[length]) * 1e3 for length in lengths]
        weight = 2.8 if row.ours else 1.4
        axes.plot(lengths, values, color=colour, marker=marker, markersize=5, linewidth=weight, zorder=3 + row.ours)
        ends.append((lengths[-1], values[-1], row, colour))
    axes.set(xscale="log", yscale="log", xlabel="clip length, s", ylabel="median latency, ms")
    _plain_ticks(axes.yaxis)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(comparison.durations_s, [f"{length:g}" for length in comparison.durations_s])
    name_ends(axes, ends)


def draw_quality(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    """What a system loses against how long it takes, a point a system."""
    judged, length_s = _judgement(comparison), reference_length_s(comparison)
    rows = [row for row in _timed(comparison) if length_s in row.turns and judged.of(row) is not None]
    axes.set(xscale="log", xlabel=f"median latency of a {length_s:g} s clip, ms", ylabel=judged.axis)
    if judged.logarithmic:
        axes.set_yscale("log")
    points = []
    for row, colour, marker in _styled(rows, theme):
        x, y = median_s(row.turns[length_s]) * 1e3, judged.of(row)
        assert y is not None
        y = max(y, judged.floor)
        axes.scatter(x, y, s=130 if row.ours else 64, color=colour, marker=marker, zorder=3 + row.ours)
        points.append((x, y, row, colour))
    _plain_ticks(axes.xaxis)
    axes.margins(x=0.2, y=0.14)
    name_points(axes, points)


def draw_memory(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    """Peak memory from the shortest to the longest clips, a line a system."""
    rows = sorted(
        (row for row in _timed(comparison) if row.peaks_bytes), key=lambda row: -max(row.peaks_bytes.values())
    )
    colours = {row.name: colour for row, colour, _ in _styled(_timed(comparison), theme)}
    for place, row in enumerate(rows):
        shortest, longest = (row.peaks_bytes[pick(row.peaks_bytes)] / 1e6 for pick in (min, max))
        colour = colours[row.name]
        axes.plot([shortest, longest], [place, place], color=colour, linewidth=4 if row.ours else 2.4, zorder=3)
        axes.scatter([longest], [place], s=70, color=colour, zorder=4)
        axes.scatter([shortest], [place], s=60, facecolor=theme.paper, edgecolor=colour, linewidth=2, zorder=4)
        axes.annotate(
            f"{longest:,.0f} MB",
            (longest, place),
            (9, 0),
            textcoords="offset points",
            va="center",
            color=theme.ink,
            fontsize=9,
        )
    axes.set_yticks(range(len(rows)), [row.title for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set(color=colours[row.name], fontweight="bold" if row.ours else "normal")
    axes.set(xlim=(0, None), xlabel="peak memory of the process, MB")
    axes.margins(y=0.08)
    left, right = axes.get_xlim()
    axes.set_xlim(left, right * 1.12)
    axes.grid(visible=False, axis="y")


@dataclass(frozen=True, kw_only=True)
class _Judgement:
    """What stands on the vertical axis of the accuracy chart; ``floor`` is where an exact answer is drawn."""

    title: str
    caption: str
    axis: str
    of: Callable[[Row], float | None]
    logarithmic: bool
    floor: float


def _judgement(comparison: Comparison) -> _Judgement:
    judged = [row.quality for row in comparison.rows if row.quality is not None]
    if any(each.wer is not None for each in judged):
        return _Judgement(
            title="Word error rate",
            caption="Word error rate on the same clips.",
            axis="word error rate",
            of=lambda row: row.quality.wer.variant if row.quality and row.quality.wer else None,
            logarithmic=False,
            floor=0.0,
        )
    if any(each.accuracy is not None for each in judged):
        return _Judgement(
            title="Errors of the class",
            caption="Share of clips whose class is wrong.",
            axis="1 - accuracy",
            of=lambda row: 1 - row.quality.accuracy.variant if row.quality and row.quality.accuracy else None,
            logarithmic=False,
            floor=0.0,
        )
    return _Judgement(
        title="Logit error",
        caption="Root mean square of the difference from PyTorch over that of its logits; 1e-7 stands for none.",
        axis="relative logit error, RMS",
        of=lambda row: row.quality.rms_error if row.quality else None,
        logarithmic=True,
        floor=1e-7,
    )


def _timed(comparison: Comparison) -> list[Row]:
    return [row for row in comparison.measured if row.turns]


def _styled(rows: Sequence[Row], theme: Theme) -> list[tuple[Row, str, str]]:
    """A colour and a marker for each system, the same in every chart."""
    styled, ours, peers = [], 0, 0
    for row in rows:
        if row.ours:
            styled.append((row, theme.ours[ours % len(theme.ours)], "o"))
            ours += 1
        else:
            styled.append((row, PEER_COLOURS[peers % len(PEER_COLOURS)], MARKERS[peers % len(MARKERS)]))
            peers += 1
    return styled


def _dress(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor(theme.paper)
    axes.grid(visible=True, color=theme.faint, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=theme.ink, length=0, labelsize=10)
    for side in axes.spines.values():
        side.set_visible(False)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=theme.ink, fontsize=10.5)


def _plain_ticks(*places: Axis) -> None:
    """Ones, twos and fives as plain numbers."""
    for axis in places:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
