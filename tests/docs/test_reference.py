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
