"""Writes what a comparison found: a summary as JSON, Markdown, charts, and one page that needs nothing else."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from wav2edge_compare.reporting.comparison_charts import DARK, LIGHT, THEMES, Chart, Theme, charts
from wav2edge_compare.reporting.page import Picture, page
from wav2edge_compare.reporting.results import Comparison
from wav2edge_compare.reporting.sections import Section, all_sections, headlines, summary

SUMMARY, REPORT, PAGE = "summary.json", "report.md", "report.html"


def write_report(comparison: Comparison, folder: Path, sections: Sequence[Section] = ()) -> list[Path]:
    """Write every form of the report into a folder.

    Args:
        comparison: what was found.
        folder: where the files go; it exists.
        sections: what other parts of the project add between the figures and the method: a title, and Markdown
            (paragraphs, lists, pipe tables) or a figure of matplotlib.

    Returns:
        The files that were written.
    """
    title = f"{comparison.subject}: wav2edge beside other systems"
    drawn = {chart.name: _draw(chart, comparison, folder) for chart in charts(comparison)}
    told = all_sections(comparison, sections)
    (folder / REPORT).write_text(_markdown(title, comparison, told, folder), encoding="utf-8")
    (folder / PAGE).write_text(
        page(
            title,
            comparison,
            pictures=[(chart, drawn[chart.name]) for chart in charts(comparison)],
            sections=[(name, _embedded(body) if isinstance(body, Figure) else body) for name, body in told],
        ),
        encoding="utf-8",
    )
    document = json.dumps(comparison.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / SUMMARY).write_text(document + "\n", encoding="utf-8")
    return [folder / name for name in (PAGE, REPORT, SUMMARY)]


def _draw(chart: Chart, comparison: Comparison, folder: Path) -> Picture:
    """Save a chart in each theme, and give it as a picture for the page."""
    encoded = {}
    for theme in THEMES:
        content = _png(chart.figure(comparison, theme))
        (folder / _file(chart, theme)).write_bytes(content)
        encoded[theme.name] = base64.b64encode(content).decode()
    return Picture(light=encoded[LIGHT.name], dark=encoded[DARK.name], description=f"{chart.title}. {chart.caption}")


def _file(chart: Chart, theme: Theme) -> str:
    return f"{chart.name}.png" if theme is LIGHT else f"{chart.name}-{theme.name}.png"


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _embedded(figure: Figure) -> Picture:
    encoded = base64.b64encode(_png(figure)).decode()
    return Picture(light=encoded, dark=encoded, description="")


def _markdown(title: str, comparison: Comparison, sections: Sequence[Section], folder: Path) -> str:
    points = "\n".join(f"- **{each.figure}** {each.meaning}" for each in headlines(comparison))
    parts = [f"# {title}", summary(comparison), points]
    parts += [
        f"## {chart.title}\n\n{chart.caption}\n\n![{chart.title}]({_file(chart, LIGHT)})"
        for chart in charts(comparison)
    ]
    for number, (name, body) in enumerate(sections):
        if isinstance(body, Figure):
            file = f"section-{number}.png"
            (folder / file).write_bytes(_png(body))
            body = f"![{name}]({file})"
        parts.append(f"## {name}\n\n{body}")
    return "\n\n".join(part for part in parts if part) + "\n"
