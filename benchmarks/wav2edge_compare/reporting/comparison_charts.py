"""The charts of a report, each drawn for light and for dark pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from wav2edge_compare.comparison_results import Comparison, Row
from wav2edge_compare.measuring.statistics import median_s

PEER_COLOURS = (
    "#8c6bb1",
    "#d08a3e",
    "#b5567a",
    "#4f8f8b",
    "#7a8794",
    "#5b82b5",
    "#c8553d",
    "#9a8f3c",
    "#a0705a",
    "#6f9a52",
)
"""Muted, and distinguished by marker as well; our two variants have fixed bright colours."""

MARKERS = "osD^vPpX<>"


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
    """A chart's file name, title, a caption that explains how to read it, and the function that draws it."""

    name: str
    title: str
    caption: str
    draw: Callable[[Axes, Comparison, Theme], None]
    height_in: float = 4.8

    def figure(self, comparison: Comparison, theme: Theme) -> Figure:
        """Draw it."""
        figure = Figure(figsize=(10, self.height_in), dpi=160, facecolor=theme.paper, layout="constrained")
        axes = figure.add_subplot()
        _style_axes(axes, theme)
        self.draw(axes, comparison, theme)
        return figure


def charts(comparison: Comparison) -> tuple[Chart, ...]:
    """The charts that a comparison has figures for."""
    quality, length_s = _quality_axis(comparison), reference_length_s(comparison)
    rows = _timed(comparison)
    candidates = {
        Chart(
            name="time",
            title=f"Latency at {length_s:g} s",
            caption=f"Median latency for a clip of {length_s:g} s, fastest first.",
            draw=draw_time,
            height_in=0.6 + 0.38 * len(rows),
        ): any(length_s in row.turns for row in rows),
        Chart(
            name="latency",
            title="Latency by clip length",
            caption="Median latency per clip; both axes are logarithmic. Lower is faster.",
            draw=draw_latency,
            height_in=5.4,
        ): bool(rows),
        Chart(
            name="accuracy",
            title=f"{quality.title} and latency at {length_s:g} s",
            caption=f"{quality.caption} Nearer to the lower left corner is better.",
            draw=draw_quality,
        ): any(quality.of(row) is not None for row in rows),
        Chart(
            name="memory",
            title="Peak memory",
            caption="Peak resident memory of the whole process, from the shortest clips (ring) to the longest (disc).",
            draw=draw_memory,
        ): any(row.peaks_bytes for row in rows),
    }
    return tuple(chart for chart, has_figures in candidates.items() if has_figures)


def reference_length_s(comparison: Comparison) -> float:
    """The clip length nearest to one second, used wherever one length stands for all."""
    return min(comparison.durations_s, key=lambda duration_s: abs(np.log(duration_s)))


