from __future__ import annotations

from pathlib import Path

import pytest

from wav2edge.evaluation.dataset import Utterance
from wav2edge.evaluation.rates import WordTimesError, start_errors_s
from wav2edge.evaluation.report import make_report
from wav2edge.output.result import Word


def words(*starts_s: float) -> list[Word]:
    return [Word(text="pa", start_s=start_s, end_s=start_s + 0.1, confidence=1.0) for start_s in starts_s]


def row(transcription: str | None = "pa pa", word_starts_s: tuple[float, ...] | None = (0.1, 0.5)) -> Utterance:
    return Utterance(path=Path("a.wav"), where="a:1", transcription=transcription, word_starts_s=word_starts_s)


def test_errors_are_predicted_minus_true_starts():
    assert start_errors_s(words(0.12, 0.46), row()) == pytest.approx([0.02, -0.04])


@pytest.mark.parametrize("untold", [row(word_starts_s=None), row("pa pa pa", (0.1, 0.5, 0.9)), row("pa ta")])
def test_clips_without_true_starts_or_with_a_wrong_transcript_tell_nothing(untold: Utterance):
    assert start_errors_s(words(0.12, 0.46), untold) == []
    assert start_errors_s(None, row()) == []


def test_the_figures_are_those_of_absolute_errors():
    figures = WordTimesError.over([0.01, -0.02, 0.03, -0.2])
    assert figures is not None
    assert (figures.median_s, figures.close_share, figures.words) == (pytest.approx(0.025), 0.75, 4)
    assert figures.p95_s == pytest.approx(0.03 + 0.85 * 0.17)
    assert str(figures) == "median 0.025 s, 95th percentile 0.174 s, 4 words"
    assert WordTimesError.over([]) is None


def test_a_report_holds_them_where_they_are_known():
    known = make_report(transcription_pairs=[("pa", "pa")], word_times=WordTimesError.over([0.01]))
    assert known.to_dict()["word_times_error"] == {"median_s": 0.01, "p95_s": 0.01, "close_share": 1.0, "words": 1}
    assert "word-start error  median 0.010 s, 95th percentile 0.010 s, 1 words" in known.table()
    assert "word_times_error" not in make_report(transcription_pairs=[("pa", "pa")]).to_dict()
