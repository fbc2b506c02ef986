"""The page on faults: every row has tests that exist, and its figures are those of the records."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(test_\w+)`")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| fault", "| ---"))]
WITHOUT_A_TEST = 1
"""Rows about what cannot happen."""


def defined_tests() -> set[str]:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}


def record(name: str) -> dict[str, object]:
    return json.loads((ROOT / "benchmarks/results" / name).read_text(encoding="utf-8"))


def test_every_test_that_the_page_names_exists():
    named = set(TEST.findall(PAGE))
    assert len(named) > 100
    assert named - defined_tests() == set()


def test_every_fault_has_a_test_or_cannot_happen():
    assert len(ROWS) > 55
    without = [row for row in ROWS if not TEST.search(row)]
    assert len(without) == WITHOUT_A_TEST
    assert all("cannot happen" in row for row in without)


@pytest.mark.parametrize("kind", ["wav", "bundles"])
def test_the_figures_of_the_mutants_are_those_of_the_record(kind):
    verdicts = record("fuzz.json")[kind]["verdicts"]
    assert f"{verdicts['refused']:,} refused and {verdicts['answered']:,} answered" in PAGE


def test_memory_after_a_thousand_calls_grows_by_two_percent_at_most():
    found = record("call-memory.json")
    change = found["last_bytes"] / found["settled_bytes"] - 1
    assert found["samples"][-1]["clips"] == 10_000
    assert change <= 0.02
    assert f"({change:+.1%})".replace("%", " %") in PAGE
