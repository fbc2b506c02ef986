"""Windows against the whole: the cutting, the comparison, and the record of it."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.records.accuracy.window_seams import relative_rms, spans

RECORD = Path(__file__).parents[2] / "benchmarks/results/window-seams.json"


@pytest.mark.parametrize(
    ("samples", "length_s", "overlap_s"), [(400_000, 5.0, 1.25), (100_000, 10.0, 4.0), (96_001, 2.0, 0.5)]
)
def test_windows_cover_everything_whole_frames_apart(samples, length_s, overlap_s):
    audio = np.arange(samples, dtype=np.float32)
    found = spans(audio, length_s, overlap_s, 320)
    covered = np.zeros(samples, bool)
    for span in found:
        np.testing.assert_array_equal(span.samples, audio[span.start : span.end])
        assert span.start % 320 == 0
        covered[span.start : span.end] = True
    assert covered.all()
    assert all(left.end - right.start == right.overlap for left, right in pairwise(found))


def test_the_error_is_relative_to_what_is_wanted():
    wanted = np.array([[3.0, -4.0]])
    assert relative_rms(wanted * 1.1, wanted) == pytest.approx(0.1)
    assert relative_rms(wanted, wanted) == 0


def test_at_the_shape_of_xlsr_windows_of_ten_seconds_are_within_two_percent():
    windows = {(each["window_s"], each["overlap_s"]): each for each in json.loads(RECORD.read_text())["windows"]}
    assert windows[10.0, 2.5]["relative_rms"] <= 0.02
    assert windows[20.0, 4.0]["relative_rms"] <= 0.02
