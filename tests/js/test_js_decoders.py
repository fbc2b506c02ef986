"""The decoders for JavaScript give what those of Python give, from the same logits."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.beam import Beam
from wav2edge.decoding.grammar import Grammar
from wav2edge.decoding.hypothesis import Decoder, Greedy, Hypothesis
from wav2edge.errors import Wav2EdgeError

pytestmark = pytest.mark.slow

HEADS = {
    "plain": CtcHead(output="logits", vocabulary=("<pad>", "|", "a", "b", "n", "<unk>"), blank_id=0,
                     silent_ids=frozenset({5})),
    "long tokens": CtcHead(output="logits", vocabulary=("|", "A", "AB", "B", "N", "[PAD]"), blank_id=5,
                           lower_case=True),
    "no delimiter": CtcHead(output="logits", vocabulary=("<pad>", "a", "b", "n", "ba"), blank_id=0,
                            word_delimiter=None),
    "phonemes": CtcHead(output="logits", vocabulary=("<pad>", "|", "a", "ba", "n", "b"), blank_id=0,
                        silent_ids=frozenset({1}), token_separator=" "),
}  # fmt: skip
ARPA = r"""
\data\
ngram 1=6
ngram 2=4
ngram 3=2

\1-grams:
-9	<s>	-0.3
-0.7	</s>
-0.6	a	-0.1
-0.8	ban	-0.4
-0.9	ab	-0.5
-1.3	|	-0.2

\2-grams:
-0.2	<s> a	-0.05
-0.4	a ban	-0.2
-0.1	ban </s>
-1.5	ab a

\3-grams:
-0.05	<s> a ban
-0.3	a ban </s>

\end\
"""
NAMES = {"n_best": "nBest", "lm_weight": "lmWeight", "word_bonus": "wordBonus", "lm_units": "lmUnits",
         "least_fit": "leastFit"}  # fmt: skip
"""Option in Python -> in JavaScript."""


@dataclass(frozen=True)
class Case:
    """A decoder in both languages: its kind, its options, and the phrases of a grammar."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    phrases: tuple[str, ...] = ()
    lm: bool = False

    def python(self, lm: str) -> Decoder:
        if self.kind == "greedy":
            return Greedy()
        if self.kind == "grammar":
            return Grammar(self.phrases, **self.options)
        return Beam(**self.options, lm=lm if self.lm else None)

    def javascript(self, lm: str) -> dict[str, Any]:
        options = {NAMES.get(name, name): value for name, value in self.options.items()}
        return {
            "kind": self.kind,
            "options": {**options, "lm": lm} if self.lm else options,
            "phrases": list(self.phrases),
        }


PHRASES = ("ab", "ban", "a ban", "banana", "nab aa", "b")
CASES = {
    "greedy": Case("greedy"),
    "beam": Case("beam", {"width": 8, "n_best": 4}),
    "beam with hotwords": Case("beam", {"n_best": 3, "hotwords": {"ban": 4.0, "an a": 2.5, "nab": -3.0}}),
    "beam with a bonus": Case("beam", {"width": 12, "n_best": 2, "word_bonus": 1.5}),
    "beam with words": Case("beam", {"n_best": 4, "lm_weight": 1.2, "word_bonus": 0.3}, lm=True),
    "beam with all": Case("beam", {"n_best": 3, "hotwords": {"ab": 2.0}, "lm_weight": 0.8}, lm=True),
    "beam with tokens": Case("beam", {"n_best": 3, "lm_units": "tokens"}, lm=True),
    "grammar": Case("grammar", {"n_best": 6}, PHRASES),
    "grammar that rejects": Case("grammar", {"least_fit": 0.9}, PHRASES),
}
REFUSED = {
    "no width": Case("beam", {"width": 0}),
    "more best than width": Case("beam", {"width": 2, "n_best": 3}),
    "an infinite weight": Case("beam", {"hotwords": {"ab": math.inf}}),
    "unknown units": Case("beam", {"lm_units": "letters"}),
    "a hotword with unknown letters": Case("beam", {"hotwords": {"xay": 1.0}}),
    "an empty hotword": Case("beam", {"hotwords": {" ": 1.0}}),
    "no phrases": Case("grammar"),
    "a phrase twice": Case("grammar", {}, ("ab", "ban", " ab ")),
    "phrases with unknown letters": Case("grammar", {}, ("abc", "ban", "xx")),
    "a fit above 1": Case("grammar", {"least_fit": 1.5}, ("ab",)),
    "no best": Case("grammar", {"n_best": 0}, ("ab",)),
}
BROKEN = {
    "no header": "hello\n",
    "a short header": "\\data\\\nngram 1=3\n",
    "a wrong header": "\\data\\\nngram 2=3\n",
    "too few lines": "\\data\\\nngram 1=3\n\n\\1-grams:\n-1 a\n",
    "too many fields": "\\data\\\nngram 1=1\n\n\\1-grams:\n-1 a b c d\n\\end\\\n",
    "no number": "\\data\\\nngram 1=1\n\n\\1-grams:\nhalf a\n\\end\\\n",
    "no probability": "\\data\\\nngram 1=1\n\n\\1-grams:\n0.5 a\n\\end\\\n",
    "a word twice": "\\data\\\nngram 1=2\n\n\\1-grams:\n-1 a\n-1 a\n\\end\\\n",
    "an unknown word": "\\data\\\nngram 1=1\nngram 2=1\n\n\\1-grams:\n-1 a\n\n\\2-grams:\n-1 a b\n\\end\\\n",
    "no end": "\\data\\\nngram 1=1\n\n\\1-grams:\n-1 a\n",
    "an n-gram twice": "\\data\\\nngram 1=1\nngram 2=2\n\n\\1-grams:\n-1 a\n\n\\2-grams:\n-1 a a\n-2 a a\n\\end\\\n",
}


