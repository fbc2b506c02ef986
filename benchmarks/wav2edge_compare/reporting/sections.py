"""The report in sections of Markdown, the one source of the text report and of the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wav2edge.output.tables import markdown_table
from wav2edge_compare.comparison_results import Comparison, Row
from wav2edge_compare.measuring.processes import CAN_PAUSE
from wav2edge_compare.measuring.statistics import Ratio, median_s
from wav2edge_compare.peers.systems import ORIGINAL
from wav2edge_compare.reporting.comparison_charts import reference_length_s
from wav2edge_compare.reporting.comparison_tables import (
    absent_table,
    main_table,
    ratio_table,
    settings_table,
)
from wav2edge_compare.roofline import Roofline

Section = tuple[str, str]
"""A title, and Markdown."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One figure that a reader should take away, and its meaning."""

    figure: str
    meaning: str


def headlines(comparison: Comparison) -> list[Headline]:
    """The few figures at the top of the report, of what was measured."""
    ours, length_s = comparison.ours, reference_length_s(comparison)
    found: list[Headline] = []
    if ours.turns.get(length_s):
        latency_s = median_s(ours.turns[length_s])
        times = length_s / latency_s
        found.append(
            Headline(
                figure=f"{latency_s * 1e3:.3g} ms",
                meaning=f"for {length_s:g} s of audio with {ours.title}, {times:.3g} times faster than real time",
            )
        )
    ratios = [(row, comparison.ratio(row, length_s)) for row in _baselines(comparison, length_s)]
    found += [_speed(row, ratio, length_s) for row, ratio in ratios if ratio is not None]
    torch = _row(comparison, ORIGINAL)
    if torch is not None and torch.peaks_bytes.get(length_s) and ours.peaks_bytes.get(length_s):
        share = ours.peaks_bytes[length_s] / torch.peaks_bytes[length_s]
        found.append(
            Headline(
                figure=f"{ours.peaks_bytes[length_s] / 1e6:.0f} MB", meaning=f"peak memory, {share:.2f} of PyTorch's"
            )
        )
    if ours.quality is not None:
        rate = ours.quality.wer or ours.quality.accuracy
        what = "WER" if ours.quality.wer else "accuracy"
        found.append(
            Headline(figure=f"{ours.quality.rms_error:.1%}", meaning="RMS logit error compared with PyTorch")
            if rate is None
            else Headline(figure=f"{rate.variant:.4f}", meaning=f"{what}, PyTorch {rate.original:.4f}")
        )
    return found


def _baselines(comparison: Comparison, length_s: float) -> list[Row]:
    """PyTorch, and the fastest of the others."""
    others = [row for row in comparison.measured if not row.ours and row.turns.get(length_s)]
    fastest = min(others, key=lambda row: median_s(row.turns[length_s]), default=None)
    torch = next((row for row in others if row.name == ORIGINAL), None)
    return list({row.name: row for row in (torch, fastest) if row is not None}.values())


def _speed(row: Row, ratio: Ratio, length_s: float) -> Headline:
    interval = f"ratio of medians {ratio.value:.2f}, 95 % within {ratio.low:.2f} to {ratio.high:.2f}"
    role = "" if row.name == ORIGINAL else ", the fastest of the others,"
    if ratio.value <= 1:
        return Headline(
            figure=f"{1 / ratio.value:.3g}x", meaning=f"as fast as {row.title}{role} at {length_s:g} s ({interval})"
        )
    return Headline(
        figure=f"{ratio.value:.3g}x", meaning=f"the time of {row.title}{role} at {length_s:g} s ({interval})"
    )


def _row(comparison: Comparison, name: str) -> Row | None:
    return next((row for row in comparison.measured if row.name == name), None)


def summary(comparison: Comparison) -> str:
    """What was compared, in a paragraph, and the note that belongs in every output."""
    others = sum(not row.ours for row in comparison.measured)
    what = (
        f"{comparison.subject}, {comparison.parameters / 1e6:.3g} million parameters, run by wav2edge and by"
        f" {_counted(others, 'other system')} from the same weights, on {comparison.environment['processor']} with"
        f" {_counted(comparison.threads, 'thread')} each."
    )
    return what if comparison.note is None else f"{what}\n\n**{comparison.note}**"


