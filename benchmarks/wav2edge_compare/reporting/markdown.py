"""As much of Markdown as the report needs, as HTML: paragraphs, lists, pipe tables, bold and code."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

RULE = re.compile(r"^\|(?:\s*:?-+:?\s*\|)+$")
CELL = re.compile(r"(?<!\\)\|")


def to_html(markdown: str) -> str:
    """Blocks that blank lines separate, each as its element."""
    return "\n".join(_block(block.splitlines()) for block in re.split(r"\n\s*\n", markdown.strip()) if block)


def _block(lines: Sequence[str]) -> str:
    if len(lines) > 1 and RULE.match(lines[1]):
        return _table(lines)
    if all(line.startswith(("- ", "  ")) for line in lines):
        items = re.split(r"^- ", "\n".join(lines), flags=re.MULTILINE)[1:]
        return "<ul>" + "".join(f"<li>{_inline(' '.join(item.split()))}</li>" for item in items) + "</ul>"
    return f"<p>{_inline(' '.join(lines))}</p>"


def _table(lines: Sequence[str]) -> str:
    header, rule, *rows = ([cell.strip() for cell in CELL.split(line)[1:-1]] for line in lines)
    kinds = [" class=figure" if cell.endswith(":") else "" for cell in rule]
    head = "".join(f"<th scope=col{kind}>{_inline(cell)}</th>" for kind, cell in zip(kinds, header, strict=True))
    body = "".join(f"<tr>{_row(kinds, row)}</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _row(kinds: Sequence[str], cells: Sequence[str]) -> str:
    first, *rest = cells
    others = "".join(f"<td{kind}>{_inline(cell)}</td>" for kind, cell in zip(kinds[1:], rest, strict=True))
    return f"<th scope=row>{_inline(first)}</th>{others}"


def _inline(text: str) -> str:
    escaped = html.escape(text.replace("\\|", "|"), quote=False)
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", bold)
