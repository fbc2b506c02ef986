"""The report as one HTML page: the Markdown with its charts inside, no script, light and dark."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path

from markdown import Markdown

from wav2edge_compare.reporting.comparison_charts import DARK, LIGHT

STYLE = f"""
:root {{ --paper:{LIGHT.paper}; --ink:{LIGHT.ink}; --soft:#596273; --line:{LIGHT.faint}; --ours:{LIGHT.ours[0]} }}
@media (prefers-color-scheme: dark) {{
  :root {{ --paper:{DARK.paper}; --ink:{DARK.ink}; --soft:#9aa5b4; --line:{DARK.faint}; --ours:{DARK.ours[0]} }}
}}
* {{ box-sizing:border-box }}
body {{ max-width:1200px; margin:0 auto; padding:24px 20px; background:var(--paper); color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif; overflow-wrap:anywhere }}
h1 {{ font-size:clamp(26px,4.6vw,38px); line-height:1.15; margin:.3em 0 }}
h2 {{ font-size:20px; margin:2em 0 .4em; padding-top:1em; border-top:1px solid var(--line) }}
p {{ max-width:85ch; color:var(--soft) }}
p:has(img) {{ max-width:none }}
p > strong {{ color:var(--ink) }}
img {{ display:block; width:100%; height:auto }}
h1 ~ ul:first-of-type {{ display:grid; grid-template-columns:repeat(auto-fit,minmax(190px,1fr)); gap:14px; padding:0 }}
h1 ~ ul:first-of-type li {{ list-style:none; border:1px solid var(--line); border-radius:12px; padding:14px 16px;
  color:var(--soft); font-size:14px }}
h1 ~ ul:first-of-type strong {{ display:block; font-size:28px; line-height:1.2; color:var(--ours) }}
table {{ display:block; overflow-x:auto; border-collapse:collapse; font-size:13.5px; overflow-wrap:normal;
  font-variant-numeric:tabular-nums }}
th, td {{ padding:7px 10px; border-bottom:1px solid var(--line); text-align:left; vertical-align:top }}
th {{ color:var(--soft); font-weight:600; vertical-align:bottom; line-height:1.3 }}
td[style] {{ white-space:nowrap }}
td strong {{ color:var(--ours) }}
td:first-child {{ min-width:150px }}
code {{ font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace }}
@media (max-width:640px) {{ p:has(img) {{ overflow-x:auto }} img {{ min-width:620px }} }}
"""


def page(title: str, markdown: str, folder: Path) -> str:
    """The whole page.

    Args:
        title: of the page.
        markdown: the report; raw HTML in it is shown as text.
        folder: where its images are, each ``NAME.png`` with a ``NAME-dark.png``.
    """
    converter = Markdown(extensions=["tables", "sane_lists"])
    converter.preprocessors.deregister("html_block")
    converter.inlinePatterns.deregister("html")
    body = re.sub(
        r'<img alt="([^"]*)" src="([^"]+)\.png" />',
        lambda image: _picture(image[1], folder, image[2]),
        converter.convert(markdown),
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
{body}
</body>
</html>
"""


def _picture(description: str, folder: Path, name: str) -> str:
    light, dark = (
        f"data:image/png;base64,{base64.b64encode((folder / file).read_bytes()).decode()}"
        for file in (f"{name}.png", f"{name}-{DARK.name}.png")
    )
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
    return f'<picture>{source}<img src="{light}" alt="{description}"></picture>'
