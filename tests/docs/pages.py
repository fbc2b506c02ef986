"""The fenced blocks of the pages: their language, why they are not run, and what they are said to print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
MARK = re.compile(r"<!-- not run: (?P<reason>[^\n]+) -->\s*\Z")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block. ``reason`` is why it is not run; ``printed`` is the block of output that follows it at once."""

    where: str
    language: str
    body: str
    reason: str | None = None
    printed: Block | None = None


def pages() -> list[Path]:
    """Every page that holds commands for a reader."""
    return [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "models/README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    found = list(FENCE.finditer(text))
    for place, fence in enumerate(found):
        following = found[place + 1] if place + 1 < len(found) else None
        adjacent = following is not None and not text[fence.end() : following.start()].strip()
        yield _block(page, text, fence, following if adjacent else None)


def _block(page: Path, text: str, fence: re.Match[str], printed: re.Match[str] | None) -> Block:
    mark = MARK.search(text[: fence.start()])
    indent = len(fence["indent"])
    return Block(
        where=f"{page.relative_to(ROOT).as_posix()}:{text.count(chr(10), 0, fence.start()) + 1}",
        language=fence["language"],
        body="".join(line[indent:] for line in fence["body"].splitlines(keepends=True)),
        reason=mark["reason"] if mark else None,
        printed=_block(page, text, printed, None) if printed else None,
    )


def blocks_in(language: str) -> list[Block]:
    """The blocks of all pages in one language."""
    return [block for page in pages() for block in blocks(page) if block.language == language]
