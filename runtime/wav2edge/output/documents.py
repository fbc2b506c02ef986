"""JSON that any parser reads, and values taken from it."""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO, TypeVar

Kind = TypeVar("Kind")
UTF_8 = "utf-8"


def strict_json(document: Any, *, indent: int | None = 2, ascii_only: bool = False) -> str:
    """The document as JSON text without NaN and Infinity, which JSON has no way to write.

    Raises:
        ValueError: it holds such a number; see ``json_ready``.
    """
    return json.dumps(document, indent=indent, ensure_ascii=ascii_only, allow_nan=False)


def json_for(stream: TextIO | None, document: Any, *, indent: int | None = 2) -> str:
    """The same for a stream: JSON is UTF-8 (RFC 8259, section 8.1), so on any other encoding it is of ASCII alone.

    A stream without an encoding takes all text.

    Raises:
        ValueError: see ``strict_json``.
    """
    encoding = getattr(stream, "encoding", None) or UTF_8
    return strict_json(document, indent=indent, ascii_only=codecs.lookup(encoding).name != UTF_8)


def write_json(path: Path, document: Any) -> None:
    """Write a document as strict JSON, UTF-8, with a line break at its end."""
    path.write_text(strict_json(document, indent=1) + "\n", encoding="utf-8")


def json_ready(value: Any) -> Any:
    """The same value with None for every number that is infinite or NaN."""
    if isinstance(value, Mapping):
        return {key: json_ready(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def take(document: Mapping[str, Any], key: str, kind: type[Kind]) -> Kind:
    """A value that must be there, and of a kind.

    Raises:
        ValueError: it is missing, or of another kind.
    """
    value = document.get(key)
    if not isinstance(value, kind):
        raise ValueError(f"{key!r} is {'missing' if value is None else f'not a {kind.__name__}'}")
    return value


def take_names(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of strings that must be there.

    Raises:
        ValueError: it is missing, or holds something else.
    """
    names = tuple(take(document, key, list))
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key!r} must hold strings only")
    return names
