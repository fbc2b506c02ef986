"""A profile: the settings that ``wav2edge tune`` chose, for which aim, on which machine, and what they brought."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import log2
from typing import TYPE_CHECKING, Any

from wav2edge.bundle.manifest import installed_versions
from wav2edge.inference.sessions.cpu import cpu_quota, processor_name
from wav2edge.inference.sessions.device import Placement, physical_cores
from wav2edge.output.documents import take

if TYPE_CHECKING:
    from wav2edge.inference.engine import Engine

AIMS = {
    "latency": "the time of a clip, one after the other",
    "throughput": "the time of many clips, several at once",
    "energy": "what a clip takes of the battery",
}
"""What a profile is the best for."""
MOST = 1024
"""More threads, workers or clips at once than this is damage, and no setting."""
RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a graph is run on the CPU.

    Attributes:
        variant: which graph of the bundle.
        threads: of each call.
        spinning: idle threads spin for a while in place of sleeping at once.
        arena: ONNX Runtime keeps the memory of a call for the next one.
        workers: clips that ``Engine.map`` recognises at once; its own number where None.
        batch_size: most clips that ``Engine.map`` gives a batched graph at once.
    """

    variant: str
    threads: int
    spinning: bool = False
    arena: bool = True
    workers: int | None = None
    batch_size: int = 1

    def __post_init__(self) -> None:
        for name in ("spinning", "arena"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name!r} is {getattr(self, name)!r}, neither true nor false")
        for name in ("threads", "batch_size") if self.workers is None else ("threads", "batch_size", "workers"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= MOST:
                raise ValueError(f"{name!r} is {value!r}, not a number from 1 to {MOST}")

    def __str__(self) -> str:
        parts = [self.variant, _counted(self.threads, "thread")]
        parts += ["spinning"] if self.spinning else []
        parts += [] if self.arena else ["no arena"]
        parts += [] if self.workers is None or self.batch_size > 1 else [_counted(self.workers, "worker")]
        parts += [f"batches of {self.batch_size}"] if self.batch_size > 1 else []
        return ", ".join(parts)

    def distance(self, other: RunSettings) -> float:
        """How many settings are others, where each doubling of the threads counts as one, workers included."""
        doublings = abs(log2(self.threads / other.threads))
        names = ("variant", "spinning", "arena", "batch_size", *(() if doublings else ("workers",)))
        return doublings + len([name for name in names if getattr(self, name) != getattr(other, name)])

    def complete(self, placement: Placement) -> Placement:
        """The same placement, with these settings where it leaves them open."""
        own: Placement = {"threads": self.threads, "spinning": self.spinning, "arena": self.arena}
        given = {name: value for name, value in placement.items() if value is not None}
        return {**own, **given}  # type: ignore[typeddict-item]

    def apply(self, engine: Engine) -> None:
        """Set what ``Engine.map`` does by itself; a graph that takes no mask takes no batches."""
        engine.workers = self.workers or engine.workers
        engine.batch_size = self.batch_size if engine.batched else 1


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What settings depend on, besides the bundle; where any of it has changed, they are not used."""

    processor: str
    cores: int
    logical_cores: int | None
    cpu_quota: float | None
    onnxruntime: str

    def __post_init__(self) -> None:
        for name, kind in MACHINE_KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise ValueError(f"{name!r} is {value!r}, nothing that a machine has")

    @classmethod
    def here(cls) -> Machine:
        """This machine, as this process may use it."""
        return cls(
            processor=processor_name(),
            cores=physical_cores(),
            logical_cores=os.cpu_count(),
            cpu_quota=cpu_quota(),
            onnxruntime=", ".join(f"{name} {version}" for name, version in installed_versions(RUNTIMES).items()),
        )

    def change(self, now: Machine) -> str | None:
        """The first thing that is another now, in words; None where all is the same."""
        for name, meaning in CHANGES.items():
            before, after = getattr(self, name), getattr(now, name)
            if before != after:
                return f"{meaning} changed from {_shown(before)} to {_shown(after)}"
        return None


MACHINE_KINDS: Mapping[str, Any] = {
    "processor": str,
    "cores": int,
    "logical_cores": int | None,
    "cpu_quota": float | int | None,
    "onnxruntime": str,
}
CHANGES = {
    "processor": "the processor",
    "cores": "the number of cores",
    "logical_cores": "the number of logical cores",
    "cpu_quota": "the quota of processors",
    "onnxruntime": "ONNX Runtime",
}


@dataclass(frozen=True, kw_only=True)
class RunProfile:
    """The best settings for an aim.

    Attributes:
        aim: one of ``AIMS``.
        settings: the best ones.
        machine: where they are.
        clip_s: length of the clips that were recognised.
        per_clip: what a clip took.
        unit: of that: ``s``, ``processor s`` or ``J``.
        of_defaults: the same over what it took with the settings of ``load``, measured in turns.
        tuned_on: the day, such as 2026-11-28.
    """

    aim: str
    settings: RunSettings
    machine: Machine
    clip_s: float
    per_clip: float
    unit: str
    of_defaults: float
    tuned_on: str

    def __post_init__(self) -> None:
        if self.aim not in AIMS:
            raise ValueError(f"'aim' is {self.aim!r}, none of {', '.join(AIMS)}")
        if not isinstance(self.unit, str) or not isinstance(self.tuned_on, str):
            raise ValueError("'unit' and 'tuned_on' must be strings")
        for name in ("clip_s", "per_clip", "of_defaults"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 < value <= sys.float_info.max:
                raise ValueError(f"{name!r} is {value!r}, not a positive number")

    def to_dict(self) -> dict[str, Any]:
        """The profile as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> RunProfile:
        """Read and check one.

        Raises:
            ValueError, TypeError: it is incomplete, or a value is none that it can have.
        """
        machine = Machine(**take(document, "machine", dict))
        return cls(**{**document, "settings": RunSettings(**take(document, "settings", dict)), "machine": machine})


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value if value not in (None, "") else "not known")
