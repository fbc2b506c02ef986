"""Each message that the page on troubleshooting explains is one that the code gives."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs/troubleshooting.md"
SOURCES = ("runtime/wav2edge", "train/wav2edge_train", "export/wav2edge_export", "benchmarks/wav2edge_compare")
GAP = "…"
"""Stands in a heading for what differs from one message to the next."""


def messages() -> list[str]:
    """Every text of the code, what is filled in replaced by the gap."""
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    return [text for path in files for text in _texts(path)]


def _texts(path: Path) -> list[str]:
    texts = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            texts.append("".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
    return texts


def headings() -> list[str]:
    return re.findall(r"^### `(.+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


TEXTS = messages()


@pytest.mark.parametrize("heading", headings())
def test_a_message_that_is_explained_is_a_message_of_the_code(heading):
    pieces = [piece.strip() for piece in heading.split(GAP) if piece.strip()]
    pattern = re.compile(".*".join(map(re.escape, pieces)), re.DOTALL)
    assert any(pattern.search(text) for text in TEXTS), f"no message holds {heading!r}"


def test_enough_messages_are_explained():
    assert len(headings()) >= 30
