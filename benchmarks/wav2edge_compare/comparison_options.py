"""Options of a comparison, checked before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wav2edge.errors import UsageError
from wav2edge_compare.peers.systems import System, choose_peers

RUNS_PER_TURN = 3
"""Timed runs of a system before the next one's turn; one more comes first and is not counted."""


@dataclass(frozen=True, kw_only=True)
class ComparisonOptions:
    """Options of one comparison.

    ``bundle`` is compared with the systems that ``against`` names, built from the ``checkpoint`` it was exported from;
    ``variants`` are those of the bundle to measure, by default int8 and fp32. ``data`` is the data set for WER and
    accuracy: its ``split``, at most ``max_clips`` clips. ``output`` is the folder for the built models, the samples and
    the report. ``subject`` is the report's name for the model, ``note`` appears in every output, ``command`` is shown
    as the command that was run.
    """

    bundle: Path
    checkpoint: Path
    output: Path
    against: str = "all"
    variants: tuple[str, ...] = ()
    data: Path | None = None
    split: str | None = None
    max_clips: int | None = None
    durations_s: tuple[float, ...] = (0.5, 1.0, 3.0, 10.0)
    rounds: int = 10
    threads: int = 1
    subject: str | None = None
    note: str | None = None
    command: str = ""

    def __post_init__(self) -> None:
        choose_peers(self.against)
        if not self.durations_s or min(self.durations_s) <= 0 or len(set(self.durations_s)) != len(self.durations_s):
            raise UsageError("clip lengths must be positive and unique, and at least one is needed")
        if self.rounds < 1:
            raise UsageError(f"{self.rounds} rounds; at least 1 is needed")
        if self.threads < 1:
            raise UsageError(f"{self.threads} threads; at least 1 is needed")
        if self.max_clips is not None and self.max_clips < 1:
            raise UsageError("at least one clip is needed for accuracy; leave --max-clips out to use all")
        if self.output.exists() and not self.output.is_dir():
            raise UsageError(f"{self.output}: a file; --output is a folder")

    @property
    def peers(self) -> tuple[System, ...]:
        """The systems that ``against`` names."""
        return choose_peers(self.against)
