"""Prefix beam search against the sum over every path, with hotwords and language models."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest

from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.beam import Beam
from wav2edge.decoding.ctc import collapse, softmax
from wav2edge.decoding.hypothesis import Greedy, log_probabilities, spell
from wav2edge.decoding.language_model import LanguageModel
from wav2edge.errors import UsageError

VOCABULARY = ("<pad>", "|", "a", "b", "<unk>")
HEAD = CtcHead(output="logits", vocabulary=VOCABULARY, blank_id=0, silent_ids=frozenset({4}))
UNLIMITED = 10_000
ARPA = """
\\data\\
ngram 1={count}
ngram 2=3

\\1-grams:
-1.0\t<unk>\t-0.2
-9\t<s>\t-0.3
-0.7\t</s>
{unigrams}

\\2-grams:
-0.2\t<s> a\t0
-0.4\ta b
-0.1\tb </s>

\\end\\
"""
WORDS = ARPA.format(count=6, unigrams="-0.6\ta\t-0.1\n-0.8\tb\t-0.4\n-0.9\tab\t-0.5")
TOKENS = ARPA.format(count=6, unigrams="-0.6\ta\t-0.1\n-0.8\tb\t-0.4\n-0.3\t|\t-0.5")


def random_logits(seed, frames=5):
    rng = np.random.default_rng(seed)
    return (2 * rng.standard_normal((frames, len(VOCABULARY)))).astype(np.float32)


def words_of(tokens):
    return "".join(tokens).replace("|", " ").split()


def summed_over_paths(logits, extra=lambda tokens: 0.0):
    """Score of every transcript: the probabilities of all its paths, plus what its words are worth."""
    probabilities = softmax(logits)
    totals = defaultdict(float)
    for path in itertools.product(range(len(VOCABULARY)), repeat=len(logits)):
        # A silent token is written as nothing, and keeps equal tokens apart like the blank.
        ids = collapse(np.array([0 if i == 4 else i for i in path]), 0)
        tokens = tuple(VOCABULARY[i] for i in ids)
        totals[tokens] += math.prod(probabilities[frame, i] for frame, i in enumerate(path))
    scores = defaultdict(float)
    for tokens, total in totals.items():
        scores[" ".join(words_of(tokens))] += total * math.exp(extra(tokens))
    return {text: math.log(score) for text, score in scores.items()}


def answers(beam, logits, head=HEAD):
    return {" ".join(words_of(token.text for token in each.tokens)): each.score for each in beam.decode(logits, head)}


@pytest.mark.parametrize("seed", range(4))
def test_every_transcript_scores_the_sum_over_its_paths(seed):
    logits = random_logits(seed)
    expected = summed_over_paths(logits)
    found = answers(Beam(width=UNLIMITED, n_best=UNLIMITED), logits)
    assert found == pytest.approx(expected, abs=1e-9)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_the_sum_over_paths_can_beat_the_best_path():
    probabilities = np.float64([[0.4, 1e-9, 0.35, 0.25, 1e-9]] * 2)
    logits = np.log(probabilities)
    assert Greedy().decode(logits, HEAD)[0].tokens == ()
    assert [token.text for token in Beam().decode(logits, HEAD)[0].tokens] == ["a"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("text", "units"), [(WORDS, "words"), (TOKENS, "tokens")])
def test_a_language_model_and_a_word_bonus_add_what_they_say(tmp_path, text, units, seed):
    (tmp_path / "lm.arpa").write_text(text)
    model = LanguageModel.read(tmp_path / "lm.arpa")

    def extra(tokens):
        units_of = words_of(tokens) if units == "words" else tokens
        return 0.7 * model.log_probabilities(units_of).sum() + 0.3 * len(words_of(tokens))

    logits = random_logits(seed)
    beam = Beam(
        width=UNLIMITED, n_best=UNLIMITED, lm=tmp_path / "lm.arpa", lm_weight=0.7, word_bonus=0.3, lm_units=units
    )
    assert answers(beam, logits) == pytest.approx(summed_over_paths(logits, extra), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hotwords", [{"ab": 2.0, "b": -1.0}, {"a b": 1.5, "b a": 0.5, "a": 0.25}])
def test_a_hotword_weighs_in_once_for_each_time_it_is_spelt_and_never_for_its_beginning(hotwords, seed):
    def extra(tokens):
        text = "".join(f"| {' | '.join(words_of(tokens))} |".split())
        return sum(
            weight * text.startswith("|" + phrase.replace(" ", "|") + "|", place)
            for phrase, weight in hotwords.items()
            for place in range(len(text))
        )

    logits = random_logits(seed)
    beam = Beam(width=UNLIMITED, n_best=UNLIMITED, hotwords=hotwords)
    assert answers(beam, logits) == pytest.approx(summed_over_paths(logits, extra), abs=1e-9)


def test_a_hotword_keeps_its_beginning_in_a_narrow_beam():
    """The sound prefers `a` by little in every frame; a boost at the last letter alone would come too late."""
    steady = np.float64([[0.02, 0.02, 0.56, 0.38, 0.02], [0.94, 0.02, 0.01, 0.01, 0.02]] * 4)
    plain, boosted = (
        "".join(token.text for token in Beam(width=1, hotwords=hotwords).decode(np.log(steady), HEAD)[0].tokens)
        for hotwords in ({}, {"bbbb": 6.0})
    )
    assert (plain, boosted) == ("aaaa", "bbbb")


def test_a_hotword_within_a_longer_word_weighs_nothing():
    logits = random_logits(7)
    plain, boosted = (
        answers(Beam(width=UNLIMITED, n_best=UNLIMITED, hotwords=hotwords), logits) for hotwords in ({}, {"b": 3.0})
    )
    assert boosted["ab"] == pytest.approx(plain["ab"])
    assert boosted["b"] == pytest.approx(plain["b"] + 3)


def test_frames_of_sure_blanks_change_nothing():
    logits = random_logits(3, frames=30)
    padded = np.insert(logits, [10] * 20, np.float32([40, 0, 0, 0, 0]), axis=0)
    beam = Beam(width=8, n_best=4)
    separated = np.insert(logits, [10], np.float32([40, 0, 0, 0, 0]), axis=0)
    assert answers(beam, padded) == pytest.approx(answers(beam, separated), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_tokens_stand_where_the_best_path_of_their_transcript_has_them(seed):
    logits = random_logits(seed, frames=40)
    (best,) = Beam().decode(logits, HEAD)
    scores = log_probabilities(logits, HEAD)
    spans = [(token.start, token.end) for token in best.tokens]
    assert spans == sorted(spans)
    assert all(start < end for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    for token in best.tokens:
        column = VOCABULARY.index(token.text)
        assert token.log_probability == pytest.approx(scores[token.start : token.end, column].max())


def test_a_clip_without_frames_has_one_empty_transcript():
    (only,) = Beam(n_best=3, hotwords={"ab": 1.0}).decode(np.zeros((0, 5), np.float32), HEAD)
    assert (only.tokens, only.score) == ((), 0.0)


def test_words_are_spelt_with_the_longest_tokens_in_the_case_of_the_transcript():
    head = CtcHead(output="logits", vocabulary=("_", "|", "S", "H", "SH", "I"), blank_id=0, lower_case=True)
    assert spell("shi  SH is", head) == (4, 5, 1, 4, 1, 5, 2)


def test_characters_that_cannot_be_spelt_are_listed_in_one_line():
    with pytest.raises(UsageError) as caught:
        Beam(hotwords={"axby": 1.0}).decode(random_logits(0), HEAD)
    assert str(caught.value) == "'axby': the vocabulary has no 'x', 'y'; write it with a b"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"width": 0}, "at least 1"),
        ({"n_best": 0}, "at least 1"),
        ({"n_best": 17}, "make the beam as wide"),
        ({"hotwords": {"a": math.nan}}, "finite"),
        ({"lm_weight": math.inf}, "finite"),
        ({"lm_units": "letters"}, "words, tokens"),
    ],
)
def test_impossible_options_are_refused(options, reason):
    with pytest.raises(UsageError, match=reason):
        Beam(**options)


def test_a_model_that_does_not_fit_the_vocabulary_is_refused(tmp_path):
    (tmp_path / "lm.arpa").write_text(WORDS)
    foreign = CtcHead(output="logits", vocabulary=("_", "x", "y"), blank_id=0, word_delimiter=None)
    for units, reason in (("tokens", "none of the vocabulary"), ("words", "without a word delimiter")):
        with pytest.raises(UsageError, match=reason):
            Beam(lm=tmp_path / "lm.arpa", lm_units=units).decode(np.zeros((2, 3)), foreign)
