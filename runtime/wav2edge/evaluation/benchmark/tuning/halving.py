"""The search: settings are opened one by one, measured in turns, and half of them are dropped again and again.

Successive halving (Jamieson and Talwalkar, 2016, https://arxiv.org/abs/1502.07943): every rung has the same time, so
that those that are left are measured twice as often each time. In a round every candidate has a turn, in a new order
each time, so that a machine that slows down slows all of them down, and none always follows the same one. What counts
is the lower quartile over the rounds, relative to that of the usual settings in the same rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, log2
from random import Random

from wav2edge.evaluation.benchmark.tuning.meters import Block
from wav2edge.inference.sessions.profiles.run_profile import RunSettings

FINALISTS = 3
"""So many are measured to the end, besides the usual settings."""
OPENING_SHARE, FEW = 0.5, 3
"""Of the time, so much goes into opening; as long as fewer are open than these, all but what two rounds take."""
ALIKE = 0.02
"""Settings that are slower than the best by no more than this are as good, and the most usual of them is chosen."""
FEW_ROUNDS, ALIKE_IN_FEW = 4, 0.1
"""With fewer rounds than these nothing is dropped, and the best must be better by more."""


@dataclass(kw_only=True, eq=False)
class Trial:
    """Settings that were tried.

    Attributes:
        settings: how the graph was run.
        first: what a clip took in the first block, right after opening; what counts where no time was left for rounds.
        opened_s: time until then.
        usual: the trial of the usual settings; None in that one itself.
        costs: what a clip took in each round, from the first on, until these settings were dropped.
    """

    settings: RunSettings
    first: float
    opened_s: float
    usual: Trial | None = field(default=None, repr=False)
    costs: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """What a clip took."""
        return undisturbed(self.costs or [self.first])

    @property
    def of_usual(self) -> float:
        """The same over what it took with the usual settings in the same rounds."""
        if self.usual is None:
            return 1.0
        return self.cost / undisturbed(self.usual.costs[: len(self.costs)] or [self.usual.first])

    @property
    def cost_in_all_rounds(self) -> float:
        """What a clip takes, so that settings which were dropped early can be compared with those that were not."""
        return self.of_usual * (self if self.usual is None else self.usual).cost


def undisturbed(costs: Sequence[float]) -> float:
    """The lower quartile: other programs make calls slower, and never faster.

    A lower percentile is luck where they are many: threads that spin then look as good as threads that sleep.
    """
    return sorted(costs)[len(costs) // 4]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """What a search found: all that was tried, the best first, and what there was no time for.

    ``alike_up_to`` is how much worse than the best settings may be that are chosen because they are more usual.
    """

    alike_up_to: float
    chosen: Trial
    usual: Trial
    trials: tuple[Trial, ...]
    not_tried: tuple[RunSettings, ...]
    took_s: float


class Search:
    """Looks for the settings with the least cost.

    Args:
        candidates: the usual settings first, and then in the order of preference among equals.
        open_block: opens an engine with settings; what it returns measures, and holds the engine.
        limit_s: most time, in seconds.
        most_open: engines that may be open at once, at least two.
        clock: seconds.
    """

    def __init__(
        self,
        candidates: Sequence[RunSettings],
        open_block: Callable[[RunSettings], Block],
        *,
        limit_s: float,
        most_open: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._candidates, self._open_block, self._clock = list(candidates), open_block, clock
        self._began_s, self._limit_s, self._most_open = clock(), limit_s, max(2, most_open)
        self._trials: list[Trial] = []
        self._blocks: dict[RunSettings, Block] = {}
        self._round_s, self._dice = 0.0, Random(0)

    def run(self) -> Ranking:
        """Search until the time is up."""
        self._open_all()
        self._measure()
        ranked = self._ranked()
        alike_up_to = ALIKE if len(ranked[0].costs) >= FEW_ROUNDS else ALIKE_IN_FEW
        good = (1 + alike_up_to) * ranked[0].of_usual
        alike = [each for each in ranked if each.settings in self._blocks and each.of_usual <= good]
        chosen = min(alike, key=lambda each: self._candidates.index(each.settings))
        tried = {each.settings for each in self._trials}
        return Ranking(
            alike_up_to=alike_up_to,
            chosen=chosen,
            usual=self._trials[0],
            trials=(chosen, *(each for each in ranked if each is not chosen)),
            not_tried=tuple(each for each in self._candidates if each not in tried),
            took_s=self._clock() - self._began_s,
        )

    def _open_all(self) -> None:
        """Open the candidates, those like the best so far first, as long as there is time and room for them."""
        left = list(self._candidates)
        while left and self._has_time_to_open():
            best = min(self._trials, key=lambda each: each.first, default=None)
            following = left[0] if best is None else min(left, key=best.settings.distance)
            left.remove(following)
            self._open(following)
            if len(self._blocks) > self._most_open:
                self._close(max(self._challengers(), key=lambda each: each.first))

    def _has_time_to_open(self) -> bool:
        if not self._trials:
            return True
        opened_s = self._clock() - self._began_s + self._trials[-1].opened_s
        few = len(self._trials) < FEW and opened_s + 2 * self._round_s < self._limit_s
        return few or opened_s < OPENING_SHARE * self._limit_s

    def _open(self, settings: RunSettings) -> None:
        began_s = self._clock()
        block = self._blocks[settings] = self._open_block(settings)
        measured_s = self._clock()
        first = block()
        done_s = self._clock()
        usual = self._trials[0] if self._trials else None
        self._trials.append(Trial(settings=settings, first=first, opened_s=done_s - began_s, usual=usual))
        self._round_s += done_s - measured_s

    def _measure(self) -> None:
        """Rounds of all that is open, and after each rung of the better half only."""
        rungs = 1 + max(0, ceil(log2(max(1, len(self._blocks) - 1) / FINALISTS)))
        for rungs_left in range(rungs, 0, -1):
            now_s, end_s = self._clock(), self._began_s + self._limit_s
            self._rounds(until_s=now_s + (end_s - now_s) / rungs_left, end_s=end_s)
            measured = len(self._trials[0].costs) >= FEW_ROUNDS
            keep = max(FINALISTS, ceil(len(self._challengers()) / 2))
            for trial in self._challengers()[keep:] if measured else ():
                self._close(trial)

    def _rounds(self, *, until_s: float, end_s: float) -> None:
        """Rounds until this rung's time is up; the first one may take that of the others."""
        alive = [each for each in self._trials if each.settings in self._blocks]
        while self._clock() + self._round_s < (until_s if self._trials[0].costs else end_s):
            began_s = self._clock()
            self._dice.shuffle(alive)
            costs = {each.settings: self._blocks[each.settings]() for each in alive}
            for trial in alive:
                trial.costs.append(costs[trial.settings])
            self._round_s = self._clock() - began_s

    def _challengers(self) -> list[Trial]:
        """What is open besides the usual settings, the best first."""
        return [each for each in self._ranked() if each.settings in self._blocks and each is not self._trials[0]]

    def _close(self, trial: Trial) -> None:
        del self._blocks[trial.settings]

    def _ranked(self) -> list[Trial]:
        """All that was tried: what is still open first, each by its ratio to the usual settings."""
        return sorted(self._trials, key=lambda each: (each.settings not in self._blocks, each.of_usual))
