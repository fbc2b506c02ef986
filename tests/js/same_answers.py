"""Answers of two bindings, compared."""

from __future__ import annotations

from typing import Any

import pytest


def assert_same(found: Any, expected: Any, within: float = 1e-4) -> None:
    """The same answer: names, texts and classes are equal, and so are numbers within so much."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(found[name], value, within)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for here, there in zip(found, expected, strict=True):
            assert_same(here, there, within)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=within)
    else:
        assert found == expected
