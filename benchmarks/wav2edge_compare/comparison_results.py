"""Results of a comparison as values, and the log of its samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from wav2edge.output.documents import strict_json
from wav2edge_compare.measuring.output_quality import Quality
from wav2edge_compare.measuring.statistics import Ratio, median_s, p95_s, ratio_of_medians


@dataclass(kw_only=True)
class Row:
    """One system and what has been measured so far.

    ``turns`` (``[rounds][runs per turn]`` seconds) and ``peaks_bytes`` are by clip length in seconds. ``failure`` is
    the reason why the system dropped out.
    """

    name: str
    title: str
    ours: bool
    settings: str
    versions: Mapping[str, str]
    size_bytes: int | None = None
    loads_s: list[float] = field(default_factory=list)
    cold_starts_s: list[float] = field(default_factory=list)
    turns: dict[float, list[list[float]]] = field(default_factory=dict)
    peaks_bytes: dict[float, int] = field(default_factory=dict)
    quality: Quality | None = None
    failure: str | None = None

    @property
    def load_s(self) -> float | None:
        """Median time from the first import to a loaded model."""
        return float(np.median(self.loads_s)) if self.loads_s else None

    @property
    def cold_start_s(self) -> float | None:
        """Median time from process start to the first output."""
        return float(np.median(self.cold_starts_s)) if self.cold_starts_s else None

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON-ready values, without the samples."""
        return {
            "name": self.name,
            "title": self.title,
            "settings": self.settings,
            "versions": dict(self.versions),
            "size_bytes": self.size_bytes,
            "load_s": self.load_s,
            "cold_start_s": self.cold_start_s,
            "latency": [
                {
                    "duration_s": duration_s,
                    "runs": sum(map(len, turns)),
                    "median_s": median_s(turns),
                    "p95_s": p95_s(turns),
                    "peak_memory_bytes": self.peaks_bytes.get(duration_s),
                }
                for duration_s, turns in self.turns.items()
            ],
            "quality": None if self.quality is None else self.quality.to_dict(),
            "failure": self.failure,
        }


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A requested system that was not measured, and the reason."""

    name: str
    title: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All results of one comparison.

    ``evaluated_on`` describes the clips behind accuracy and logit error; ``machine_macs_per_s`` is the throughput of
    the machine before each turn, by clip length.
    """

    subject: str
    parameters: int
    note: str | None
    command: str
    made_on: str
    threads: int
    rounds: int
    runs_per_turn: int
    durations_s: tuple[float, ...]
    evaluated_on: str
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]
    machine_macs_per_s: Mapping[float, Sequence[float]]
    environment: Mapping[str, Any]

    @property
    def ours(self) -> Row:
        """The row all others are compared with: the first measured variant of the bundle."""
        ours = [row for row in self.rows if row.ours]
        return next((row for row in ours if row.failure is None), ours[0])

    @property
    def measured(self) -> tuple[Row, ...]:
        """Rows without a failure."""
        return tuple(row for row in self.rows if row.failure is None)

    def ratio(self, row: Row, duration_s: float) -> Ratio | None:
        """Our median over a row's at one clip length; None where one of the two is missing."""
        ours, theirs = self.ours.turns.get(duration_s), row.turns.get(duration_s)
        return ratio_of_medians(ours, theirs) if ours and theirs and len(ours) == len(theirs) else None

    def to_dict(self) -> dict[str, Any]:
        """Every figure of the report as JSON-ready values, without the samples."""
        return {
            "what": f"{self.subject} compared with other systems",
            "note": self.note,
            "command": self.command,
            "made_on": self.made_on,
            "parameters": self.parameters,
            "threads": self.threads,
            "rounds": self.rounds,
            "runs_per_turn": self.runs_per_turn,
            "evaluated_on": self.evaluated_on,
            "ours": self.ours.name,
            "systems": [{**row.to_dict(), "ours_over_this": self._ratios(row)} for row in self.rows],
            "left_out": [vars(each) for each in self.left_out],
            "machine_throughput": [
                {
                    "duration_s": duration_s,
                    "slowest_macs_per_s": min(rates),
                    "median_macs_per_s": float(np.median(rates)),
                    "fastest_macs_per_s": max(rates),
                }
                for duration_s, rates in self.machine_macs_per_s.items()
                if rates
            ],
            "environment": dict(self.environment),
        }

    def _ratios(self, row: Row) -> list[dict[str, float]]:
        found = {duration_s: self.ratio(row, duration_s) for duration_s in self.durations_s}
        return [{"duration_s": duration_s, **vars(ratio)} for duration_s, ratio in found.items() if ratio]


class SampleLog:
    """Writes each measurement as one line of strict JSON the moment it is made; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def __enter__(self) -> SampleLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, kind: str, **fields: Any) -> None:
        """Write one measurement."""
        print(strict_json({"kind": kind, **fields}, indent=None), file=self._file, flush=True)
