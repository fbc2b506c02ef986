"""How answers are shown while they come: a live line on a terminal, lines of text, or lines of JSON."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable
from typing import Protocol, TextIO

from wav2edge.cli.live.live_line import LiveLine
from wav2edge.cli.verbs import tell
from wav2edge.inference.streaming.events import Event, Final
from wav2edge.inference.streaming.stream import Stream
from wav2edge.output.documents import json_for
from wav2edge.output.writers import ESCAPES


class LiveOutput(Protocol):
    """Where answers go to as they come."""

    def say(self, events: Iterable[Event]) -> None:
        """Show answers; each is there for a reader at once."""
        ...

    def follow(self, stream: Stream) -> None:
        """Show how the stream goes."""
        ...

    def tell(self, message: str) -> None:
        """Write one line to standard error."""
        ...

    def close(self) -> None:
        """Leave a terminal as it was."""
        ...


class Lines:
    """One line for each answer that is final: the words and the label, with a tab between them."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def say(self, events: Iterable[Event]) -> None:
        """Write lines."""
        for event in events:
            line = self.line(event)
            if line is not None:
                self._out.write(f"{line}\n")
                self._out.flush()

    def line(self, event: Event) -> str | None:
        """The line of an answer; None: it has none."""
        if not isinstance(event, Final):
            return None
        columns = (event.text, None if event.scores is None else event.label or "")
        return "\t".join(column.translate(ESCAPES) for column in columns if column is not None)

    def follow(self, stream: Stream) -> None:
        """Nothing is drawn."""

    def tell(self, message: str) -> None:
        """Write one line to standard error."""
        tell(message)

    def close(self) -> None:
        """Nothing to leave behind."""


class JsonLines(Lines):
    """One JSON object for each answer.

    Args:
        out: where to.
        finals: leave out the partial ones.
    """

    def __init__(self, out: TextIO, *, finals: bool) -> None:
        super().__init__(out)
        self._finals = finals

    def line(self, event: Event) -> str | None:
        """The line of an answer; None: it has none."""
        if self._finals and not isinstance(event, Final):
            return None
        return json_for(self._out, event.to_dict(), indent=None)


class Screen:
    """A terminal with a live line.

    Args:
        terminal: where to draw.
        finals: do not show partial answers.
    """

    def __init__(self, terminal: TextIO, *, finals: bool) -> None:
        self._line, self._finals = LiveLine(terminal), finals

    def say(self, events: Iterable[Event]) -> None:
        """Show answers."""
        for event in events:
            if isinstance(event, Final) or not self._finals:
                self._line.say(event)

    def follow(self, stream: Stream) -> None:
        """Draw the live line."""
        self._line.follow(
            level_dbfs=stream.level_dbfs,
            clock_s=stream.clock_s,
            speaking=stream.speaking,
            compute_s=stream.compute_s,
        )

    def tell(self, message: str) -> None:
        """Write one line to standard error, above the live line."""
        self._line.clear()
        tell(message)

    def close(self) -> None:
        """Erase the live line."""
        self._line.clear()


def output_for(options: Namespace) -> LiveOutput:
    """How the options, and what standard output is, want answers to be shown."""
    if options.json:
        return JsonLines(sys.stdout, finals=options.finals)
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        return Screen(sys.stdout, finals=options.finals)
    return Lines(sys.stdout)
