"""The tables of a report, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wav2edge.evaluation.rates import PairedRate
from wav2edge.output.tables import markdown_table
from wav2edge_compare.comparison_results import Comparison, Row
from wav2edge_compare.measuring.statistics import Ratio, median_s, p95_s

NOTHING = "-"


def main_table(comparison: Comparison) -> str:
    """Speed, quality, load, memory and size, one row per system."""
    lengths = comparison.durations_s
    qualities = [row.quality for row in comparison.rows if row.quality is not None]
    has_wer, has_accuracy = any(each.wer for each in qualities), any(each.accuracy for each in qualities)
    header = [
        "system",
        *(f"{duration_s:g} s, ms" for duration_s in lengths),
        "largest logit error",
        "RMS logit error",
        *["WER"] * has_wer,
        *["accuracy"] * has_accuracy,
        "load, s",
        "cold start, s",
        f"peak memory at {_slashed(f'{duration_s:g}' for duration_s in lengths)} s, MB",
        "size, MB",
    ]
    return markdown_table(header, (_cells(comparison, row, has_wer, has_accuracy) for row in comparison.rows))


def _cells(comparison: Comparison, row: Row, has_wer: bool, has_accuracy: bool) -> list[str]:
    lengths, quality = comparison.durations_s, row.quality
    peaks = [row.peaks_bytes.get(duration_s) for duration_s in lengths]
    wer, accuracy = (None, None) if quality is None else (quality.wer, quality.accuracy)
    return [
        _name(row),
        *(_latency(row, duration_s) for duration_s in lengths),
        NOTHING if quality is None else f"{quality.largest_error:.2g}",
        NOTHING if quality is None else f"{quality.rms_error:.2g}",
        *[_rate(wer)] * has_wer,
        *[_rate(accuracy)] * has_accuracy,
        NOTHING if row.load_s is None else f"{row.load_s:.2f}",
        NOTHING if row.cold_start_s is None else f"{row.cold_start_s:.2f}",
        _slashed(NOTHING if peak is None else f"{peak / 1e6:.0f}" for peak in peaks),
        NOTHING if row.size_bytes is None else _megabytes(row.size_bytes),
    ]


def ratio_table(comparison: Comparison) -> str:
    """Our median latency over that of each other system, with intervals."""
    header = ["ours over", *(f"{duration_s:g} s" for duration_s in comparison.durations_s)]
    others = [row for row in comparison.rows if row is not comparison.ours and row.turns]
    return markdown_table(
        header,
        (
            [row.title, *(_ratio(comparison.ratio(row, duration_s)) for duration_s in comparison.durations_s)]
            for row in others
        ),
    )


def settings_table(comparison: Comparison) -> str:
    """Versions and settings of each system."""
    return markdown_table(
        ["system", "name", "versions", "settings"],
        ([row.title, f"`{row.name}`", _listed(row.versions), row.settings] for row in comparison.rows),
        numeric=False,
    )


def absent_table(comparison: Comparison) -> str | None:
    """Requested systems without results, and the reasons; None if there are none."""
    reasons = [(row.title, row.failure) for row in comparison.rows if row.failure is not None]
    reasons += [(each.title, each.reason) for each in comparison.left_out]
    if not reasons:
        return None
    return markdown_table(["system", "reason"], reasons, numeric=False)


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _name(row: Row) -> str:
    shown = f"**{row.title}**" if row.ours else row.title
    return shown if row.failure is None else f"{shown} (failed)"


def _latency(row: Row, duration_s: float) -> str:
    turns = row.turns.get(duration_s)
    if not turns:
        return NOTHING
    return f"{_milliseconds(median_s(turns))} ({_milliseconds(p95_s(turns))})"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.0f}" if seconds >= 0.1 else f"{seconds * 1e3:.3g}"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f}" if size_bytes >= 100e6 else f"{size_bytes / 1e6:.3g}"


def _ratio(ratio: Ratio | None) -> str:
    return NOTHING if ratio is None else f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _rate(rate: PairedRate | None) -> str:
    return NOTHING if rate is None else f"{rate.variant:.4f} ({rate.interval[0]:+.4f} to {rate.interval[1]:+.4f})"


def _slashed(values: Iterable[str]) -> str:
    return " / ".join(values)