def draw_time(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    """Median latency at one clip length as bars, fastest on top."""
    length_s = reference_length_s(comparison)
    styles = [style for style in _styled(_timed(comparison), theme) if length_s in style[0].turns]
    styles.sort(key=lambda style: median_s(style[0].turns[length_s]), reverse=True)
    values = [median_s(row.turns[length_s]) * 1e3 for row, _, _ in styles]
    bars = axes.barh(range(len(styles)), values, height=0.6, color=[colour for _, colour, _ in styles])
    axes.bar_label(bars, [f"{value:.3g} ms" for value in values], padding=6, color=theme.ink, fontsize=9.5)
    _name_rows(axes, [(row, colour) for row, colour, _ in styles])
    axes.set_xticks([])
    axes.margins(x=0.1, y=0.02)


def draw_latency(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    """Median latency over clip length, one line per system."""
    rows = _timed(comparison)
    for row, colour, marker in _styled(rows, theme):
        lengths = sorted(row.turns)
        values = [median_s(row.turns[length]) * 1e3 for length in lengths]
        weight = 2.8 if row.ours else 1.4
        axes.plot(
            lengths, values, color=colour, marker=marker, markersize=5, linewidth=weight, zorder=3 + row.ours,
            label=row.title,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="clip length, s", ylabel="median latency, ms")
    _plain_ticks(axes.yaxis)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(comparison.durations_s, [f"{length:g}" for length in comparison.durations_s])
    slowest_first = sorted(range(len(rows)), key=lambda place: -median_s(rows[place].turns[max(rows[place].turns)]))
    _legend(axes, rows, slowest_first, theme)


def draw_quality(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    """Error over latency, one point per system."""
    quality, length_s = _quality_axis(comparison), reference_length_s(comparison)
    drawn: list[tuple[Row, float]] = []
    axes.set(xscale="log", xlabel=f"median latency of a {length_s:g} s clip, ms", ylabel=quality.axis)
    if quality.logarithmic:
        axes.set_yscale("log")
    for row, colour, marker in _styled(_timed(comparison), theme):
        value = quality.of(row)
        if value is None or length_s not in row.turns:
            continue
        x, y = median_s(row.turns[length_s]) * 1e3, max(value, quality.floor)
        axes.scatter(x, y, s=130 if row.ours else 64, color=colour, marker=marker, zorder=3 + row.ours, label=row.title)
        drawn.append((row, x))
    _plain_ticks(axes.xaxis)
    axes.margins(x=0.1, y=0.14)
    fastest_first = sorted(range(len(drawn)), key=lambda place: drawn[place][1])
    _legend(axes, [row for row, _ in drawn], fastest_first, theme)


def draw_memory(axes: Axes, comparison: Comparison, theme: Theme) -> None:
    """Peak memory from the shortest to the longest clips, one line per system."""
    styles = [style for style in _styled(_timed(comparison), theme) if style[0].peaks_bytes]
    styles.sort(key=lambda style: -max(style[0].peaks_bytes.values()))
    for place, (row, colour, _) in enumerate(styles):
        shortest, longest = (row.peaks_bytes[pick(row.peaks_bytes)] / 1e6 for pick in (min, max))
        axes.plot([shortest, longest], [place, place], color=colour, linewidth=4 if row.ours else 2.4, zorder=3)
        axes.scatter([longest], [place], s=70, color=colour, zorder=4)
        axes.scatter([shortest], [place], s=60, facecolor=theme.paper, edgecolor=colour, linewidth=2, zorder=4)
        label = axes.annotate(f"{longest:,.0f} MB", (longest, place), (9, 0), textcoords="offset points", va="center")
        label.set(color=theme.ink, fontsize=9)
    _name_rows(axes, [(row, colour) for row, colour, _ in styles])
    axes.set(xlim=(0, None), xlabel="peak memory of the process, MB")
    axes.margins(y=0.08)
    left, right = axes.get_xlim()
    axes.set_xlim(left, right * 1.12)


@dataclass(frozen=True, kw_only=True)
class _QualityAxis:
    """The vertical axis of the accuracy chart; ``floor`` is where an exact system is drawn."""

    title: str
    caption: str
    axis: str
    of: Callable[[Row], float | None]
    logarithmic: bool
    floor: float


def _quality_axis(comparison: Comparison) -> _QualityAxis:
    qualities = [row.quality for row in comparison.rows if row.quality is not None]
    if any(each.wer is not None for each in qualities):
        return _QualityAxis(
            title="Word error rate",
            caption="Word error rate on the same clips.",
            axis="word error rate",
            of=lambda row: row.quality.wer.variant if row.quality and row.quality.wer else None,
            logarithmic=False,
            floor=0.0,
        )
    if any(each.accuracy is not None for each in qualities):
        return _QualityAxis(
            title="Classification error",
            caption="Share of clips with the wrong predicted label.",
            axis="1 - accuracy",
            of=lambda row: 1 - row.quality.accuracy.variant if row.quality and row.quality.accuracy else None,
            logarithmic=False,
            floor=0.0,
        )
    return _QualityAxis(
        title="Logit error",
        caption="RMS of the difference from PyTorch over the RMS of its logits; a difference of 0 is drawn at 1e-7.",
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


def _style_axes(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor(theme.paper)
    axes.grid(visible=True, color=theme.faint, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=theme.ink, length=0, labelsize=10)
    for side in axes.spines.values():
        side.set_visible(False)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=theme.ink, fontsize=10.5)


def _legend(axes: Axes, rows: Sequence[Row], order: Sequence[int], theme: Theme) -> None:
    """To the right of the axes, in the order in which the systems are read off."""
    handles, names = axes.get_legend_handles_labels()
    legend = axes.legend(
        [handles[place] for place in order],
        [names[place] for place in order],
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=9.5,
        labelcolor=theme.ink,
        markerscale=1.0,
    )
    for text, place in zip(legend.get_texts(), order, strict=True):
        text.set_fontweight("bold" if rows[place].ours else "normal")


def _name_rows(axes: Axes, named: Sequence[tuple[Row, str]]) -> None:
    """Titles of the systems on the vertical axis of a chart with one row per system."""
    axes.set_yticks(range(len(named)), [row.title for row, _ in named])
    for label, (row, colour) in zip(axes.get_yticklabels(), named, strict=True):
        label.set(color=colour, fontweight="bold" if row.ours else "normal")
    axes.grid(visible=False, axis="y")


def _plain_ticks(axis: Axis) -> None:
    """Ones, twos and fives as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