def terminal_report(comparison: Comparison) -> str:
    """The tables alone, for a terminal."""
    parts = [summary(comparison), main_table(comparison), ratio_table(comparison), absent_table(comparison)]
    return "\n\n".join(part for part in parts if part)


def sections(comparison: Comparison, roofline: Roofline | None) -> list[Section]:
    """Tables, roofline, method, settings and machine."""
    found = [("Results", f"{_columns(comparison)}\n\n{main_table(comparison)}"), ("Ratios", _ratios(comparison))]
    if roofline is not None:
        found.append((f"{comparison.ours.title}: roofline", roofline.table()))
    found.append(("Method", _method(comparison)))
    found.append(("Settings of each system", f"{_fairness(comparison)}\n\n{settings_table(comparison)}"))
    absent = absent_table(comparison)
    if absent is not None:
        found.append(("Systems without results", absent))
    return [*found, ("Machine", _machine(comparison)), ("Command", f"`{comparison.command}`")]


def _columns(comparison: Comparison) -> str:
    return (
        "Latencies are medians, with the 95th percentile in brackets. Load is the time to import and load, cold start"
        " the time from process start to the first output, both medians over the processes. Peak memory is that of the"
        f" whole process. Outputs are compared with PyTorch's on {comparison.evaluated_on}; logit errors are relative,"
        " of the CTC head where there is one: largest difference over largest logit, and RMS difference over RMS"
        " logit. WER and accuracy are followed by the 95 % interval of their difference from PyTorch. A dash means not"
        " measured, or not an output of this system."
    )


def _ratios(comparison: Comparison) -> str:
    reading = (
        f"The median of {comparison.ours.title} over the median of each other system; below 1, ours is faster. In"
        " brackets the central 95 % of a bootstrap over rounds."
    )
    return f"{reading}\n\n{ratio_table(comparison)}"


def _method(comparison: Comparison) -> str:
    pause = (
        "while one system runs, the processes of the others are stopped, so that spinning threads disturb nobody"
        if CAN_PAUSE
        else "the operating system cannot stop a process, so spinning threads of the others may have disturbed"
    )
    runs = comparison.rounds * comparison.runs_per_turn
    points = [
        "Timed is a waveform in memory to logits as numpy, normalisation included, for every system; exceptions are"
        " listed with the settings.",
        "Each system has a process of its own. For each clip length all of them are alive and take turns: in"
        f" {_counted(comparison.rounds, 'round')} each does {comparison.runs_per_turn} timed runs after a warm-up run,"
        f" {runs} per length; every other round runs backwards; {pause}.",
        "The files of every model had been read before, so loads are from the page cache.",
        "The interval of a ratio is a percentile bootstrap over rounds, 2,000 resamples, the same rounds for both.",
        "Every sample is in `samples.jsonl`.",
    ]
    return "\n".join(f"- {point}" for point in points)


def _fairness(comparison: Comparison) -> str:
    return (
        f"Every system has {_counted(comparison.threads, 'thread')}, the same weights, and the settings that its makers"
        " recommend for the latency of single clips. Systems that run only CTC got the CTC part of the checkpoint."
    )


def _machine(comparison: Comparison) -> str:
    values = {
        name: ", ".join(value) if isinstance(value, list) else value for name, value in comparison.environment.items()
    }
    rates = [
        f"{np.median(found) / 1e9:.0f} GMAC/s ({min(found) / 1e9:.0f} to {max(found) / 1e9:.0f}) at {duration_s:g} s"
        for duration_s, found in comparison.machine_macs_per_s.items()
        if found
    ]
    throughput = (
        "Throughput of the machine itself: before each turn, with all systems asleep, one int8 MatMul of 1024 rows ran"
        f" at {', '.join(rates)}. Where that varies, the machine was shared."
    )
    rows = ([name.replace("_", " "), str(value)] for name, value in values.items())
    table = markdown_table(["", "value"], rows, numeric=False)
    return "\n\n".join([f"Measured on {comparison.made_on}.", *([throughput] if rates else []), table])


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"
