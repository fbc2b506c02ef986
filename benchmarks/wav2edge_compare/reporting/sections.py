"""What a comparison says, in sections of Markdown and charts: the one source of the text report and of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from wav2edge_compare.measuring.processes import CAN_PAUSE
from wav2edge_compare.measuring.statistics import Ratio, median_s
from wav2edge_compare.peers.systems import ORIGINAL
from wav2edge_compare.reporting.comparison_charts import reference_length_s
from wav2edge_compare.reporting.comparison_tables import (
    absent_table,
    main_table,
    markdown_table,
    ratio_table,
    settings_table,
)
from wav2edge_compare.reporting.results import Comparison, Row

Body = str | Figure
Section = tuple[str, Body]
"""A title, and Markdown of paragraphs, lists and pipe tables, or a figure of matplotlib."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One figure that a reader should take away, what it is, and beside what it stands."""

    figure: str
    meaning: str


def headlines(comparison: Comparison) -> list[Headline]:
    """The few figures above everything else; what is not measured gives none."""
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
    paces = [(row, comparison.ratio(row, length_s)) for row in _rivals(comparison, length_s)]
    found += [_pace(row, ratio, length_s) for row, ratio in paces if ratio is not None]
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
            Headline(figure=f"{ours.quality.rms_error:.1%}", meaning="logit error, RMS, beside PyTorch")
            if rate is None
            else Headline(figure=f"{rate.variant:.4f}", meaning=f"{what}, where PyTorch has {rate.original:.4f}")
        )
    return found


def _rivals(comparison: Comparison, length_s: float) -> list[Row]:
    """PyTorch, and the fastest of the others."""
    others = [row for row in comparison.measured if not row.ours and row.turns.get(length_s)]
    fastest = min(others, key=lambda row: median_s(row.turns[length_s]), default=None)
    torch = next((row for row in others if row.name == ORIGINAL), None)
    return list({row.name: row for row in (torch, fastest) if row is not None}.values())


def _pace(row: Row, ratio: Ratio, length_s: float) -> Headline:
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
    """What was compared, in a paragraph; with it the warning that belongs into every output."""
    others = sum(not row.ours for row in comparison.measured)
    what = (
        f"{comparison.subject}, {comparison.parameters / 1e6:.3g} million parameters, answered by wav2edge and by"
        f" {others} other systems from the same weights, on {comparison.environment['processor']} with"
        f" {_counted(comparison.threads, 'thread')} each."
    )
    return what if comparison.note is None else f"{what}\n\n**{comparison.note}**"


def on_a_terminal(comparison: Comparison) -> str:
    """The tables without what stands behind them."""
    parts = [summary(comparison), main_table(comparison), ratio_table(comparison), absent_table(comparison)]
    return "\n\n".join(part for part in parts if part)


def sections_before(comparison: Comparison) -> list[Section]:
    """The figures."""
    quality = (
        "Latencies are medians with the 95th percentile in brackets. Load is the time to import and load, cold start"
        " that from the start of the process to the first answer, both medians over the processes. Peak memory is of"
        f" the whole process. Answers are held against PyTorch's on {comparison.judged_on}; the logit error is of the"
        " CTC head where there is one: largest difference over largest logit, and root mean square over root mean"
        " square. After WER and accuracy stands the 95 % interval of the difference from PyTorch. A dash: not measured,"
        " or not answered by this system."
    )
    ratios = (
        f"The median of {comparison.ours.title} over that of each other system; below 1, ours is faster. In brackets"
        " the central 95 % when the rounds are drawn anew."
    )
    return [
        ("Every figure", f"{quality}\n\n{main_table(comparison)}"),
        ("Ratio of medians", f"{ratios}\n\n{ratio_table(comparison)}"),
    ]


def sections_after(comparison: Comparison) -> list[Section]:
    """What stands behind the figures."""
    sections: list[Section] = [
        ("How it was measured", _method(comparison)),
        ("How each system was asked", f"{_fairness(comparison)}\n\n{settings_table(comparison)}"),
    ]
    absent = absent_table(comparison)
    if absent is not None:
        sections.append(("What has no figures, and why", absent))
    sections.append(("The machine", _machine(comparison)))
    sections.append(("The command", f"`{comparison.command}`"))
    return sections


def _method(comparison: Comparison) -> str:
    pause = (
        "while one system answers, the processes of the others are stopped, so that threads which spin disturb nobody"
        if CAN_PAUSE
        else "this system cannot stop a process, so the spinning threads of others may have disturbed"
    )
    answers = comparison.rounds * comparison.answers_a_turn
    points = [
        "Timed is the way from a waveform in memory to logits as numpy, its normalisation included, for every system;"
        " what differs stands beside its settings.",
        f"Each system runs in a process of its own. For each clip length all of them are alive and take turns: in"
        f" {_counted(comparison.rounds, 'round')} each gives {comparison.answers_a_turn} answers after one that is not"
        f" counted, {answers} a length; every other round runs backwards; {pause}.",
        "The files of every model had been read before, so loads are from the page cache.",
        "The interval of a ratio is a percentile bootstrap over rounds, 2,000 drawings, the same rounds for both.",
        "Every sample is in `samples.jsonl`.",
    ]
    return "\n".join(f"- {point}" for point in points)


def _fairness(comparison: Comparison) -> str:
    return (
        f"Every system has {_counted(comparison.threads, 'thread')}, the same weights, and the settings its makers give"
        " for the shortest answer to one clip at a time. Systems that know CTC only got the CTC part of the checkpoint."
    )


def _machine(comparison: Comparison) -> str:
    values = {
        name: ", ".join(value) if isinstance(value, list) else value for name, value in comparison.environment.items()
    }
    paces = [
        f"{np.median(found) / 1e9:.0f} GMAC/s ({min(found) / 1e9:.0f} to {max(found) / 1e9:.0f}) at {duration_s:g} s"
        for duration_s, found in comparison.paces_macs_per_s.items()
        if found
    ]
    pace = (
        "The machine's own pace: before each turn, all systems asleep, one 8-bit product of 1024 rows ran at"
        f" {', '.join(paces)}. Where that moves, others share the machine."
    )
    table = markdown_table(
        ["", "value"], ([name.replace("_", " "), str(value)] for name, value in values.items()), figures=False
    )
    return "\n\n".join([f"Measured on {comparison.made_on}.", *([pace] if paces else []), table])


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def all_sections(comparison: Comparison, extra: Sequence[Section]) -> list[Section]:
    """The figures, what other parts of the project add, and what stands behind the figures."""
    return [*sections_before(comparison), *extra, *sections_after(comparison)]
