"""Words above a waveform and labels below it, which must not touch, in fonts that have their letters."""

from __future__ import annotations

import logging
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from wav2edge.output.result import Segment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

INK, MUTED, PALE = "#1d2430", "#5b6675", "#8b95a5"
FONTS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "Arial Unicode MS", "Noto Sans"),
)
"""Those that are asked first for what DejaVu Sans lacks; then any other that is installed."""
LEVELS, LEVEL, FLOOR = 3, 0.55, 1.2
"""Heights at which words stand that would otherwise touch, how far apart, and the lowest."""
LINE_WIDTH = 150
"""Letters that fit in a line across a row."""


class Words:
    """The words above a row, each at the highest line that is free, so that they read downwards, and labels below."""

    def __init__(self, axes: Axes, segments: Sequence[Segment]) -> None:
        self._begin_s, self._end_s = axes.get_xlim()
        self._lines = [_Line(axes, size=9, colour=INK) for _ in range(LEVELS)]
        self._labels = _Line(axes, size=8, colour=MUTED)
        self.left_out = 0
        for segment in between(segments, self._begin_s, self._end_s):
            self._write(segment)

    def _write(self, segment: Segment) -> None:
        middle_s = (segment.start_s + segment.end_s) / 2
        if segment.words is not None:
            for text, start_s, end_s in texts_of(segment):
                if self._is_here((start_s + end_s) / 2):
                    self.left_out += not any(line.write(text, start_s, end_s) for line in self._lines)
        elif segment.text and self._is_here(middle_s):
            self.left_out += not self._write_whole(plain(segment.text), segment)
        label = label_of(segment)
        if label and self._is_here(middle_s) and not self._labels.write(label, middle_s) and segment.label:
            self.left_out += not self._labels.write(segment.label, middle_s)

    def _write_whole(self, text: str, segment: Segment) -> bool:
        """Write a text without word times in lines as wide as its segment."""
        share = (segment.end_s - segment.start_s) / (self._end_s - self._begin_s)
        width = int(max(20, share * LINE_WIDTH) * len(text) / width_of(text))
        lines = textwrap.wrap(text, width, max_lines=LEVELS, placeholder=" …")
        middle_s = (segment.start_s + segment.end_s) / 2
        return all(line.write(part, middle_s) for line, part in zip(self._lines, lines, strict=False))

    def _is_here(self, moment_s: float) -> bool:
        return self._begin_s <= moment_s < self._end_s

    def place(self) -> int:
        """Put the lines on each other, right above the waveform; returns how many have words."""
        used = sum(not line.empty for line in self._lines)
        for level, line in enumerate(self._lines):
            line.place(FLOOR + LEVEL * (used - 1 - level))
        self._labels.place(-1.28)
        return used


class _Line:
    """A line of texts that must not touch."""

    def __init__(self, axes: Axes, *, size: float, colour: str) -> None:
        self._axes = axes
        self._look: dict[str, Any] = {"fontsize": size, "color": colour, "ha": "center", "va": "bottom"}
        self._texts: list[Text] = []
        self._marks: list[Line2D] = []
        self._free_from_s = float("-inf")

    @property
    def empty(self) -> bool:
        return not self._texts

    def write(self, text: str, start_s: float, end_s: float | None = None) -> bool:
        """Write a text around a moment, or over a stretch that is marked; False where it would touch the one before."""
        middle_s = start_s if end_s is None else (start_s + end_s) / 2
        begin_s, stop_s = self._axes.get_xlim()
        written = self._axes.text(middle_s, 0, plain(text), clip_on=True, **self._look)
        box = written.get_window_extent().transformed(self._axes.transData.inverted())
        moved_s = max(0.0, begin_s - box.x0) - max(0.0, box.x1 - stop_s)
        if box.x0 + moved_s < self._free_from_s:
            written.remove()
            return False
        written.set_x(middle_s + moved_s)
        self._texts.append(written)
        if end_s is not None:
            self._marks += self._axes.plot([start_s, end_s], [0, 0], color=PALE, linewidth=0.8, zorder=1)
        self._free_from_s = box.x1 + moved_s + (box.x1 - box.x0) / max(1, len(text))
        return True

    def place(self, height: float) -> None:
        """Move the line to a height."""
        for text in self._texts:
            text.set_y(height)
        for mark in self._marks:
            mark.set_ydata([height - 0.08] * 2)


def between(segments: Sequence[Segment], begin_s: float, end_s: float) -> Iterator[Segment]:
    """Those segments that lie at least partly between two moments."""
    return (segment for segment in segments if segment.end_s > begin_s and segment.start_s < end_s)


def texts_of(segment: Segment) -> list[tuple[str, float, float]]:
    """The texts above a segment with their times: its words, or its whole text."""
    if segment.words is not None:
        return [(word.text, word.start_s, word.end_s) for word in segment.words]
    return [(segment.text, segment.start_s, segment.end_s)] if segment.text else []


def label_of(segment: Segment) -> str:
    """What stands below a segment: the class and how sure it is, or that it is rejected."""
    if segment.rejected:
        return "rejected"
    if segment.label is None or not segment.scores:
        return ""
    return f"{segment.label} ({segment.scores[segment.label]:.2f})"


def width_of(text: str) -> int:
    """Letters of a text, of which Chinese ones and others as wide count twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def letters_of(title: str, segments: Sequence[Segment]) -> set[str]:
    """Every letter that a picture may need."""
    texts = [title, *(text for segment in segments for text in (segment.text, segment.label))]
    return set(plain("".join(text or "" for text in texts)))


def plain(text: str) -> str:
    """The text with a mark for each character that cannot be drawn: of control, or a byte that is no UTF-8."""
    return "".join("\ufffd" if unicodedata.category(letter) in ("Cc", "Cs", "Cn") else letter for letter in text)


@contextmanager
def lettering(letters: set[str]) -> Iterator[set[str]]:
    """Texts as they are, whatever a matplotlibrc says, in fonts that have their letters; gives those that none has.

    No text is read as a formula: a name with two dollar signs is rarely one, and what is none would end the picture.
    """
    from matplotlib import rc_context, rcdefaults, rcParams

    fonts, lacking = fonts_for(letters)
    with rc_context():
        rcdefaults()
        rcParams.update({"font.family": fonts, "text.parse_math": False})
        yield lacking


@contextmanager
def quiet() -> Iterator[None]:
    """Keep from the terminal what Matplotlib says of its caches, and of letters that no installed font has."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            yield
    finally:
        logger.setLevel(level)


def fonts_for(letters: set[str]) -> tuple[list[str], set[str]]:
    """DejaVu Sans, which Matplotlib brings along, and installed fonts for what it lacks; and letters that none has."""
    from matplotlib.font_manager import fontManager, get_font

    fonts = {font.name: font.fname for font in fontManager.ttflist if font.style == "normal"}
    names, lacking = ["DejaVu Sans"], {ord(letter) for letter in letters}
    for name in dict.fromkeys([*names, *FONTS, *sorted(fonts)]):
        if not lacking:
            break
        if name in fonts and "LastResort" not in name.replace(" ", ""):  # which has a box for every letter
            with suppress(OSError, RuntimeError):  # what cannot be read cannot help
                found = lacking & get_font(fonts[name]).get_charmap().keys()
                names += [name] if found and name not in names else []
                lacking -= found
    return names, set(map(chr, lacking))
