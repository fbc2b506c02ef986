"""Writes the results of a comparison: a summary as JSON, the report as Markdown with charts, and one HTML page."""

from __future__ import annotations

from pathlib import Path

from wav2edge.output.documents import write_json
from wav2edge_compare.comparison_results import Comparison
from wav2edge_compare.reporting.comparison_charts import LIGHT, THEMES, Chart, Theme, charts
from wav2edge_compare.reporting.page import page
from wav2edge_compare.reporting.sections import headlines, sections, summary
from wav2edge_compare.roofline import Roofline

SUMMARY, REPORT, PAGE, ROOFLINE = "summary.json", "report.md", "report.html", "roofline.json"


def write_report(comparison: Comparison, folder: Path, roofline: Roofline | None = None) -> list[Path]:
    """Write every form of the report into an existing folder.

    Args:
        comparison: the results.
        folder: where the files go.
        roofline: of our first variant, where it was measured.

    Returns:
        The files for a reader to open.
    """
    title = f"{comparison.subject}: wav2edge compared with other systems"
    for chart in charts(comparison):
        for theme in THEMES:
            figure = chart.figure(comparison, theme)
            figure.savefig(folder / _file(chart, theme), format="png", metadata={"Software": None})
    report = _markdown(title, comparison, roofline)
    (folder / REPORT).write_text(report, encoding="utf-8")
    (folder / PAGE).write_text(page(title, report, folder), encoding="utf-8")
    write_json(folder / SUMMARY, comparison.to_dict())
    if roofline is not None:
        write_json(folder / ROOFLINE, roofline.to_dict())
    return [folder / name for name in (PAGE, REPORT, SUMMARY)]


def _file(chart: Chart, theme: Theme) -> str:
    return f"{chart.name}.png" if theme is LIGHT else f"{chart.name}-{theme.name}.png"


def _markdown(title: str, comparison: Comparison, roofline: Roofline | None) -> str:
    points = "\n".join(f"- **{each.figure}** {each.meaning}" for each in headlines(comparison))
    parts = [f"# {title}", summary(comparison), points]
    parts += [
        f"## {chart.title}\n\n{chart.caption}\n\n![{chart.title}]({_file(chart, LIGHT)})"
        for chart in charts(comparison)
    ]
    parts += [f"## {name}\n\n{body}" for name, body in sections(comparison, roofline)]
    return "\n\n".join(part for part in parts if part) + "\n"
