"""Shares shards out among a crew: whoever is ready gets the next one, and what a dead worker had is done again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from wav2edge.errors import DeviceError
from wav2edge.inference.feeding.archives.shard_worker import ShardReport
from wav2edge.inference.feeding.archives.shards import Shard

MOST_TRIES = 3
"""A shard that so many workers died of is given up: it may be what they die of."""


@dataclass(frozen=True)
class Ready:
    """A worker has its engine."""


@dataclass(frozen=True)
class Died:
    """A worker is no more; ``reason`` says what is known of it."""

    reason: str


Event = Ready | ShardReport | Died | Exception
"""What becomes of a worker; an exception ends the run."""


class Crew(Protocol):
    """Workers of one kind."""

    size: int
    """So many at once."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *failure: object) -> None:
        """End all workers."""

    def hire(self) -> Any:
        """Start a worker; it is ready later, or dies."""
        ...

    def give(self, worker: Any, shard: Shard) -> None:
        """Let a worker that is ready answer a shard."""
        ...

    def dismiss(self, worker: Any) -> None:
        """End a worker that has nothing to do, so that its room is free: what is done again gets a fresh one."""
        ...

    def wait(self) -> Sequence[tuple[Any, Event]]:
        """What became of workers, at least of one; waits for it."""
        ...


def dispatch(shards: Sequence[Shard], crew: Crew, tell: Callable[[str], None]) -> Iterator[ShardReport]:
    """The report of each shard, as it comes.

    Args:
        shards: in the order in which they are begun.
        crew: it is entered and left here.
        tell: is given a line when a worker dies.

    Raises:
        DeviceError: the workers die without answering anything.
        Wav2EdgeError, OSError: an engine cannot be opened, or results cannot be written.
    """
    waiting, tries, deaths = deque(shards), Counter[str](), 0
    working: dict[Any, Shard] = {}
    with crew:
        for _ in range(min(crew.size, len(waiting))):
            crew.hire()
        while waiting or working:
            for worker, event in crew.wait():
                shard = working.pop(worker, None)
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, Died):
                    deaths += 1
                    if deaths > MOST_TRIES * crew.size:
                        raise DeviceError(f"{deaths} workers died one after the other, the last one of {event.reason}")
                    if shard is not None and (given_up := _again(shard, event, tries, waiting, tell)) is not None:
                        yield given_up
                    if waiting:
                        crew.hire()
                    continue
                if isinstance(event, ShardReport):
                    deaths = 0
                    yield event
                if waiting:
                    working[worker] = waiting.popleft()
                    crew.give(worker, working[worker])
                else:
                    crew.dismiss(worker)


def _again(
    shard: Shard, death: Died, tries: Counter[str], waiting: deque[Shard], tell: Callable[[str], None]
) -> ShardReport | None:
    """Let a shard whose worker died wait once more; its report where it has killed too many."""
    tries[shard.output] += 1
    if tries[shard.output] < MOST_TRIES:
        tell(f"{shard.name}: its worker died ({death.reason}); it is done again")
        waiting.appendleft(shard)
        return None
    error = f"{shard.name}: {MOST_TRIES} workers died of it, the last one of {death.reason}; look for what it holds"
    return ShardReport(name=shard.name, error=error)
