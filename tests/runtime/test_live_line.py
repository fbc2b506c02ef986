"""What `wav2edge stream` draws on a terminal."""

from __future__ import annotations

import io
import re

import pytest

from wav2edge import Final, Partial, Word
from wav2edge.cli.live import live_line, terminal_text
from wav2edge.cli.live.live_line import LiveLine
from wav2edge.cli.live.terminal_text import clock_text, column_count, final_line, partial_pieces, tail, width_of

SEQUENCE = re.compile(r"\x1b\[[0-9]*[A-Za-z]")
GREY = "\x1b[90m"


class Terminal(io.StringIO):
    """A terminal that shows its last line."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def line(self) -> str:
        """What stands on it, without colours."""
        return SEQUENCE.sub("", self.getvalue().rpartition("\r")[2])


class Clock:
    now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(live_line, "time", clock)
    return clock


@pytest.fixture
def columns(monkeypatch):
    """Set the width of the terminal; 80 at first."""

    def resize(count: int) -> None:
        monkeypatch.setattr(live_line, "columns_of", lambda terminal: count)

    monkeypatch.delenv("NO_COLOR", raising=False)
    resize(80)
    return resize


@pytest.fixture
def drawn(clock, columns):
    """Draw once, and give the terminal."""

    def draw(*events: Partial | Final, terminal: Terminal | None = None, speaking: bool = True, **how) -> Terminal:
        terminal = terminal or Terminal()
        line = LiveLine(terminal)
        for event in events:
            line.say(event)
        line.follow(**{"level_dbfs": -15.0, "clock_s": 4.0, "speaking": speaking, "compute_s": 0.4, **how})
        return terminal

    return draw


def partial(text: str | None, stable: int = 0, **fields) -> Partial:
    words = None if text is None else tuple(Word(text=w, start_s=0, end_s=1, confidence=1) for w in text.split())
    return Partial(start_s=2.14, end_s=3, text=text, words=words, stable_words=stable, **fields)


def test_the_line_shows_when_what_how_loud_and_how_fast(drawn):
    line = drawn(partial("bei jing")).line
    assert line.startswith("[0:02.1] bei jing ")
    assert line.endswith("█ ● speaking   0.10x")
    assert len(line) == 79


def test_without_speech_it_listens(drawn):
    assert drawn(speaking=False, level_dbfs=-120.0).line.split() == ["[0:04.0]", "○", "listening", "0.10x"]


def test_words_that_turned_out_to_be_noise_go_away(drawn):
    assert "bei" not in drawn(partial("bei"), speaking=False).line


def test_words_that_may_change_are_grey_and_those_that_stay_are_not(drawn):
    text = drawn(partial("zhong guo fan", 2)).getvalue()
    assert f"\x1b[0mzhong guo {GREY}fan\x1b[0m" in text


def test_a_final_answer_stands_at_once_on_its_own_line_where_its_words_stood(drawn):
    final = Final(start_s=2.14, end_s=3, text="bei jing", scores={"0": 0.2, "2": 0.8})
    before, after = SEQUENCE.sub("", drawn(partial("bei"), final).getvalue()).split("\n")
    assert before == "\r[0:02.1] bei jing  2"
    assert "bei" not in after


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"text": "bei"}, "[0:02.1] bei  "),
        ({"scores": {"0": 0.2, "2": 0.8}}, "[0:02.1] 2"),
        ({"text": "", "words": (), "rejected": True, "confidence": 0.41}, "[0:02.1] not sure enough (0.41)"),
        ({"text": "a\x1b[2Jb"}, "[0:02.1] a\ufffd[2Jb  "),
    ],
)
def test_a_final_line_has_what_the_model_says(fields, shown):
    assert "".join(text for text, _ in final_line(Final(start_s=2.14, end_s=3, **fields))) == shown


def test_a_model_without_words_shows_its_label():
    assert partial_pieces(partial(None, scores={"0": 0.2, "2": 0.8})) == [("2", "grey")]
    assert partial_pieces(None) == []


@pytest.mark.parametrize("width", [1, 5, 9, 10, 12, 20, 30, 44, 61, 80, 200])
@pytest.mark.parametrize("text", ["bei jing " * 30, "北京 上海 " * 30, "e\u0301 " * 100, ""])
def test_it_is_never_as_wide_as_the_terminal(drawn, columns, width, text):
    columns(width)
    line = drawn(partial(text.strip(), 3)).line
    assert column_count(line) == width - 1


def test_the_newest_words_are_those_that_are_seen(drawn, columns):
    columns(70)
    words = " ".join(f"word{number}" for number in range(40))
    line = drawn(partial(words)).line
    assert line.startswith("[0:02.1] …")
    assert "word39 " in line


def test_the_cursor_ends_behind_the_words(drawn):
    text = drawn(partial("bei jing")).getvalue()
    back = int(re.search(r"\x1b\[(\d+)D$", text)[1])
    assert 79 - back == len("[0:02.1] bei jing")


def test_it_is_drawn_at_most_fifteen_times_a_second(clock, columns):
    terminal = Terminal()
    line = LiveLine(terminal)
    for place in range(1000):
        clock.now_s += 0.01
        line.follow(level_dbfs=-30.0, clock_s=place * 0.01, speaking=False, compute_s=0.0)
    assert 100 <= terminal.getvalue().count("\r") <= 150


def test_a_terminal_that_was_made_narrower_is_erased_below_too(clock, columns):
    terminal = Terminal()
    line = LiveLine(terminal)
    for width in (80, 80, 40):
        clock.now_s += 1
        columns(width)
        line.follow(level_dbfs=-30.0, clock_s=1.0, speaking=False, compute_s=0.0)
    assert re.findall(r"\r\x1b\[\d?[JK]", terminal.getvalue()) == ["\r\x1b[2K", "\r\x1b[2K", "\r\x1b[J"]


def test_what_was_drawn_is_erased_once(drawn, clock, columns):
    terminal = Terminal()
    line = LiveLine(terminal)
    line.clear()
    assert terminal.getvalue() == ""
    line.follow(level_dbfs=-30.0, clock_s=1.0, speaking=False, compute_s=0.0)
    line.clear()
    line.clear()
    assert terminal.line == ""
    assert terminal.getvalue().count("\r") == 2


def test_no_color_is_respected(drawn, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert re.findall(r"\x1b\[[0-9]*m", drawn(partial("bei jing", 1)).getvalue()) == []


def test_a_terminal_of_plain_ascii_gets_plain_ascii(drawn):
    terminal = Terminal()
    terminal.encoding = "ascii"
    text = drawn(partial("bei " * 50), terminal=terminal).getvalue()
    assert text.isascii()
    assert "@ * speaking" in text


def test_the_meter_shows_the_loudest_of_each_tenth_of_a_second(clock, columns):
    terminal = Terminal()
    line = LiveLine(terminal)
    for place, level_dbfs in enumerate([-15.0, -60.0, -120.0, -40.0]):
        clock.now_s += 1
        line.follow(level_dbfs=level_dbfs, clock_s=place * 0.06, speaking=False, compute_s=0.0)
    assert " █▄ ○" in terminal.line  # -15 with -60, then -120 with -40


def test_the_width_of_the_terminal_is_asked_for_each_time_and_80_where_it_has_none():
    assert live_line.columns_of(io.StringIO()) == 80


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "[0:00.0]"), (59.96, "[1:00.0]"), (61.24, "[1:01.2]"), (7325.5, "[2:02:05.5]")]
)
def test_times_are_read_at_a_glance(seconds, shown):
    assert clock_text(seconds) == shown


def test_wide_characters_take_two_columns_and_marks_none():
    assert column_count("北京ab") == 6
    assert column_count("e\u0301") == 1


@pytest.mark.parametrize(
    ("room", "shown"), [(9, "北京 abc"), (7, "…京 abc"), (6, "… abc"), (1, "…"), (0, ""), (-3, "")]
)
def test_a_text_is_cut_before_a_whole_character(room, shown):
    cut = tail([("北京 ", "plain"), ("abc", "grey")], room, "…")
    assert "".join(text for text, _ in cut) == shown
    assert width_of(cut) <= max(0, room)
    assert set(terminal_text.CODES) >= {style for _, style in cut}
