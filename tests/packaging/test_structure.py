"""The shape of the tree: one name for each file, small modules, and few of them behind each door."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOTS = ("runtime", "train", "export", "benchmarks")
"""Where packages lie; those in them are counted."""
SEARCHED = (*ROOTS, "tests", "docs", "examples")
SHARED_NAMES = {"__init__.py", "__main__.py", "conftest.py"}
FACADES = {"runtime/wav2edge/ray.py"}
"""Faces of a room that is elsewhere, as `__init__.py` is: their name is what a program imports."""
LARGEST_MODULE = 300
MOST_IN_A_PACKAGE = 9


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path.relative_to(ROOT) for path in sorted((ROOT / folder).rglob("*.py")))


def packages() -> Iterator[Path]:
    yield from (
        path.relative_to(ROOT) for root in ROOTS for path in sorted((ROOT / root).rglob("*")) if _is_package(path)
    )


def _is_package(path: Path) -> bool:
    return path.is_dir() and any(path.rglob("*.py"))


def test_base_names_are_unique_so_that_a_search_finds_one_file():
    places = defaultdict(list)
    for path in modules(*SEARCHED):
        if path.name not in SHARED_NAMES:
            places[path.name].append(path.as_posix())
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_no_module_is_longer_than_a_reader_holds_in_mind():
    lengths = {path.as_posix(): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in modules(*ROOTS)}
    assert {path: lines for path, lines in lengths.items() if lines > LARGEST_MODULE} == {}


@pytest.mark.parametrize("package", packages(), ids=Path.as_posix)
def test_no_package_holds_more_than_a_reader_takes_in_at_once(package):
    inside = [
        path.name
        for path in sorted((ROOT / package).iterdir())
        if (path.suffix == ".py" and path.name not in SHARED_NAMES and path.relative_to(ROOT).as_posix() not in FACADES)
        or _is_package(path)
    ]
    assert len(inside) <= MOST_IN_A_PACKAGE, inside
