"""``tokenizer.json`` decodes the best path to the transcript that wav2edge gives, letter by letter."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.train.tokenizer_kinds import KINDS, random_paths
from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.ctc import best_path, join_words
from wav2edge_export.bundle.tokenizer_file import tokenizer_json, write_tokenizer

PATHS = 100
IN_NODE = (
    "letters",
    "lower case that depends on its place",
    "no delimiter",
    "word pieces",
    "spaces cleaned up",
    "combining accents",
    "phonemes, with a delimiter",
)
"""Each starts Node once, which takes a second."""


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CtcHead]:
    """The head of each kind of tokenizer."""
    folder = tmp_path_factory.mktemp("tokenizers")
    for name, kind in KINDS.items():
        kind.save(folder / name)
    return {name: kind.head(folder / name) for name, kind in KINDS.items()}


def transcript(ids: list[int], head: CtcHead) -> str:
    logits = 10 * np.eye(len(head.vocabulary), dtype=np.float32)[ids]
    return " ".join(word.text for word in join_words(best_path(logits, head), head, frame_s=0.02))


@pytest.mark.parametrize("name", KINDS)
def test_the_tokenizers_library_decodes_as_wav2edge_does(name, heads):
    tokenizers = pytest.importorskip("tokenizers")
    head = heads[name]
    tokenizer = tokenizers.Tokenizer.from_str(tokenizer_json(head))
    paths = random_paths(head, PATHS)
    expected = [transcript(ids, head) for ids in paths]
    assert [tokenizer.decode(ids, skip_special_tokens=True) for ids in paths] == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_NODE)
def test_transformers_js_decodes_as_wav2edge_does(name, heads, run_script, tmp_path):
    head = heads[name]
    settings = {"tokenizer_class": "Wav2Vec2CTCTokenizer", "clean_up_tokenization_spaces": False}
    (tmp_path / "tokenizer.json").write_text(tokenizer_json(head), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    paths = random_paths(head, PATHS)
    decoded = run_script("decode.mjs", tmp_path, text=json.dumps(paths))
    assert [line["text"] for line in decoded] == [transcript(ids, head) for ids in paths]


def test_two_equal_letters_with_a_blank_between_them_stay_two(heads):
    tokenizers = pytest.importorskip("tokenizers")
    head = heads["no delimiter"]
    tokenizer = tokenizers.Tokenizer.from_str(tokenizer_json(head))
    a, b = (head.vocabulary.index(letter) for letter in "ab")
    assert tokenizer.decode([a, a, head.blank_id, a, b], skip_special_tokens=True) == "aab"


@pytest.mark.parametrize("name", ["letters", "spaces cleaned up"])
def test_the_config_of_the_tokenizer_says_whether_spaces_are_cleaned_up(name, heads, tmp_path):
    KINDS[name].save(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    before = json.loads(config.read_text(encoding="utf-8"))
    before.pop("clean_up_tokenization_spaces")
    config.write_text(json.dumps(before), encoding="utf-8")
    write_tokenizer(tmp_path, heads[name])
    assert json.loads(config.read_text(encoding="utf-8")) == {
        **before,
        "clean_up_tokenization_spaces": name == "spaces cleaned up",
    }
