"""A run that was killed, resumed from the JSON lines that it wrote: one per input, in the order of the inputs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wav2edge.errors import UsageError
from wav2edge.output.documents import write_json

SETTINGS_SUFFIX = ".settings.json"
"""Lies next to the lines, and says what they were made with."""


def prepare(lines: Path, settings: dict[str, Any], *, resume: bool) -> list[str]:
    """Make the file of a run ready to be appended to.

    Args:
        lines: the file of JSON lines.
        settings: what the results depend on: bundle, variant, options; JSON-ready.
        resume: resume from what is there; otherwise the file must be new.

    Returns:
        The paths of the inputs that are answered, in order. A last line that was cut short is removed.

    Raises:
        UsageError: there is a file and it is not to be resumed, or it was made with other settings, or holds
            something else.
    """
    record = lines.with_name(lines.name + SETTINGS_SUFFIX)
    if not lines.exists():
        lines.parent.mkdir(parents=True, exist_ok=True)
        write_json(record, settings)
        lines.touch()
        return []
    if not record.exists():
        raise UsageError(f"{lines}: exists, and was not written by --output; give another --output")
    if not resume:
        raise UsageError(f"{lines}: exists; resume JSON lines with --resume, or give another --output")
    _check_settings(record, settings)
    return _answered(lines)


def _check_settings(record: Path, settings: dict[str, Any]) -> None:
    try:
        earlier = dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise UsageError(f"{record}: cannot be read, so nothing can be resumed; give another --output") from None
    for name in sorted({*earlier, *settings}):
        if earlier.get(name) != settings.get(name):
            raise UsageError(
                f"{record}: {name} was {earlier.get(name)} and is {settings.get(name)}; resume with what it was,"
                " or give another --output"
            )


def _answered(lines: Path) -> list[str]:
    answered, end = [], 0
    with lines.open("rb+") as file:
        for number, line in enumerate(_complete(file), start=1):
            try:
                answered.append(str(json.loads(line)["path"]))
            except (ValueError, LookupError, TypeError):
                raise UsageError(f"{lines}:{number}: not a result; give another --output") from None
            end += len(line)
        file.truncate(end)
        file.flush()
        os.fsync(file.fileno())
    return answered


def _complete(file: Any) -> Iterator[bytes]:
    """Lines that end; only the last one may not."""
    for line in file:
        if line.endswith(b"\n"):
            yield line
