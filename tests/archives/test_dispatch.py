"""How shards are shared out, with a crew that lives or dies as a test says."""

from __future__ import annotations

from collections import deque

import pytest

from wav2edge.errors import BundleError, DeviceError
from wav2edge.inference.feeding.archives.crews.dispatch import MOST_TRIES, Died, Ready, dispatch
from wav2edge.inference.feeding.archives.shard_worker import ShardReport
from wav2edge.inference.feeding.archives.shards import Shard

KILLED = Died("SIGKILL")


class ScriptedCrew:
    """Workers are numbers; ``fate`` says what becomes of one, given its number and its shard, or None at its start."""

    def __init__(self, size, fate=lambda worker, shard: None):
        self.size, self._fate = size, fate
        self.hired, self.given, self.dismissed, self.left, self._events = 0, [], [], False, deque()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.left = True

    def hire(self):
        self.hired += 1
        self._events.append((self.hired, self._fate(self.hired, None) or Ready()))
        return self.hired

    def give(self, worker, shard):
        self.given.append((worker, shard.name))
        self._events.append(
            (worker, self._fate(worker, shard.name) or ShardReport(name=shard.name, output=shard.output))
        )

    def dismiss(self, worker):
        self.dismissed.append(worker)

    def wait(self):
        assert self._events, "nobody works, and yet the run waits"
        return [self._events.popleft()]


def shards(*names):
    return [Shard(name=name, kind="tar", output=f"{name}.parquet") for name in names]


def run(crew, *names):
    told = []
    reports = list(dispatch(shards(*names), crew, told.append))
    assert crew.left
    return reports, told


def test_every_shard_is_answered_once():
    crew = ScriptedCrew(2)
    reports, told = run(crew, *"abcde")
    assert sorted(each.name for each in reports) == list("abcde")
    assert (crew.hired, len(crew.given), told) == (2, 5, [])


def test_no_more_workers_are_hired_than_there_are_shards():
    crew = ScriptedCrew(8)
    run(crew, "a", "b")
    assert crew.hired == 2


def test_what_a_dead_worker_had_is_done_again():
    crew = ScriptedCrew(2, lambda worker, shard: KILLED if (worker, shard) == (1, "a") else None)
    reports, told = run(crew, *"abcd")
    assert sorted(each.name for each in reports if each.error is None) == list("abcd")
    assert told == ["a: its worker died (SIGKILL); it is done again"]


def test_a_shard_that_workers_die_of_is_given_up_and_the_others_are_answered():
    crew = ScriptedCrew(2, lambda worker, shard: KILLED if shard == "b" else None)
    reports, told = run(crew, *"abcd")
    assert sorted(each.name for each in reports if each.error is None) == list("acd")
    (given_up,) = (each for each in reports if each.error is not None)
    assert given_up.error == f"b: {MOST_TRIES} workers died of it, the last one of SIGKILL; look for what it holds"
    assert len(told) == MOST_TRIES - 1


def test_a_worker_without_work_leaves_and_a_fresh_one_does_again_what_is_lost_later():
    fates = {(2, "b"): KILLED}
    crew = ScriptedCrew(2, lambda worker, shard: fates.pop((worker, shard), None))
    run(crew, "a", "b")
    assert crew.given == [(1, "a"), (2, "b"), (3, "b")]
    assert crew.dismissed == [1, 3]


def test_workers_that_die_before_they_are_ready_end_the_run():
    with pytest.raises(DeviceError, match="7 workers died one after the other, the last one of SIGKILL"):
        run(ScriptedCrew(2, lambda worker, shard: KILLED), *"abcd")


def test_a_worker_that_is_never_ready_holds_up_nobody():
    crew = ScriptedCrew(2)
    hire = crew.hire
    crew.hire = lambda: hire() if crew.hired == 0 else None
    reports, _ = run(crew, *"abc")
    assert len(reports) == 3


@pytest.mark.parametrize("error", [BundleError("damaged"), OSError(28, "No space left on device")])
def test_what_no_other_worker_would_do_better_ends_the_run(error):
    crew = ScriptedCrew(1, lambda worker, shard: error if shard == "b" else None)
    with pytest.raises(type(error)):
        run(crew, "a", "b", "c")
    assert crew.left
    assert "c" not in {shard for _, shard in crew.given}
