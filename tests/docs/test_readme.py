"""The pages at the top: short, their links lead somewhere, and their figures are those of the records."""

from __future__ import annotations

import json
import re

import pytest

import wav2edge
from tests.docs.pages import ROOT
from wav2edge.cli.verbs import VERBS

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "benchmarks/results"
LONGEST = 100
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
CELLS = re.compile(r"^\| ([^|]+?) \|((?: [^|]+ \|){6})$", re.MULTILINE)


def test_the_changelog_begins_with_this_version():
    sections = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sections[0] == wav2edge.__version__


def test_the_changelog_names_every_verb():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f"`wav2edge {verb}" not in changes] == []


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_it_is_short(page):
    assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "models/README.md", "benchmarks/README.md"]
)
def test_every_link_leads_to_a_file(page):
    path = ROOT / page
    links = LINK.findall(path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def rates(report: dict) -> list[str]:
    return [f"{report['accuracy']:.3f}", f"{report['wer']:.3f}", str(report["clips"])]


def test_the_tables_of_the_shipped_models_hold_the_figures_of_their_records():
    words, stream = (
        json.loads((RESULTS / f"shipped-{name}.json").read_text(encoding="utf-8"))["reports"]
        for name in ("words", "words-stream")
    )
    heard = ("int8", "int8, 160 ms", "int8, 320 ms")
    page = (ROOT / "models/README.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:2] == "| "]
    figures = [row[-3:] for row in rows if row[-1].isdecimal()]
    assert figures == [
        *(rates(words["int8"][split]) for split in ("test", "spoken")),
        ["1.000", "0.000", "12"],
        *(rates(stream[kind][split]) for split in ("test", "spoken") for kind in heard),
    ]


def systems(processor: str) -> dict[str, dict]:
    record = json.loads((RESULTS / f"peers-xlsr53-{processor}" / "record.json").read_text(encoding="utf-8"))
    return {system["title"]: system for system in record["systems"]}


def milliseconds(system: dict, duration_s: float) -> str:
    (latency,) = (each for each in system["latency"] if each["duration_s"] == duration_s)
    value = latency["median_s"] * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def test_the_table_holds_the_figures_of_both_records():
    avx2, vnni = systems("avx2"), systems("vnni")
    rows = {title: [cell.strip(" *") for cell in cells.split("|")[:-1]] for title, cells in CELLS.findall(TEXT)}
    assert len(rows) >= 5
    for title, cells in rows.items():
        (peak,) = (each["peak_memory_bytes"] for each in vnni[title]["latency"] if each["duration_s"] == 10)
        expected = [milliseconds(record[title], seconds) for record in (avx2, vnni) for seconds in (1, 10)]
        expected += [f"{peak / 1e6:.0f}", f"{vnni[title]['quality']['rms_error']:.2g}"]
        assert cells == expected, title


def test_the_fastest_of_each_column_stands_out():
    rows = [cells.split("|")[:-1] for _, cells in CELLS.findall(TEXT)]
    for column in range(4):
        figures = [row[column].strip() for row in rows]
        fastest = min(figures, key=lambda cell: float(cell.strip("*")))
        assert [cell for cell in figures if cell.startswith("**")] == [fastest]
