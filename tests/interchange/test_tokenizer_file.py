"""``tokenizer.json`` decodes the best path to the transcript that wav2edge gives, letter by letter."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.export.tiny_checkpoints import VOCABULARY
from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.ctc import best_path, join_words
from wav2edge_export.bundle.writing import tokenizer_json

HEADS = {
    "unknown token": CtcHead(output="logits", vocabulary=VOCABULARY, blank_id=6, silent_ids=frozenset({5})),
    "lower case": CtcHead(
        output="logits",
        vocabulary=("<pad>", "<s>", "</s>", "<unk>", "|", "E", "Ä", "'"),
        blank_id=0,
        silent_ids=frozenset({1, 2, 3}),
        lower_case=True,
    ),
    "no delimiter": CtcHead(output="logits", vocabulary=("a", "b", "[PAD]"), blank_id=2, word_delimiter=None),
}


def paths(head: CtcHead) -> list[list[int]]:
    """Random best paths, in which frames repeat as in a real one."""
    rng = np.random.default_rng(0)
    return [
        np.repeat(rng.integers(len(head.vocabulary), size=60), rng.integers(1, 4, size=60)).tolist() for _ in range(20)
    ]


def transcript(ids: list[int], head: CtcHead) -> str:
    logits = 10 * np.eye(len(head.vocabulary), dtype=np.float32)[ids]
    return " ".join(word.text for word in join_words(best_path(logits, head), head, frame_s=0.02))


@pytest.mark.parametrize("name", HEADS)
def test_the_tokenizers_library_decodes_as_wav2edge_does(name):
    tokenizers = pytest.importorskip("tokenizers")
    head = HEADS[name]
    tokenizer = tokenizers.Tokenizer.from_str(tokenizer_json(head))
    expected = [transcript(ids, head) for ids in paths(head)]
    assert min(map(len, expected)) > 10
    assert [tokenizer.decode(ids, skip_special_tokens=True) for ids in paths(head)] == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS)
def test_transformers_js_decodes_as_wav2edge_does(name, run_script, tmp_path):
    head = HEADS[name]
    settings = {"tokenizer_class": "Wav2Vec2CTCTokenizer", "clean_up_tokenization_spaces": False}
    (tmp_path / "tokenizer.json").write_text(tokenizer_json(head), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    decoded = run_script("decode.mjs", tmp_path, text=json.dumps(paths(head)))
    assert [line["text"] for line in decoded] == [transcript(ids, head) for ids in paths(head)]


def test_two_equal_letters_with_a_blank_between_them_stay_two():
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_str(tokenizer_json(HEADS["no delimiter"]))
    assert tokenizer.decode([0, 0, 2, 0, 1], skip_special_tokens=True) == "aab"