def random_logits(head: CtcHead, seed: int, frames: int) -> np.ndarray:
    """Logits of which some frames are sure, many of them of the blank, as those of a model are."""
    noise = np.random.default_rng(seed)
    logits = 2 * noise.standard_normal((frames, len(head.vocabulary)))
    sure = noise.random(frames) < 0.5
    chosen = np.where(noise.random(frames) < 0.5, head.blank_id, noise.integers(0, len(head.vocabulary), frames))
    logits[sure, chosen[sure]] += noise.uniform(3, 25, sure.sum())
    return logits.astype(np.float32)


def question(logits: np.ndarray, head: CtcHead, decoder: dict[str, Any]) -> dict[str, Any]:
    return {"logits": logits.tolist(), "head": head.to_dict(), "decoder": decoder}


def assert_same(found: dict[str, Any], expected: Hypothesis, head: CtcHead) -> None:
    places = [
        (head.vocabulary[token["id"]], token["start"], token["end"], token["surest"]) for token in found["tokens"]
    ]
    assert places == [(token.text, token.start, token.end, token.surest) for token in expected.tokens]
    scores = [token["logProbability"] for token in found["tokens"]]
    assert scores == pytest.approx([token.log_probability for token in expected.tokens], abs=1e-9)
    assert found["score"] == ("-inf" if expected.score == -math.inf else pytest.approx(expected.score, abs=1e-7))
    assert found["rejected"] == expected.rejected
    assert found["confidence"] == (
        None if expected.confidence is None else pytest.approx(expected.confidence, abs=1e-9)
    )


@pytest.fixture(scope="module")
def lm(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    path.write_text(ARPA, encoding="utf-8")
    return str(path)


def test_every_decoder_gives_the_transcripts_of_python(lm, run_script):
    cases = [
        (case, head, random_logits(head, seed, 3 + 6 * seed))
        for case in CASES.values()
        for name, head in HEADS.items()
        if name != "no delimiter" or not case.lm
        for seed in range(8)
    ]
    found = run_script("decode.mjs", [question(logits, head, case.javascript(lm)) for case, head, logits in cases])
    assert len(found) == len(cases) > 150
    for hypotheses, (case, head, logits) in zip(found, cases, strict=True):
        expected = case.python(lm).decode(logits, head)
        assert len(hypotheses) == len(expected)
        for here, there in zip(hypotheses, expected, strict=True):
            assert_same(here, there, head)


def test_a_language_model_may_be_compressed(lm, tmp_path, run_script):
    packed = tmp_path / "lm.arpa.gz"
    with open(lm, "rb") as file:
        packed.write_bytes(gzip.compress(file.read()))
    head, case = HEADS["plain"], CASES["beam with words"]
    logits = random_logits(head, 3, 30)
    plain, same = run_script(
        "decode.mjs", [question(logits, head, case.javascript(str(each))) for each in (lm, packed)]
    )
    assert plain == same


def refusal(case: Case, head: CtcHead, lm: str) -> dict[str, Any]:
    with pytest.raises(Wav2EdgeError) as caught:
        case.python(lm).decode(random_logits(head, 0, 9), head)
    words = re.sub("|".join(NAMES), lambda match: NAMES[match[0]], str(caught.value))
    return {"name": type(caught.value).__name__, "message": words, "exitCode": caught.value.exit_code}


def test_what_no_decoder_can_be_is_refused_with_the_words_of_python(lm, run_script):
    head = HEADS["plain"]
    questions = [question(random_logits(head, 0, 9), head, case.javascript(lm)) for case in REFUSED.values()]
    found = run_script("decode.mjs", questions)
    assert [answer["error"] for answer in found] == [refusal(case, head, lm) for case in REFUSED.values()]


def test_models_that_do_not_go_with_the_vocabulary_are_refused_with_the_words_of_python(lm, run_script):
    cases = [CASES["beam with words"], CASES["beam with tokens"]]
    strange = CtcHead(output="logits", vocabulary=("<pad>", "x", "y"), blank_id=0, word_delimiter=None)
    questions = [question(random_logits(strange, 0, 9), strange, case.javascript(lm)) for case in cases]
    found = run_script("decode.mjs", questions)
    assert [answer["error"] for answer in found] == [refusal(case, strange, lm) for case in cases]


def test_broken_language_models_are_refused_with_the_words_of_python(tmp_path, run_script):
    paths = [tmp_path / f"{place}.arpa" for place in range(len(BROKEN))]
    for path, text in zip(paths, BROKEN.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    head, case = HEADS["plain"], CASES["beam with words"]
    paths.append(tmp_path / "none.arpa")
    questions = [question(random_logits(head, 0, 9), head, case.javascript(str(path))) for path in paths]
    found = run_script("decode.mjs", questions)
    assert [answer["error"] for answer in found] == [refusal(case, head, str(path)) for path in paths]
