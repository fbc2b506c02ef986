from __future__ import annotations

import numpy as np
import pytest

from wav2edge.evaluation.rates import WordErrors, count_word_errors, edit_distance


def sentences(seed: int, count: int, *, empty: float = 0.0) -> list[str]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, count) * (rng.random(count) >= empty)
    return [" ".join(rng.choice(list("abcd"), length)) for length in lengths]


@pytest.mark.parametrize("seed", range(8))
def test_word_errors_are_counted_as_jiwer_counts_them(seed):
    jiwer = pytest.importorskip("jiwer")
    references, hypotheses = sentences(seed, 30), sentences(seed + 100, 30, empty=0.2)
    expected = jiwer.process_words(references, hypotheses)
    found = count_word_errors(references, hypotheses)
    assert found.edits == expected.substitutions + expected.deletions + expected.insertions
    assert found.words == expected.substitutions + expected.deletions + expected.hits
    assert found.rate == pytest.approx(expected.wer)


@pytest.mark.parametrize("seed", range(4))
def test_empty_references_count_their_insertions_as_jiwer_does(seed):
    jiwer = pytest.importorskip("jiwer")
    references, hypotheses = sentences(seed, 40, empty=0.4), sentences(seed + 100, 40, empty=0.4)
    assert "" in references
    found = count_word_errors(references, hypotheses)
    assert found.rate == pytest.approx(jiwer.wer(references, hypotheses))


@pytest.mark.parametrize(("edits", "rate"), [(0, 0.0), (3, 1.0)])
def test_without_reference_words_the_rate_is_1_if_a_hypothesis_has_words(edits, rate):
    assert WordErrors(edits=edits, words=0).rate == rate


def test_extra_white_space_is_no_word():
    assert count_word_errors(["a  b\t c "], [" a b c"]) == WordErrors(edits=0, words=3)


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="zip"):
        count_word_errors(["a", "b"], ["a"])


@pytest.mark.parametrize(
    ("reference", "hypothesis", "distance"),
    [("", "", 0), ("abc", "", 3), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("abc", "abc", 0)],
)
def test_edit_distances_known_by_heart(reference, hypothesis, distance):
    assert edit_distance(list(reference), list(hypothesis)) == distance
