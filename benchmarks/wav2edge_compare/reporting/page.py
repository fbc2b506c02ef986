"""The report as one HTML page: every image inside it, no script, light and dark, readable on a phone."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from wav2edge_compare.measuring.statistics import median_s
from wav2edge_compare.reporting.comparison_charts import DARK, LIGHT, Chart, reference_length_s
from wav2edge_compare.reporting.markdown import to_html
from wav2edge_compare.reporting.results import Comparison
from wav2edge_compare.reporting.sections import headlines, summary


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A PNG for light and one for dark pages, in base 64, and what they show."""

    light: str
    dark: str
    description: str

    def to_html(self) -> str:
        """An element that carries both."""
        return (
            f'<picture><source media="(prefers-color-scheme: dark)" srcset="data:image/png;base64,{self.dark}">'
            f'<img src="data:image/png;base64,{self.light}" alt="{html.escape(self.description)}"></picture>'
        )


def page(
    title: str,
    comparison: Comparison,
    *,
    pictures: Sequence[tuple[Chart, Picture]],
    sections: Sequence[tuple[str, str | Picture]],
) -> str:
    """The whole page.

    Args:
        title: of the page.
        comparison: what was found.
        pictures: the charts.
        sections: titles with Markdown or a picture.
    """
    figures = "".join(
        f"<figure><h2>{html.escape(chart.title)}</h2><div class=scroll>{picture.to_html()}</div>"
        f"<figcaption>{html.escape(chart.caption)}</figcaption></figure>"
        for chart, picture in pictures
    )
    told = "".join(
        f"<section><h2>{html.escape(name)}</h2>{to_html(body) if isinstance(body, str) else body.to_html()}</section>"
        for name, body in sections
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<p class="kind">Benchmark · {html.escape(comparison.made_on)}</p>
<h1>{html.escape(title)}</h1>
{to_html(summary(comparison))}
</header>
<main>
<div class="cards">{_cards(comparison)}</div>
{_bars(comparison)}
{figures}
{told}
</main>
</body>
</html>
"""


def _cards(comparison: Comparison) -> str:
    return "".join(
        f"<div class=card><b>{html.escape(each.figure)}</b><span>{html.escape(each.meaning)}</span></div>"
        for each in headlines(comparison)
    )


def _bars(comparison: Comparison) -> str:
    """Every system's time at one clip length as bars, fastest first."""
    length_s = reference_length_s(comparison)
    rows = [row for row in comparison.measured if row.turns.get(length_s)]
    times = {row.name: median_s(row.turns[length_s]) for row in rows}
    longest_s = max(times.values(), default=1.0)
    bars = "".join(
        f'<li class="{"ours" if row.ours else "peer"}"><span class=name>{html.escape(row.title)}</span>'
        f'<span class=track><span class=bar style="width:{times[row.name] / longest_s:.2%}"></span></span>'
        f"<span class=time>{times[row.name] * 1e3:.3g} ms</span></li>"
        for row in sorted(rows, key=lambda row: times[row.name])
    )
    return (
        f"<section><h2>Time to answer {length_s:g} s of audio</h2><ol class=bars>{bars}</ol></section>" if rows else ""
    )


STYLE = f"""
:root {{ --paper:{LIGHT.paper}; --page:#f3f5f8; --ink:{LIGHT.ink}; --soft:#596273; --line:{LIGHT.faint};
  --ours:{LIGHT.ours[0]}; --bar:#a9b3c2; --warn:#fff4dc; --warn-ink:#6b4a00 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --paper:{DARK.paper}; --page:#0d1117; --ink:{DARK.ink}; --soft:#9aa5b4; --line:{DARK.faint};
  --ours:{DARK.ours[0]}; --bar:#4b5666; --warn:#33290f; --warn-ink:#f3d48a }}
}}
* {{ box-sizing:border-box }}
body {{ margin:0; background:var(--page); color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif }}
header, main {{ max-width:1200px; margin:0 auto; padding:0 20px }}
header {{ padding-top:44px; padding-bottom:8px }}
header p {{ max-width:70ch; color:var(--soft); margin:.5em 0 }}
header p strong {{ display:block; background:var(--warn); color:var(--warn-ink); padding:10px 14px; border-radius:8px;
  font-weight:600 }}
.kind {{ text-transform:uppercase; letter-spacing:.09em; font-size:12.5px; font-weight:600; color:var(--ours) }}
h1 {{ font-size:clamp(26px,4.6vw,40px); line-height:1.15; margin:.15em 0 .35em; letter-spacing:-.015em;
  text-wrap:balance; overflow-wrap:anywhere }}
h2 {{ font-size:20px; margin:0 0 .5em; letter-spacing:-.005em }}
section, figure {{ background:var(--paper); border:1px solid var(--line); border-radius:14px; padding:22px 24px;
  margin:18px 0 }}
figure img {{ display:block; width:100%; height:auto }}
section img {{ max-width:100%; height:auto }}
figcaption, section > p {{ color:var(--soft); font-size:14.5px; margin:.5em 0; max-width:85ch }}
.cards {{ display:grid; grid-template-columns:repeat(auto-fit,minmax(190px,1fr)); gap:14px; margin:20px 0 }}
.card {{ background:var(--paper); border:1px solid var(--line); border-radius:14px; padding:16px 18px }}
.card b {{ display:block; font-size:30px; line-height:1.15; letter-spacing:-.02em; color:var(--ours) }}
.card span {{ color:var(--soft); font-size:14px; line-height:1.4; display:block; margin-top:6px }}
.bars {{ list-style:none; margin:0; padding:0 }}
.bars li {{ display:grid; grid-template-columns:minmax(170px,17em) 1fr 5.2em; gap:12px; align-items:center;
  padding:4px 0; font-size:14.5px }}
.bars .track {{ background:color-mix(in srgb,var(--line) 45%,transparent); border-radius:5px }}
.bars .bar {{ display:block; height:15px; border-radius:5px; background:var(--bar); min-width:3px }}
.bars .time {{ text-align:right; font-variant-numeric:tabular-nums }}
.ours .bar {{ background:var(--ours) }} .ours .name, .ours .time {{ font-weight:650; color:var(--ours) }}
.scroll {{ overflow-x:auto; margin:12px -6px 0; scrollbar-width:thin }}
table {{ border-collapse:collapse; font-size:13.5px; font-variant-numeric:tabular-nums; min-width:100% }}
th, td {{ padding:8px 10px; border-bottom:1px solid var(--line); text-align:left; vertical-align:top }}
.figure {{ text-align:right }} td.figure {{ white-space:nowrap }} td:last-child:not(.figure) {{ min-width:220px }}
thead th {{ color:var(--soft); font-weight:600; vertical-align:bottom; line-height:1.3 }}
th:first-child {{ position:sticky; left:0; background:var(--paper); min-width:150px; font-weight:500 }}
tbody tr:last-child > * {{ border-bottom:0 }}
tbody th strong {{ color:var(--ours) }}
ul {{ padding-left:1.2em; margin:.4em 0; font-size:15px }} li {{ margin:.3em 0 }}
code {{ font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace; background:var(--page); padding:.12em .4em;
  border-radius:5px; overflow-wrap:anywhere }} td code {{ white-space:nowrap }}
@media (max-width:640px) {{
  header, main {{ padding-left:12px; padding-right:12px }} header {{ padding-top:24px }}
  section, figure {{ padding:16px 14px; border-radius:12px }}
  .bars li {{ grid-template-columns:1fr 5.2em }} .bars .track {{ grid-column:1/-1; grid-row:2 }}
  .cards {{ grid-template-columns:1fr 1fr; gap:10px }} .card b {{ font-size:24px }} .card {{ padding:12px 14px }}
  th:first-child {{ min-width:112px }} figure img {{ min-width:620px }}
}}
@media print {{ body {{ background:none }} section, figure {{ break-inside:avoid }} }}
"""
