"""The site: built strictly, with links from the pages to the records."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from docs.repository_files import TO_COPIES, TO_PAGES
from tests.docs.pages import ROOT


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("[a](../benchmarks/results/a.json)", "[a](benchmarks/results/a.json)"),
        ("![a](../../benchmarks/results/a.png)", "![a](../benchmarks/results/a.png)"),
        ("[a](../examples/a.py)", "[a](examples/a.py)"),
        ("[a](benchmarks.md) and ../benchmarks/", "[a](benchmarks.md) and ../benchmarks/"),
    ],
)
def test_a_link_to_a_record_or_an_example_leads_to_its_copy_in_the_site(link, shown):
    assert TO_COPIES.sub(r"\1\2", link) == shown


def test_a_link_from_the_records_leads_to_the_page():
    assert TO_PAGES.sub(r"\1", "[a](../docs/benchmarks.md)") == "[a](../benchmarks.md)"


def test_the_first_page_links_every_other():
    docs = ROOT / "docs"
    first = (docs / "index.md").read_text(encoding="utf-8")
    names = [page.relative_to(docs).as_posix() for page in sorted(docs.rglob("*.md"))]
    assert [name for name in names if name != "index.md" and f"]({name})" not in first] == []


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (built.returncode, "WARNING" in built.stderr) == (0, False), built.stderr
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "fonts.googleapis" not in page
    assert 'src="http' not in page
