"""A finding: what is wrong, where, what it means, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["unusable", "fault", "note"]

EXIT_CODES: Mapping[Severity, int] = {"unusable": 3, "fault": 1, "note": 0}
"""Severity -> exit code of ``wav2edge doctor``, the worst first.

``unusable``: nothing runs. ``fault``: answers are wrong, or cost more than they need to. ``note``: good to know.
"""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong; ``figures`` are JSON-ready numbers behind it."""

    name: str
    severity: Severity
    where: str
    meaning: str
    remedy: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON-ready values."""
        return {**vars(self), "figures": dict(self.figures)}


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What was looked at, and what was found in it, the worst first."""

    source: str
    facts: Mapping[str, Any]
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """That of the worst finding; 0 without any."""
        return max((EXIT_CODES[each.severity] for each in self.findings), default=0)

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as JSON-ready values."""
        return {
            "source": self.source,
            "facts": dict(self.facts),
            "findings": [each.to_dict() for each in self.findings],
        }


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings by their severity, otherwise in their order."""
    order = list(EXIT_CODES)
    return tuple(sorted(findings, key=lambda each: order.index(each.severity)))
