"""The live line of a terminal: what is being said, how loud it is, and how the recogniser keeps up."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TextIO

from wav2edge.cli.live.terminal_text import Piece, clock_text, final_line, partial_pieces, styled, tail, width_of
from wav2edge.inference.streaming.events import Event, Partial

REDRAW_S = 1 / 15
"""Least time between two drawings."""
METER_CELLS, CELL_S = 10, 0.1
"""The meter shows the loudest of each tenth of a second, the newest at the right."""
QUIET_DBFS, LOUD_DBFS = -65.0, -15.0
"""Where the meter begins and ends."""
BLOCKS, PLAIN_BLOCKS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
STATES = {True: (("●", "*", "speaking "), "green"), False: (("○", ".", "listening"), "grey")}
"""Whether somebody speaks -> its mark, the mark in ASCII, the word, and their style."""
WIDE, NARROW = 60, 30
"""From so many columns on there is room for the state in words and the real-time factor, and for the meter at all."""
ERASE, ERASE_WRAPPED = "\r\x1b[2K", "\r\x1b[J"
"""To the first column, and erase the line, or all from it on: a terminal that was made narrower has wrapped it."""
NEVER_S = float("-inf")


class LiveLine:
    """Draws the last line of a terminal again and again, and lets finished lines through above it.

    The cursor stays visible, behind the words: whatever ends the program leaves a terminal that works.

    Args:
        terminal: where to draw.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._colours = not os.environ.get("NO_COLOR")
        self._rich = _takes(terminal, BLOCKS + "●○…")
        self._levels: deque[float] = deque([QUIET_DBFS] * METER_CELLS, METER_CELLS)
        self._cell_end_s = 0.0
        self._drawn_s = NEVER_S
        self._drawn_width = 0
        self._partial: Partial | None = None

    def say(self, event: Event) -> None:
        """Show an answer: a partial one with the next drawing, a final one at once on a line of its own."""
        if isinstance(event, Partial):
            self._partial = event
            return
        self._partial = None
        self._write(self._erasing() + styled(final_line(event), colours=self._colours) + "\n")
        self._drawn_s = NEVER_S

    def follow(self, *, level_dbfs: float, clock_s: float, speaking: bool, compute_s: float) -> None:
        """Draw what there is now, unless it was drawn a moment ago.

        Args:
            level_dbfs: of the latest block.
            clock_s: seconds of sound so far.
            speaking: whether an utterance is open.
            compute_s: seconds of computing so far.
        """
        self._hear(level_dbfs, clock_s)
        if not speaking:
            self._partial = None  # it was noise
        now_s = time.monotonic()
        if now_s - self._drawn_s >= REDRAW_S:
            self._drawn_s = now_s
            self._draw(clock_s, speaking, compute_s / clock_s if clock_s else 0.0)

    def clear(self) -> None:
        """Erase the line, if there is one, so that the next one starts where it was."""
        if self._drawn_s > NEVER_S:
            self._write(self._erasing())
            self._drawn_s = NEVER_S

    def _draw(self, clock_s: float, speaking: bool, factor: float) -> None:
        """The words stand where they stand on the line of the final answer; the rest is at the right."""
        width = columns_of(self._terminal) - 1  # one stays free: a terminal wraps once the last column is written to
        right = self._status(speaking, factor, width)
        left = [(f"{clock_text(self._partial.start_s if self._partial else clock_s)} ", "grey")]
        if width_of([*left, *right]) > width:
            left, right = [], []
        room = width - width_of([*left, *right])
        said = tail(partial_pieces(self._partial), room, "…" if self._rich else "<")
        blank: Piece = (" " * (room - width_of(said)), "plain")
        behind = width_of([blank, *right])
        back = f"\x1b[{behind}D" if behind else ""  # the cursor, to the end of the words
        self._write(self._erasing() + styled([*left, *said, blank, *right], colours=self._colours) + back)
        self._drawn_width = width

    def _status(self, speaking: bool, factor: float, width: int) -> list[Piece]:
        (mark, plain_mark, word), style = STATES[speaking]
        mark = mark if self._rich else plain_mark
        if width < NARROW:
            return [(f" {mark}", style)]
        if width < WIDE:
            return [(f" {self._meter()[-5:]} {mark}", style)]
        return [(f"  {self._meter()} {mark} {word}", style), (f" {factor:5.2f}x", "grey")]

    def _meter(self) -> str:
        blocks = BLOCKS if self._rich else PLAIN_BLOCKS
        shares = [(level - QUIET_DBFS) / (LOUD_DBFS - QUIET_DBFS) for level in self._levels]
        return "".join(blocks[round(min(1.0, max(0.0, share)) * (len(blocks) - 1))] for share in shares)

    def _hear(self, level_dbfs: float, clock_s: float) -> None:
        if clock_s >= self._cell_end_s:
            self._levels.append(level_dbfs)
            self._cell_end_s = clock_s + CELL_S
        else:
            self._levels[-1] = max(self._levels[-1], level_dbfs)

    def _erasing(self) -> str:
        return ERASE if columns_of(self._terminal) > self._drawn_width else ERASE_WRAPPED

    def _write(self, text: str) -> None:
        self._terminal.write(text)
        self._terminal.flush()


def columns_of(terminal: TextIO) -> int:
    """Columns of a terminal now; what the environment says of them may be from before it was resized."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _takes(terminal: TextIO, text: str) -> bool:
    try:
        text.encode(terminal.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
