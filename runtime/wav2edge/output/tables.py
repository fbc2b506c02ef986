"""Pipe tables of Markdown, aligned so that a terminal reads as well as a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: bool = True) -> str:
    """A table with columns as wide as their widest cell.

    Args:
        header: names of the columns.
        rows: cells; a bar in a cell is escaped.
        numeric: the columns after the first hold figures and are aligned to the right.
    """
    table = [[_escaped(cell) for cell in row] for row in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*table, strict=True)]
    right = [numeric and place > 0 for place in range(len(header))]
    rule = ["-" * (width - 1) + ":" if figures else "-" * width for width, figures in zip(widths, right, strict=True)]
    head, *body = ([_aligned(*cell) for cell in zip(row, widths, right, strict=True)] for row in table)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))


def _escaped(cell: str) -> str:
    return cell.replace("|", r"\|")


def _aligned(cell: str, width: int, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)
