"""A hook of MkDocs: pages may link to the records under ``benchmarks/`` and to ``examples/``, as in the repository.

They are copied into the site, and a link that leaves ``docs/`` for them loses the step that leaves it.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

COPIED = {"benchmarks": {".json", ".md", ".png"}, "examples": {".py"}}
"""Folder -> suffixes of the files that the site has of it."""
TO_COPIES = re.compile(rf"(\]\((?:\.\./)*)\.\./((?:{'|'.join(COPIED)})/)")
"""``](../benchmarks/`` on a page of ``docs/``, and with more steps on one in a folder of it."""
TO_PAGES = re.compile(r"(\]\((?:\.\./)+)docs/")
"""``](../docs/`` in a file under ``benchmarks/``."""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the records and the examples to the files of the site, without a place in the navigation."""
    root = Path(config.config_file_path).parent
    copied = [
        path for folder, suffixes in COPIED.items() for path in (root / folder).rglob("*") if path.suffix in suffixes
    ]
    for path in sorted(copied):
        name = path.relative_to(root).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path), inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to where the site has what they lead to."""
    if page.file.src_uri.startswith("benchmarks/"):
        return TO_PAGES.sub(r"\1", markdown)
    return TO_COPIES.sub(r"\1\2", markdown)
