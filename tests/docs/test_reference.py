"""The two references are what the parsers and docstrings say today."""

from __future__ import annotations

import pytest

import wav2edge
from docs.generate_reference import FOLDER, PAGES
from wav2edge.cli.verbs import VERBS


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_is_in_step_with_the_code(name):
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run `make docs` and commit docs/reference"


def test_every_verb_and_every_public_name_has_an_entry():
    headings = [
        line.lstrip("# ").replace("`", "")
        for name in PAGES
        for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()
        if line.startswith("## ")
    ]
    assert set(VERBS) <= set(headings)
    public = [name for name in wav2edge.__all__ if not name.startswith("_") and not name.endswith("Error")]
    assert {f"wav2edge.{name}" for name in public} <= set(headings)


API = PAGES["api.md"]()


def entry(name: str) -> str:
    return API.partition(f"## `wav2edge.{name}`\n")[2].partition("\n## ")[0]


def test_every_row_of_a_table_has_three_cells_and_none_is_private():
    rows = [line for line in API.splitlines() if line.startswith("| ")]
    assert [row for row in rows if row.count("|") != 4 or row.startswith("| `_")] == []


def test_no_section_of_a_docstring_is_left_as_it_stands_there():
    assert [line for line in API.splitlines() if line.strip() in ("Args:", "Attributes:", "Returns:", "Raises:")] == []


@pytest.mark.parametrize("name", ["segmentation", "decoder", "profile", "batch_size", "workers", "reject_below"])
def test_what_may_be_read_and_set_on_an_engine_has_an_entry(name):
    assert f"`{name}`" in entry("Engine") or f"`Engine.{name}`" in entry("Engine")


def test_options_that_are_passed_on_have_their_stars():
    assert "    **recognising: Unpack[Recognising]," in entry("recognise_archive")
