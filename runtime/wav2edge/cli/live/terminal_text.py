"""Text of a terminal: pieces with a style, and how many columns they take."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from wav2edge.inference.streaming.events import Final, Partial

CODES = {"grey": "90", "green": "32", "cyan": "36", "plain": ""}
"""Style -> its number in an escape sequence (ECMA-48); of the eight colours that every terminal has."""

Piece = tuple[str, str]
"""A text and its style, one of ``CODES``."""


def styled(pieces: Iterable[Piece], *, colours: bool) -> str:
    """Pieces as they are written to a terminal."""
    return "".join(f"\x1b[{CODES[style]}m{text}\x1b[0m" if colours and CODES[style] else text for text, style in pieces)


def final_line(event: Final) -> list[Piece]:
    """A finished answer: when it began, its words, and its label."""
    if event.rejected:
        return [(f"{clock_text(event.start_s)} ", "grey"), (f"not sure enough ({event.confidence:.2f})", "grey")]
    words = [] if event.text is None else [(f"{printable(event.text)}  ", "plain")]
    label = [] if event.label is None else [(printable(event.label), "cyan")]
    return [(f"{clock_text(event.start_s)} ", "grey"), *words, *label]


def partial_pieces(event: Partial | None) -> list[Piece]:
    """The words so far: those that stay, and in grey those that may change; without words the label."""
    if event is None:
        return []
    if event.text is None:
        return [(printable(event.label or ""), "grey")]
    words = printable(event.text).split(" ")
    stable, unstable = " ".join(words[: event.stable_words]), " ".join(words[event.stable_words :])
    return [(f"{stable} " if stable and unstable else stable, "plain"), (unstable, "grey")]


def tail(pieces: list[Piece], columns: int, ellipsis: str) -> list[Piece]:
    """The end of a text, behind an ellipsis where it does not fit into so many columns."""
    if width_of(pieces) <= columns:
        return pieces
    left = columns - column_count(ellipsis)
    kept: list[Piece] = []
    for text, style in reversed(pieces):
        fits = "".join(reversed(list(_fitting(reversed(text), left))))
        left -= column_count(fits)
        kept.insert(0, (fits, style))
        if fits != text:
            break
    return [(ellipsis, "grey"), *kept] if left >= 0 else []


def _fitting(letters: Iterable[str], columns: int) -> Iterator[str]:
    for letter in letters:
        columns -= column_count(letter)
        if columns < 0:
            return
        yield letter


def column_count(text: str) -> int:
    """Columns that a text takes: two for a wide character (UAX 11), none for a mark on the one before it."""
    return sum(
        0
        if unicodedata.category(letter) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(letter) in ("W", "F")
        else 1
        for letter in text
    )


def printable(text: str) -> str:
    """Text without what would steer a terminal, should a vocabulary hold such."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def clock_text(seconds: float) -> str:
    """Seconds as ``[1:02.3]``, with hours where there are any."""
    tenths = round(seconds * 10)
    minutes, left = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"[{head}:{left // 10:02d}.{left % 10}]"


def width_of(pieces: Iterable[Piece]) -> int:
    """Columns that pieces take."""
    return sum(column_count(text) for text, _ in pieces)
