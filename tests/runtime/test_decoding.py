from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import ClassificationHead, CtcHead, Heads
from wav2edge.decoding.beam import Beam
from wav2edge.decoding.ctc import best_path, join_words, softmax, tempered
from wav2edge.decoding.grammar import Grammar
from wav2edge.decoding.hypothesis import Greedy
from wav2edge.inference.interpretation import interpret

VOCABULARY = ("<pad>", "|", "A", "B", "C", "'")
HEAD = CtcHead(output="logits", vocabulary=VOCABULARY, blank_id=0)
GEOMETRY = ConvGeometry.of([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2])


def random_logits(seed: int, frames: int = 120) -> np.ndarray:
    """Sticky enough to hold repeats, blanks between repeats, and delimiters at both ends."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((frames, len(VOCABULARY)))
    logits[1:] += 0.8 * logits[:-1]
    return logits.astype(np.float32)


def one_hot(ids: list[int]) -> np.ndarray:
    return 10 * np.eye(len(VOCABULARY), dtype=np.float32)[ids]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """The tokenizer of transformers, with the same vocabulary."""
    transformers = pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("tokenizer") / "vocab.json"
    path.write_text(json.dumps({token: index for index, token in enumerate(VOCABULARY)}))
    return transformers.Wav2Vec2CTCTokenizer(str(path), pad_token="<pad>", unk_token="<pad>", word_delimiter_token="|")


@pytest.mark.parametrize("seed", range(12))
def test_words_and_their_times_are_those_of_transformers(tokenizer, seed):
    logits = random_logits(seed)
    expected = tokenizer.decode(
        logits.argmax(-1).tolist(), output_word_offsets=True, clean_up_tokenization_spaces=False
    )
    words = join_words(best_path(logits, HEAD), HEAD, frame_s=1.0)
    assert len(words) > 3
    assert [word.text for word in words] == expected.text.split()
    assert [(word.text, word.start_s, word.end_s) for word in words] == [
        (word["word"], word["start_offset"], word["end_offset"]) for word in expected.word_offsets
    ]


@pytest.mark.parametrize("seed", range(3))
def test_tokens_and_their_frames_are_those_of_transformers(tokenizer, seed):
    logits = random_logits(seed)
    expected = tokenizer.decode(logits.argmax(-1).tolist(), output_char_offsets=True)
    tokens = [token for token in best_path(logits, HEAD) if token.text != "|"]
    assert [(token.text, token.start, token.end) for token in tokens] == [
        (char["char"], char["start_offset"], char["end_offset"])
        for char in expected.char_offsets
        if char["char"] != " "
    ]


def test_softmax_is_that_of_scipy_even_for_huge_logits():
    special = pytest.importorskip("scipy.special")
    logits = np.float32([[1e4, -1e4, 9_999.5], [0, 0, 0], [-1e30, 5, 4]])
    np.testing.assert_allclose(softmax(logits), special.softmax(logits.astype(np.float64), axis=-1), rtol=1e-12)


def test_a_blank_between_two_equal_tokens_keeps_both():
    assert [token.text for token in best_path(one_hot([2, 2, 0, 2]), HEAD)] == ["A", "A"]


def test_a_clip_without_frames_has_no_tokens():
    assert best_path(np.zeros((0, len(VOCABULARY)), np.float32), HEAD) == []


def test_blanks_alone_are_an_empty_text_with_full_confidence():
    result = interpret({"logits": one_hot([0, 0, 0])}, Heads(ctc=HEAD), GEOMETRY, duration_s=0.1)
    assert (result.text, result.words, result.confidence) == ("", (), 1.0)


def test_silent_tokens_are_not_written():
    head = dataclasses.replace(HEAD, silent_ids=frozenset({5}))
    assert [token.text for token in best_path(one_hot([2, 5, 3]), head)] == ["A", "B"]


def test_doubled_and_outer_delimiters_make_no_empty_words():
    words = join_words(best_path(one_hot([1, 2, 1, 0, 1, 3, 1]), HEAD), HEAD, frame_s=0.02)
    assert [word.text for word in words] == ["A", "B"]


def test_without_a_word_delimiter_the_transcript_is_one_word():
    head = dataclasses.replace(HEAD, word_delimiter=None, vocabulary=("<pad>", "_", "A", "B", "C", "'"))
    words = join_words(best_path(one_hot([2, 1, 3]), head), head, frame_s=0.02)
    assert [word.text for word in words] == ["A_B"]


@pytest.mark.parametrize(("lower_case", "text"), [(True, "ab"), (False, "AB")])
def test_the_transcript_is_lowercased_where_the_tokenizer_lowercases(lower_case, text):
    head = dataclasses.replace(HEAD, lower_case=lower_case)
    assert join_words(best_path(one_hot([2, 3]), head), head, frame_s=0.02)[0].text == text


def test_a_word_is_as_sure_as_all_its_tokens_in_their_surest_frames():
    probabilities = np.float64([[0.1, 0.0, 0.9, 0, 0, 0], [0.2, 0, 0.8, 0, 0, 0], [0.5, 0, 0, 0.5, 0, 0]])
    probabilities[2] = [0.4, 0, 0, 0.6, 0, 0]
    logits = np.log(probabilities + 1e-300)
    (word,) = join_words(best_path(logits, HEAD), HEAD, frame_s=0.02)
    assert word.confidence == pytest.approx(0.9 * 0.6)
    assert (word.start_s, word.end_s) == pytest.approx((0.0, 0.06))


def test_a_transcript_is_as_sure_as_its_words_are_on_average():
    logits = np.log(np.float64([[0.1, 0.0, 0.9, 0, 0, 0], [0.2, 0.8, 0, 0, 0, 0], [0.5, 0, 0, 0.5, 0, 0]]) + 1e-300)
    logits[2, 0] -= 1
    result = interpret({"logits": logits}, Heads(ctc=HEAD), GEOMETRY, duration_s=0.1)
    assert [word.text for word in result.words] == ["A", "B"]
    assert result.confidence == pytest.approx(np.mean([word.confidence for word in result.words]))


@pytest.mark.parametrize("decoder", [None, Greedy(), Beam(width=4), Grammar(("AB", "C A"))])
@pytest.mark.parametrize("temperature", [0.3, 4.0])
def test_a_temperature_changes_confidences_and_scores_and_never_the_answer(decoder, temperature):
    heads = Heads(ctc=HEAD, classification=ClassificationHead(output="class_logits", labels=("no", "maybe", "yes")))
    outputs = {"logits": random_logits(3, frames=30), "class_logits": np.float32([1, 3, 2])}
    plain, tempered = (
        interpret(outputs, heads, GEOMETRY, duration_s=1.0, decoder=decoder, temperatures=each)
        for each in (None, {"ctc": temperature, "classification": temperature})
    )
    assert [(word.text, word.start_s, word.end_s) for word in tempered.words] == [
        (word.text, word.start_s, word.end_s) for word in plain.words
    ]
    assert (tempered.text, tempered.label) == (plain.text, plain.label)
    assert (tempered.scores["maybe"] > plain.scores["maybe"]) == (temperature < 1)
    assert [word.confidence for word in tempered.words] != [word.confidence for word in plain.words]


def test_a_temperature_divides_the_logits_of_the_surest_frames():
    special = pytest.importorskip("scipy.special")
    logits = random_logits(5, frames=30)
    tokens = best_path(logits, HEAD)
    scores = special.log_softmax(logits.astype(float), axis=-1)
    divided = special.log_softmax(logits.astype(float) / 1.7, axis=-1)
    expected = []
    for token in tokens:
        column = VOCABULARY.index(token.text)
        frame = max(range(token.start, token.end), key=lambda place, column=column: scores[place, column])
        expected.append(divided[frame, column])
    assert [token.log_probability for token in tempered(tokens, logits, HEAD, 1.7)] == pytest.approx(expected)
    assert tempered(tokens, logits, HEAD, 1.0) == [
        dataclasses.replace(token, log_probability=pytest.approx(token.log_probability)) for token in tokens
    ]
    assert tempered([], logits, HEAD, 1.7) == []


def test_scores_are_probabilities_in_the_order_of_the_labels():
    heads = Heads(classification=ClassificationHead(output="class_logits", labels=("no", "yes")))
    result = interpret({"class_logits": np.log(np.float32([1, 3]))}, heads, GEOMETRY, duration_s=1.0)
    assert list(result.scores) == ["no", "yes"]
    assert result.scores == pytest.approx({"no": 0.25, "yes": 0.75})
    assert (result.label, result.text, result.words) == ("yes", None, None)
    assert result.confidence == pytest.approx(0.75)


def test_logits_and_labels_of_different_lengths_are_refused():
    heads = Heads(classification=ClassificationHead(output="class_logits", labels=("no", "yes")))
    with pytest.raises(ValueError, match="zip"):
        interpret({"class_logits": np.zeros(3, np.float32)}, heads, GEOMETRY, duration_s=1.0)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Heads(), "a model needs a head"),
        (lambda: CtcHead(output="logits", vocabulary=("a",), blank_id=1), "outside the vocabulary"),
        (lambda: CtcHead(output="logits", vocabulary=("a", "a"), blank_id=0), "twice"),
        (lambda: ClassificationHead(output="class_logits", labels=()), "non-empty and unique"),
        (lambda: ClassificationHead(output="class_logits", labels=("x", "x")), "non-empty and unique"),
    ],
)
def test_impossible_heads_are_refused(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()
