"""A hook of MkDocs: pages may link to the records under ``benchmarks/``, as they do in the repository.

The records are copied into the site, and a link that leaves ``docs/`` for them loses the step that leaves it.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

SUFFIXES = {".json", ".md", ".png"}
TO_RECORDS = re.compile(r"(\]\((?:\.\./)*)\.\./(benchmarks/)")
"""``](../benchmarks/`` on a page of ``docs/``, and with more steps on one in a folder of it."""
TO_PAGES = re.compile(r"(\]\((?:\.\./)+)docs/")
"""``](../docs/`` in a file under ``benchmarks/``."""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what is recorded to the files of the site, without a place in the navigation."""
    root = Path(config.config_file_path).parent
    for path in sorted((root / "benchmarks").rglob("*")):
        if path.suffix in SUFFIXES:
            name = path.relative_to(root).as_posix()
            inclusion = InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, name, abs_src_path=str(path), inclusion=inclusion))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to where the site has what they lead to."""
    if page.file.src_uri.startswith("benchmarks/"):
        return TO_PAGES.sub(r"\1", markdown)
    return TO_RECORDS.sub(r"\1\2", markdown)
