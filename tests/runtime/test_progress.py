from __future__ import annotations

import io

import pytest

from wav2edge.output import progress
from wav2edge.output.progress import PATIENCE_S, Progress, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Stands in for `time`; it advances only on request."""

    now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def draw(stream: io.StringIO, clock: Clock, *, step_s: float, steps: int = 10) -> str:
    with Progress("recognising", steps, stream=stream) as bar:
        for _ in range(steps):
            clock.now_s += step_s
            bar.advance()
        return stream.getvalue()


def test_a_long_job_on_a_terminal_is_drawn(clock):
    drawn = draw(Terminal(), clock, step_s=1.0)
    assert "recognising" in drawn
    assert "10/10" in drawn


def test_a_short_job_on_a_terminal_is_not_drawn(clock):
    assert draw(Terminal(), clock, step_s=PATIENCE_S / 11) == ""


def test_a_long_job_in_a_file_is_not_drawn(clock):
    stream = io.StringIO()
    draw(stream, clock, step_s=1.0)
    assert stream.getvalue() == ""


def test_nothing_is_drawn_before_the_patience_is_over(clock):
    drawn = draw(Terminal(), clock, step_s=1.0)
    counts = [int(line.rpartition("/10")[0].split()[-1]) for line in drawn.split("\r") if line]
    assert counts == [3, 4, 5, 6, 7, 8, 9, 10]


def test_quick_steps_are_not_all_drawn(clock):
    drawn = draw(Terminal(), clock, step_s=0.01, steps=1000)
    assert 50 < drawn.count("\r") < 120


def test_a_drawn_bar_is_taken_off_the_screen_at_the_end(clock):
    stream = Terminal()
    draw(stream, clock, step_s=1.0)
    assert stream.getvalue().endswith("\r\x1b[2K")


def test_the_time_left_follows_from_the_pace(clock):
    stream = Terminal()
    with Progress("recognising", 4, stream=stream) as bar:
        clock.now_s += 61
        bar.advance()
        assert "1/4  1:01 < 3:03" in stream.getvalue()


def test_a_bar_of_no_steps_does_not_divide_by_them(clock):
    stream = Terminal()
    with Progress("recognising", 0, stream=stream) as bar:
        clock.now_s += 10
        bar.update(0)
        assert "0/0" in stream.getvalue()


def test_track_passes_every_item_on(capsys):
    assert list(track("abc", "spelling", 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
