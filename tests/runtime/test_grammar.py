"""A closed grammar against the sum over every path of each phrase."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.ctc import collapse, softmax
from wav2edge.decoding.grammar import Grammar
from wav2edge.errors import UsageError

VOCABULARY = ("<pad>", "|", "a", "b", "<unk>")
HEAD = CtcHead(output="logits", vocabulary=VOCABULARY, blank_id=0, silent_ids=frozenset({4}))
PHRASES = ("a", "ab", "aa", "abb", "b a", "a b")


def random_logits(seed, frames=5):
    return (2 * np.random.default_rng(seed).standard_normal((frames, len(VOCABULARY)))).astype(np.float32)


def spoken(text, frames_each=3, sure=8.0):
    """Logits of a clip that says the text clearly: a few frames for each letter, a blank between."""
    ids = [i for letter in text.replace(" ", "|") for i in [VOCABULARY.index(letter)] * frames_each + [0]]
    return (sure * np.eye(len(VOCABULARY))[ids]).astype(np.float32)


def text_of(hypothesis):
    return "".join(token.text for token in hypothesis.tokens).replace("|", " ")


def summed_over_paths(logits):
    """Log probability of each phrase, with delimiters at its ends or without."""
    probabilities, totals = softmax(logits), dict.fromkeys(PHRASES, 0.0)
    for path in itertools.product(range(len(VOCABULARY)), repeat=len(logits)):
        ids = collapse(np.array([0 if i == 4 else i for i in path]), 0)
        # Between the words of these phrases stands one delimiter; at the ends there may be several.
        text = "".join(VOCABULARY[i] for i in ids).strip("|").replace("|", " ")
        if text in totals:
            totals[text] += math.prod(probabilities[frame, i] for frame, i in enumerate(path))
    return {phrase: math.log(total) for phrase, total in totals.items()}


@pytest.mark.parametrize("seed", range(4))
def test_every_phrase_scores_the_sum_over_its_paths(seed):
    logits = random_logits(seed)
    found = {text_of(each): each.score for each in Grammar(PHRASES, n_best=len(PHRASES)).decode(logits, HEAD)}
    assert found == pytest.approx(summed_over_paths(logits), abs=1e-9)
    assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_clear_phrase_is_found_with_its_frames_and_a_high_confidence(phrase):
    (best,) = Grammar(PHRASES).decode(spoken(phrase), HEAD)
    assert text_of(best) == phrase
    assert [(token.start, token.end) for token in best.tokens] == [(4 * i, 4 * i + 3) for i in range(len(phrase))]
    assert best.confidence > 0.9


def test_a_clip_of_another_phrase_is_rejected_and_one_of_the_grammar_is_not():
    grammar = Grammar(("ab", "aa"), least_fit=0.6)
    (inside,), (outside,) = grammar.decode(spoken("ab"), HEAD), grammar.decode(spoken("b b a"), HEAD)
    assert text_of(inside) == "ab"
    assert (inside.rejected, outside.rejected) == (False, True)
    assert (outside.tokens, outside.confidence) == ((), grammar.fit(spoken("b b a"), HEAD))
    assert outside.confidence < 0.6 < grammar.fit(spoken("ab"), HEAD)


def test_phrases_that_sound_alike_share_the_confidence_and_keep_the_fit():
    """Every second letter is as likely `a` as `b`: one of two phrases was said, and which is open."""
    logits = spoken("ab")
    logits[4:7, 2] = logits[4:7, 3] = 8.0
    grammar = Grammar(("aa", "ab"), n_best=2)
    first, second = grammar.decode(logits, HEAD)
    assert first.confidence + second.confidence <= grammar.fit(logits, HEAD) + 1e-12
    assert first.confidence < 0.6
    assert grammar.fit(logits, HEAD) > 0.7


def test_a_free_transcript_that_is_likelier_lowers_the_confidence():
    narrow = Grammar(("ab",)).decode(spoken("bb", sure=3.0), HEAD)[0]
    assert narrow.confidence < 0.01


def test_noise_fits_worse_than_a_clear_phrase_of_the_same_length():
    clear = spoken("ab")
    noise = np.random.default_rng(0).standard_normal(clear.shape).astype(np.float32)
    grammar = Grammar(PHRASES)
    assert grammar.fit(noise, HEAD) < 0.5 < 0.9 < grammar.fit(clear, HEAD)


@pytest.mark.parametrize("frames", [0, 1])
def test_a_clip_too_short_for_any_phrase_has_an_empty_transcript(frames):
    (only,) = Grammar(("aab", "bb")).decode(random_logits(0, frames), HEAD)
    assert (only.tokens, only.score, only.confidence) == ((), -math.inf, 0.0)


def test_every_phrase_that_cannot_be_spelt_has_its_line():
    with pytest.raises(UsageError) as caught:
        Grammar(("ab", "axy", "zb")).decode(random_logits(0), HEAD)
    assert [line.split(";")[0] for line in str(caught.value).splitlines()] == [
        "'axy': the vocabulary has no 'x', 'y'",
        "'zb': the vocabulary has no 'z'",
    ]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Grammar(()), "without phrases"),
        (lambda: Grammar("ab"), "give a list"),
        (lambda: Grammar(("a  b", "a b")), "twice"),
        (lambda: Grammar(("",)).decode(random_logits(0), HEAD), "empty phrase"),
        (lambda: Grammar(("a",), n_best=0), "at least 1"),
        (lambda: Grammar(("a",), least_fit=1.5), "from 0 to 1"),
    ],
)
def test_impossible_grammars_are_refused(make, reason):
    with pytest.raises(UsageError, match=reason):
        make()
