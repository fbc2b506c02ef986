"""Language models in ARPA form: the figures of another reader, back-off by hand, and broken files."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pytest

from wav2edge.decoding.language_model import LanguageModel
from wav2edge.errors import DataError

ARPA = """a note above the model

\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-2.0\t<unk>
-99\t<s>\t-0.5
-1.0\t</s>
-0.7\tfu\t-0.3
-0.9\tdan\t-0.2

\\2-grams:
-0.4\t<s> fu\t-0.1
-0.6\tfu dan\t-0.15
-0.5\tdan </s>
-1.1\tdan fu

\\3-grams:
-0.05\t<s> fu dan
-0.2\tfu dan </s>

\\end\\
"""


def write(folder, text=ARPA):
    path = folder / "lm.arpa"
    path.write_text(text)
    return path


def random_arpa(seed, words=12, bigrams=70, trigrams=120):
    """A model with every irregularity: n-grams without back-off weights, and some whose own endings were pruned."""
    rng = np.random.default_rng(seed)
    names = ["<s>", "</s>", "<unk>", *(f"w{i}" for i in range(words))]
    pairs = {(a, b) for a, b in rng.choice(names, (bigrams, 2)).tolist() if a != "</s>" and b != "<s>"}
    stems = sorted(pair for pair in pairs if pair[1] != "</s>")
    triples = {(*stems[rng.integers(len(stems))], str(rng.choice(names[1:]))) for _ in range(trigrams)}
    orders = [[(name,) for name in names], list(pairs), list(triples)]
    lines = ["\\data\\", *(f"ngram {n}={len(each)}" for n, each in enumerate(orders, start=1))]
    for n, ngrams in enumerate(orders, start=1):
        lines += ["", f"\\{n}-grams:"]
        for ngram in ngrams:
            weight = f"\t{-rng.random():.4f}" if n < 3 and rng.random() < 0.7 else ""
            lines.append(f"{-3 * rng.random():.5f}\t{' '.join(ngram)}{weight}")
    return "\n".join([*lines, "", "\\end\\", ""])


def random_sentences(seed, count=40):
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{i}" for i in rng.integers(0, 14, rng.integers(1, 9))) for _ in range(count)]


@pytest.mark.parametrize("seed", range(4))
def test_perplexities_are_those_of_another_reader_of_the_same_file(tmp_path, seed):
    arpa = pytest.importorskip("arpa")
    path = write(tmp_path, random_arpa(seed))
    (other,) = arpa.loadf(str(path))
    model = LanguageModel.read(path)
    for sentence in random_sentences(seed):
        expected = 10 ** (-other.log_s(sentence) / (len(sentence.split()) + 1))
        assert model.perplexity([sentence]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_every_word_scores_what_the_definition_of_back_off_says(tmp_path, seed):
    """The recursion of the format's own page, over a dictionary of the file's lines."""
    path = write(tmp_path, random_arpa(seed))
    rows = [line.split("\t") for line in path.read_text().splitlines() if line.startswith("-")]
    table = {tuple(row[1].split()): (float(row[0]), float(row[2]) if len(row) > 2 else 0.0) for row in rows}

    def score(ngram):
        if ngram in table:
            return table[ngram][0]
        return table.get(ngram[:-1], (0.0, 0.0))[1] + score(ngram[1:])

    model = LanguageModel.read(path)
    for sentence in random_sentences(seed):
        known = [word if (word,) in table else "<unk>" for word in ("<s>", *sentence.split(), "</s>")]
        expected = [math.log(10) * score(tuple(known[max(0, i - 2) : i + 1])) for i in range(1, len(known))]
        np.testing.assert_allclose(model.log_probabilities(sentence.split()), expected, rtol=1e-5)


def test_a_perplexity_by_hand(tmp_path):
    model = LanguageModel.read(write(tmp_path))
    assert model.order == 3
    # log10: fu after <s> -0.4, dan after both -0.05, the end -0.2; then dan after <s> -0.5 - 0.9, the end -0.5.
    assert model.perplexity(["fu dan"]) == pytest.approx(10 ** (0.65 / 3))
    assert model.perplexity(["fu dan", "dan"]) == pytest.approx(10 ** ((0.65 + 1.9) / 5))
    assert model.perplexity(["xi"]) == pytest.approx(10 ** ((0.5 + 2.0 + 1.0) / 2))


def test_a_compressed_file_is_the_same_model(tmp_path):
    path = tmp_path / "lm.arpa.gz"
    path.write_bytes(gzip.compress(ARPA.encode()))
    assert LanguageModel.read(path).perplexity(["dan fu"]) == LanguageModel.read(write(tmp_path)).perplexity(["dan fu"])
    path.write_bytes(gzip.compress(ARPA.encode())[:-20])
    with pytest.raises(DataError, match="ended before the end"):
        LanguageModel.read(path)


def test_a_model_without_unknown_words_all_but_forbids_them(tmp_path):
    text = ARPA.replace("ngram 1=5", "ngram 1=4").replace("-2.0\t<unk>\n", "")
    model = LanguageModel.read(write(tmp_path, text))
    assert model.log_probabilities(["xi"])[0] == pytest.approx(math.log(10) * -100.5)
    assert model.perplexity(["fu dan"]) == pytest.approx(10 ** (0.65 / 3))


def test_all_states_and_words_of_a_batch_score_as_one_by_one(tmp_path):
    model = LanguageModel.read(write(tmp_path, random_arpa(1)))
    states = np.arange(len(model.keys) + 1)
    words = states % len(model.words)
    scores, following = model.advance(states, words)
    for state in range(0, len(states), 7):
        one = model.advance(states[state : state + 1], words[state : state + 1])
        assert (scores[state], following[state]) == (one[0][0], one[1][0])


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("\\data\\", "data", 25, r"no line \\data\\"),
        ("ngram 2=4", "ngram 3=4", 5, "where `ngram 2=COUNT`"),
        ("ngram 2=4", "ngram 2=many", 5, "where `ngram 2=COUNT`"),
        ("-0.7\tfu\t-0.3", "-0.7", 12, "1 word"),
        ("-0.7\tfu\t-0.3", "high\tfu\t-0.3", 12, "not a number"),
        ("-0.7\tfu\t-0.3", "0.7\tfu\t-0.3", 12, "not a log10 probability"),
        ("-0.7\tfu\t-0.3", "nan\tfu\t-0.3", 12, "not a log10 probability"),
        ("-0.9\tdan\t-0.2", "-0.9\tfu\t-0.2", 13, "a second time"),
        ("-0.6\tfu dan\t", "-0.6\tfu xi\t", 17, "not among the 1-grams"),
        ("-1.1\tdan fu", "-1.1\tfu dan", 19, "a second time"),
        ("-0.2\tfu dan </s>", "-0.2\tfu fu </s>", 23, r"first 2 word\(s\) are not among the 2-grams"),
        ("ngram 3=2", "ngram 3=3", 24, "3 word"),
        ("ngram 3=2", "ngram 3=1", 23, r"\\end\\ belongs"),
        ("ngram 2=4", "ngram 2=3", 19, r"\\3-grams: belongs"),
        ("-0.2\tfu dan </s>\n\n\\end\\\n", "", 22, "the file ends within its 3-grams"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path, old, new, line, reason):
    path = write(tmp_path, ARPA.replace(old, new, 1))
    with pytest.raises(DataError, match=reason) as caught:
        LanguageModel.read(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("name", "content"), [("none.arpa", None), ("plain.gz", b"\\data\\")])
def test_a_file_that_cannot_be_opened_is_refused(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="give a language model in ARPA form"):
        LanguageModel.read(tmp_path / name)


def test_a_perplexity_of_nothing_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least one"):
        LanguageModel.read(write(tmp_path)).perplexity([])
