"""The pace of the machine itself: on a shared one, neighbours take a part of it for minutes at a time."""

from __future__ import annotations

import time

from wav2edge_compare.roofline.roofs import SHAPES, int8_product, open_product

REPEATS = 3


class Pacer:
    """An 8-bit product of a transformer's size, timed while every system sleeps.

    Memory that is copied says less: in a slow phase, in which every system took 1.2 to 1.3 times as long, the copy of
    256 MB kept its rate.
    """

    def __init__(self, threads: int) -> None:
        self._product = int8_product(*SHAPES[0])
        # Threads that spin would be in the way of the system whose turn is next.
        self._session = open_product(self._product, threads=threads, spinning=False)

    def macs_per_s(self) -> float:
        """Multiply-accumulates a second, the best of a few runs."""
        return self._product.macs / min(self._run_s() for _ in range(REPEATS))

    def _run_s(self) -> float:
        started_s = time.perf_counter()
        self._session.run(None, self._product.feeds)
        return time.perf_counter() - started_s
