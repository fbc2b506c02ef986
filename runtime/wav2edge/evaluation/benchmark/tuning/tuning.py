"""Tuning a bundle on this machine: from what there is to choose from to the profile that is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any

from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import UsageError
from wav2edge.evaluation.benchmark.environment import environment
from wav2edge.evaluation.benchmark.tuning.choices import (
    allowed_variants,
    processors,
    settings_to_try,
    usual_settings,
)
from wav2edge.evaluation.benchmark.tuning.halving import Ranking, Search, Trial
from wav2edge.evaluation.benchmark.tuning.meters import Block, blocks_of, unit_of
from wav2edge.evaluation.diagnosis.installation import machine
from wav2edge.inference.engine import Engine
from wav2edge.inference.sessions.device import physical_cores
from wav2edge.inference.sessions.profiles.run_profile import AIMS, Machine, RunProfile, RunSettings
from wav2edge.output.tables import markdown_table

CLIP_S, MOST_CLIP_S = 1.0, 600.0
LIMIT_S = 10.0
MEMORY_OF_GRAPH = 3
"""An engine takes a little more than its graph's file, and more while it is loaded and while a call runs; so many times
that size is enough."""
LEAST_ENGINE_BYTES = 30_000_000
MEMORY_SHARE = 0.5
"""Of the memory that is available, engines that wait for their turn may take so much."""
MOST_OPEN = 64
UNEVEN = 0.25
"""Where the middle half of what the usual settings took is wider than this, over its median, something disturbed."""


@dataclass(frozen=True, kw_only=True)
class TuningPlan:
    """What to tune for.

    Attributes:
        aim: one of ``AIMS``.
        clip_s: length of the clips; where None one second, or the shortest that the model can answer to.
        limit_s: most time, in seconds.
        variants: names of those that may be chosen, see ``allowed_variants``.
    """

    aim: str = "latency"
    clip_s: float | None = None
    limit_s: float = LIMIT_S
    variants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.aim not in AIMS:
            raise UsageError(f"cannot tune for {self.aim!r}; choose {', '.join(AIMS)}")
        for name, value in {"clips": self.clip_s, "a limit": self.limit_s}.items():
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name} of {value} s; give more than 0")
        if self.clip_s is not None and self.clip_s > MOST_CLIP_S:
            raise UsageError(f"clips of {self.clip_s:g} s; give at most {MOST_CLIP_S:g}")


@dataclass(frozen=True, kw_only=True)
class TuningReport:
    """The profile, and what it was chosen from."""

    profile: RunProfile
    ranking: Ranking
    left_out: Mapping[str, str]
    environment: dict[str, object] = field(default_factory=environment)

    @property
    def uneven(self) -> bool:
        """Whether the usual settings took so different times that something else must have been running."""
        costs = self.ranking.usual.costs
        if len(costs) < 4:
            return False
        low, middle, high = quantiles(costs, n=4)
        return high - low > UNEVEN * middle

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "aim": self.profile.aim,
            "clip_s": self.profile.clip_s,
            "unit": self.profile.unit,
            "chosen": asdict(self.profile.settings),
            "per_clip": self.profile.per_clip,
            "of_defaults": self.profile.of_defaults,
            "defaults": asdict(self.ranking.usual.settings),
            "tried": [_trial(each) for each in self.ranking.trials],
            "not_tried": [asdict(each) for each in self.ranking.not_tried],
            "left_out": dict(self.left_out),
            "took_s": self.ranking.took_s,
            "uneven": self.uneven,
            "environment": self.environment,
        }

    def table(self) -> str:
        """What was tried as a Markdown table, the chosen settings first, and the choice."""
        scale, unit = UNITS[self.profile.unit]
        rows = [
            [
                f"{each.settings}{' (defaults)' if each is self.ranking.usual else ''}",
                f"{each.cost_in_all_rounds * scale:.3g}",
                f"{each.of_usual:.2f}",
                str(len(each.costs)),
            ]
            for each in self.ranking.trials
        ]
        return "\n".join(
            [
                f"{self.profile.aim}, clips of {self.profile.clip_s:g} s, {self.environment['processor']}",
                "",
                markdown_table(("settings", f"{unit} per clip", "of the defaults", "rounds"), rows),
                "",
                *self._notes(),
                self._choice(),
            ]
        )

    def _choice(self) -> str:
        if self.ranking.chosen is self.ranking.usual:
            least = f"{self.ranking.alike_up_to:.0%}"
            return f"chosen: the defaults, {self.profile.settings}: nothing tried was better by more than {least}"
        return f"chosen: {self.profile.settings}, {self.profile.of_defaults:.2f} of the defaults"

    def _notes(self) -> Iterator[str]:
        number = len(self.ranking.trials)
        more = ", a larger --limit tries more" if self.ranking.not_tried else ""
        yield f"{number} of {number + len(self.ranking.not_tried)} settings tried in {self.ranking.took_s:.1f} s{more}"
        if self.profile.unit == "processor s":
            yield "this system does not say what energy is used: time on processors stands for it"
        for name, reason in self.left_out.items():
            yield f"{name} left out: {reason}"


UNITS = {"s": (1e3, "ms"), "processor s": (1e3, "processor ms"), "J": (1e3, "mJ")}
"""Unit of a measurement -> what it is multiplied by in a table, and its unit there."""


def tune(bundle: Bundle, plan: TuningPlan) -> TuningReport:
    """Look for the settings that a bundle runs best with on this machine's processor.

    Raises:
        UsageError: a variant may not be chosen, or the clips are shorter than any that the model can answer to.
        BundleError: a graph is missing or damaged.
    """
    variants, left_out = allowed_variants(bundle, plan.variants)
    usual = usual_settings(bundle, plan.aim)
    clip_s = _clip_s(bundle, plan.clip_s)
    opener = EngineOpener(bundle, plan.aim, clip_s)
    search = Search(
        settings_to_try(variants, usual, cores=physical_cores(), logical=processors()),
        opener,
        limit_s=plan.limit_s,
        most_open=most_open(max(bundle.manifest.files[each.file].size_bytes for each in variants)),
    )
    ranking = search.run()
    profile = RunProfile(
        aim=plan.aim,
        settings=ranking.chosen.settings,
        machine=Machine.here(),
        clip_s=clip_s,
        per_clip=ranking.chosen.cost,
        unit=unit_of(plan.aim),
        of_defaults=ranking.chosen.of_usual,
        tuned_on=datetime.now(UTC).date().isoformat(),
    )
    return TuningReport(profile=profile, ranking=ranking, left_out=left_out)


class EngineOpener:
    """Opens engines of one bundle, each graph's digest checked the first time only.

    Args:
        bundle: an opened bundle.
        aim: what their blocks measure.
        clip_s: length of the clips.
    """

    def __init__(self, bundle: Bundle, aim: str, clip_s: float) -> None:
        self._bundle, self._aim, self._clip_s = bundle, aim, clip_s
        self._checked: set[str] = set()

    def __call__(self, settings: RunSettings) -> Block:
        """An engine with these settings, and what measures it."""
        engine = self.engine(settings)
        self._checked.add(settings.variant)
        return blocks_of(self._aim, engine, self._clip_s, spinning=settings.spinning)

    def engine(self, settings: RunSettings) -> Engine:
        """An engine with these settings."""
        verify = settings.variant not in self._checked
        engine = Engine.from_bundle(self._bundle, variant=settings.variant, verify=verify, **settings.complete({}))
        settings.apply(engine)
        return engine


def most_open(graph_bytes: int) -> int:
    """Engines of a graph of this size that fit in the memory together."""
    here = machine()
    known = [here[name] for name in ("available_bytes", "memory_limit_bytes")]
    room = min((each for each in known if each is not None), default=None)
    if room is None:
        return MOST_OPEN // 4
    return min(MOST_OPEN, int(MEMORY_SHARE * room // max(LEAST_ENGINE_BYTES, MEMORY_OF_GRAPH * graph_bytes)))


def _clip_s(bundle: Bundle, asked_s: float | None) -> float:
    manifest = bundle.manifest
    shortest_s = manifest.geometry.shortest(manifest.heads.fewest_frames) / SAMPLE_RATE_HZ
    if asked_s is not None and asked_s < shortest_s:
        raise UsageError(f"clips of {asked_s:g} s; {bundle.folder} answers to clips from {shortest_s:g} s on")
    return max(CLIP_S, shortest_s) if asked_s is None else asked_s


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "settings": asdict(trial.settings),
        "per_clip": trial.cost,
        "of_defaults": trial.of_usual,
        "rounds": len(trial.costs),
        "opened_s": trial.opened_s,
    }
