"""A text and the log probabilities of its audio: spelling, times, scores, and the star."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.forced_alignment import align, spell
from wav2edge.errors import AlignmentError
from wav2edge.output.result import Alignment

VOCABULARY = ("[PAD]", "|", "A", "B", "CH", "C", "H", "[UNK]")
HEAD = CtcHead(output="logits", vocabulary=VOCABULARY, blank_id=0, silent_ids=frozenset({7}), lower_case=True)
OTHERS = 0.01
"""The probability of each column that a frame is not about."""


def _logs(written: str) -> npt.NDArray[np.float64]:
    """Log probabilities whose frames are each almost surely one column: a letter, X for CH, or a dot for the blank."""
    columns = {".": 0, **{token: place for place, token in enumerate(VOCABULARY)}, "X": 4}
    probabilities = np.full((len(written), len(VOCABULARY)), OTHERS)
    probabilities[range(len(written)), [columns[letter] for letter in written]] = 1 - 7 * OTHERS
    return np.log(probabilities)


def _align(written: str, text: str, head: CtcHead = HEAD) -> Alignment:
    return align(_logs(written), text, head, frame_s=0.02, duration_s=0.02 * len(written))


def _times(found: Alignment) -> list[tuple[str, int, int]]:
    """The words with their first frame, and the frame after their last."""
    return [(word.text, round(word.start_s / 0.02), round(word.end_s / 0.02)) for word in found.words]


def test_the_longest_token_that_fits_is_taken_at_each_place():
    assert spell("chac hc", HEAD) == [("chac", (4, 2, 5)), ("hc", (6, 5))]


def test_letter_case_does_not_matter_where_the_head_writes_lower_case():
    assert spell("Ab", HEAD) == [("Ab", (2, 3))]
    exact = CtcHead(output="logits", vocabulary=("a", "A", "-"), blank_id=2)
    assert spell("aA", exact) == [("aA", (0, 1))]


def test_each_character_that_cannot_be_spelt_is_named_once_with_its_words():
    with pytest.raises(AlignmentError) as caught:
        spell("ab é! a|b éé b!", HEAD)
    message = str(caught.value)
    assert "'é' in é! éé; '!' in é! b!; '|' in a|b: write these words with a b ch c h, or as *" in message
    assert "\n" not in message


def test_a_text_without_words_is_refused():
    with pytest.raises(AlignmentError, match="no words"):
        spell(" \n", HEAD)


def test_words_and_tokens_have_the_times_of_the_frames_that_spell_them():
    found = _align("..AAB..|.XXA.", "ab cha")
    assert _times(found) == [("ab", 2, 5), ("cha", 9, 12)]
    assert [(token.text, round(token.start_s, 2), round(token.end_s, 2)) for token in found.tokens] == [
        ("A", 0.04, 0.08),
        ("B", 0.08, 0.1),
        ("CH", 0.18, 0.22),
        ("A", 0.22, 0.24),
    ]
    assert (found.text, found.duration_s) == ("ab cha", pytest.approx(0.26))


def test_a_vocabulary_without_a_delimiter_has_words_one_after_the_other():
    bare = CtcHead(output="logits", vocabulary=VOCABULARY, blank_id=0, word_delimiter=None, lower_case=True)
    assert _times(_align("A.B", "a b", bare)) == [("a", 0, 1), ("b", 2, 3)]


def test_what_was_said_has_its_probability_as_confidence_and_a_gop_above_zero():
    found = _align(".AB.", "ab")
    (word,) = found.words
    assert word.confidence == pytest.approx(0.93)
    assert word.gop == pytest.approx(np.log(0.93 / 0.01), abs=1e-4)
    assert (found.confidence, found.gop) == (word.confidence, word.gop)


def test_a_token_that_was_not_said_has_a_gop_below_zero_against_what_was():
    """Between two frames of A there is one of B, where the text has C."""
    first, other, last = _align(".ABA.", "aca").tokens
    assert (other.text, other.confidence) == ("C", pytest.approx(0.01))
    assert other.gop == pytest.approx(np.log(0.01 / 0.93), abs=1e-4)
    assert first.gop == last.gop == pytest.approx(np.log(93), abs=1e-4)


def test_scores_of_a_token_are_means_over_its_frames_and_those_of_a_word_over_its_tokens():
    logs = np.log(np.array([[0.2, 0.1, 0.6, 0.1], [0.3, 0.1, 0.5, 0.1], [0.3, 0.3, 0.1, 0.3]]))
    head = CtcHead(output="logits", vocabulary=("-", "|", "a", "b"), blank_id=0)
    (word,) = align(logs, "ab", head, frame_s=0.02, duration_s=0.06).words
    a, b = word.tokens
    assert a.confidence == pytest.approx(np.sqrt(0.6 * 0.5))
    assert a.gop == pytest.approx((np.log(0.6 / 0.2) + np.log(0.5 / 0.3)) / 2)
    assert (b.confidence, b.gop) == (pytest.approx(0.3), pytest.approx(0.0))
    assert word.confidence == pytest.approx((0.3 * np.sqrt(0.6 * 0.5)) ** 0.5)
    assert word.gop == pytest.approx(a.gop / 2)


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("a * b", [("a", 1, 2), ("*", 2, 8), ("b", 8, 9)]),
        ("* b", [("*", 0, 8), ("b", 8, 9)]),
        ("a *", [("a", 1, 2), ("*", 2, 10)]),
        ("a * * b", [("a", 1, 2), ("*", 2, 8), ("b", 8, 9)]),
        ("* ch *", [("*", 0, 5), ("ch", 5, 6), ("*", 6, 10)]),
    ],
)
def test_a_star_stands_for_whatever_was_said(text: str, times: list[tuple[str, int, int]]):
    """The recording says: a ch h b."""
    found = _align(".A.|.X|HB."[:10], text)
    assert _times(found) == times
    stars = [word for word in found.words if word.text == "*"]
    assert {(star.confidence, star.gop) for star in stars} == {(1.0, 0.0)}
    assert found.confidence == pytest.approx(0.93)


def test_blocks_of_any_length_give_what_the_whole_gives():
    whole = _logs("..AAB..|.XXA." * 3)
    text = "ab cha* ".replace("*", "") * 3
    parts = (whole[start : start + 5] for start in range(0, len(whole), 5))
    options = {"frame_s": 0.02, "duration_s": 1.0}
    assert align(parts, text, HEAD, **options) == align(whole, text, HEAD, **options)


def test_the_document_has_words_tokens_and_scores():
    document = _align(".AB.", "ab").to_dict()
    token = {"start_s": 0.02, "end_s": 0.04, "confidence": 0.93, "gop": 4.5326}
    assert document == {
        "duration_s": 0.08,
        "text": "ab",
        "confidence": 0.93,
        "gop": 4.5326,
        "words": [
            {
                "text": "ab",
                **token,
                "end_s": 0.06,
                "tokens": [{"text": "A", **token}, {"text": "B", **token, "start_s": 0.04, "end_s": 0.06}],
            }
        ],
        "warnings": [],
    }
