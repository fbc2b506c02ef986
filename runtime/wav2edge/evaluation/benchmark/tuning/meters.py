"""What a clip takes with some settings: time, time among many, or energy; measured in short blocks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.engine import Engine

Block = Callable[[], float]
"""Measures for a moment; gives what a clip took: ``s``, ``processor s`` or ``J``."""

BLOCK_S = 0.01
"""A block holds about as many calls as fit: many turns are worth more than long ones."""
SHORT_S = 0.1
"""Of calls shorter than this a block has more than one: at the first, the caches are those of other engines."""
LONG_S = 1.0
"""A call of this length is hardly longer the first time."""
LONG_BLOCK_S = 0.2
"""A block where a meter is slow: counters of energy go up once in a millisecond, and Windows counts processor time in
steps of 16 ms."""
MORE_CLIPS, BURST_S = 4, 0.1
"""In a block of throughput, clips beyond those that are recognised at once: with few of them workers wait for the last
one, but where a call takes long there is no time for more."""
SPREAD = (0.5, 1.5)
"""Shortest and longest clip among many, over their mean: batches pad what is shorter."""
NAP_S, LONGEST_WAIT_S = 0.002, 0.2
IDLE_NAPS, IDLE_SHARE = 3, 0.1
"""A process is idle that takes less than this share of a processor in so many naps: one may be missed where others
keep a spinning thread waiting."""
RAPL = Path("sys/class/powercap")
"""https://www.kernel.org/doc/html/latest/power/powercap/powercap.html; AMD's processors are listed there, too."""


class ProcessorTime:
    """Time on processors, of all threads: what stands in for energy where the system does not measure it."""

    unit = "processor s"
    step, block_s = 1e-6, BLOCK_S if os.name == "posix" else LONG_BLOCK_S

    def read(self) -> float:
        """So far, in seconds."""
        return time.process_time()


class ProcessorEnergy:
    """Energy of the whole processor, as it counts it itself: in it is what other programs do meanwhile.

    Args:
        domains: folders of ``powercap``, one for each socket; what they list of its parts is in them already.
    """

    unit = "J"
    step, block_s = 1e-6, LONG_BLOCK_S

    def __init__(self, domains: Iterable[Path]) -> None:
        self._domains = {domain: int((domain / "max_energy_range_uj").read_text()) for domain in domains}
        self._last = {domain: int((domain / "energy_uj").read_text()) for domain in self._domains}
        self._joules = 0.0

    def read(self) -> float:
        """Since the first reading, in joules; counters that wrapped around once are put right."""
        for domain, range_uj in self._domains.items():
            now = int((domain / "energy_uj").read_text())
            self._joules += (now - self._last[domain]) % (range_uj + 1) / 1e6
            self._last[domain] = now
        return self._joules


def energy_meter(root: Path = Path("/")) -> ProcessorEnergy | ProcessorTime:
    """What measures energy best here; the counters are mostly readable for the administrator alone.

    Args:
        root: of the file system, in which Linux describes itself.
    """
    domains = sorted((root / RAPL).glob("intel-rapl:*"))
    try:
        packages = [each for each in domains if (each / "name").read_text().startswith("package")]
        return ProcessorEnergy(packages) if packages else ProcessorTime()
    except (OSError, ValueError):
        return ProcessorTime()


def latency_block(engine: Engine, clip_s: float, settle: Callable[[], None]) -> Block:
    """Time of the fastest call of the block: other programs make calls slower, and never faster."""
    call, took_s = _warm(engine, clip_s)
    least = 2 if took_s < SHORT_S else 1

    def block() -> float:
        times_s: list[float] = []
        while len(times_s) < least or sum(times_s) < BLOCK_S:
            times_s.append(_timed(call))
        settle()
        return min(times_s)

    return block


def throughput_block(engine: Engine, clip_s: float, settle: Callable[[], None]) -> Block:
    """Time of a clip among many of different lengths, as ``Engine.map`` takes them."""
    _, took_s = _warm(engine, clip_s)
    at_once = engine.batch_size if engine.batch_size > 1 else engine.workers
    number = at_once + min(MORE_CLIPS + at_once, round(BURST_S / took_s))
    shortest_s = engine.geometry.shortest(engine.heads.fewest_frames) / SAMPLE_RATE_HZ
    lengths_s = np.maximum(shortest_s, clip_s * np.linspace(*SPREAD, number))
    clips = [_clip(each) for each in np.random.default_rng(0).permutation(lengths_s)]

    def burst() -> None:
        for _ in engine.map(clips, rate_hz=SAMPLE_RATE_HZ, segments=False):
            pass

    if took_s < SHORT_S:
        burst()

    def block() -> float:
        burst_s = _timed(burst)
        settle()
        return burst_s / len(clips)

    return block


def energy_block(engine: Engine, clip_s: float, settle: Callable[[], None]) -> Block:
    """Energy of a call that stands alone: what threads spin after it belongs to it."""
    meter = energy_meter()
    call, took_s = _warm(engine, clip_s)
    calls = max(1, round(meter.block_s / took_s))

    def block() -> float:
        if took_s < SHORT_S:
            call()
        settle()
        before = meter.read()
        for _ in range(calls):
            call()
            settle()
        return max(meter.step, meter.read() - before) / calls

    return block


BLOCKS: dict[str, Callable[[Engine, float, Callable[[], None]], Block]] = {
    "latency": latency_block,
    "throughput": throughput_block,
    "energy": energy_block,
}
"""Aim -> what makes the blocks that measure it; the first calls, which are slow, are made at once.

They are given the length of a clip in seconds, and what waits until no thread of the engine is busy.
"""


def blocks_of(aim: str, engine: Engine, clip_s: float, *, spinning: bool) -> Block:
    """What measures an engine for an aim; spinning threads, which would disturb the next engine, are waited for."""
    return BLOCKS[aim](engine, clip_s, fall_asleep if spinning else _nothing)


def unit_of(aim: str) -> str:
    """What a block of this aim counts in."""
    return energy_meter().unit if aim == "energy" else "s"


def fall_asleep() -> None:
    """Wait until this process is idle for some naps: threads spin for some hundredths of a second after a call."""
    until_s, idle = time.perf_counter() + LONGEST_WAIT_S, 0
    while idle < IDLE_NAPS and time.perf_counter() < until_s:
        before_s, began_s = time.process_time(), time.perf_counter()
        time.sleep(NAP_S)
        share = (time.process_time() - before_s) / (time.perf_counter() - began_s)
        idle = idle + 1 if share < IDLE_SHARE else 0


def _nothing() -> None:
    pass


def _clip(duration_s: float) -> npt.NDArray[np.float32]:
    """A synthetic voice, ``[samples] float32``: what a call takes depends on its length only."""
    return voiced(round(duration_s * SAMPLE_RATE_HZ))


def _warm(engine: Engine, clip_s: float) -> tuple[Callable[[], Any], float]:
    """A call and the time that it takes; the slow first ones are made here."""
    clip = _clip(clip_s)

    def call() -> None:
        engine(clip, rate_hz=SAMPLE_RATE_HZ, segments=False)

    took_s = _timed(call)
    if took_s < LONG_S:
        took_s = _timed(call)
    return call, took_s


def _timed(call: Callable[[], Any]) -> float:
    began_s = time.perf_counter()
    call()
    return time.perf_counter() - began_s
