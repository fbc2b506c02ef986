"""Greedy decoding is that of transformers' tokenizers, for every kind of them, without transformers."""

# ruff: noqa: RUF001 - letters of other scripts are meant

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.train.tokenizer_kinds import KINDS, PHONEMES, SPECIAL, TokenizerKind, phonemes, random_paths
from wav2edge.bundle.heads import CtcHead, Heads
from wav2edge.decoding.beam import Beam
from wav2edge.decoding.ctc import best_path, join_words
from wav2edge.decoding.forced_alignment import align, spell
from wav2edge.decoding.grammar import Grammar
from wav2edge.errors import CheckpointError
from wav2edge.output.result import Word

OFFSETS = [name for name, kind in KINDS.items() if not kind.options.get("clean_up_tokenization_spaces")]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, CtcHead]]:
    """By kind: the tokenizer of transformers, and the head that is read from its files."""
    folder = tmp_path_factory.mktemp("tokenizers")
    return {name: (kind.save(folder / name), kind.head(folder / name)) for name, kind in KINDS.items()}


def words_of(path: list[int], head: CtcHead) -> tuple[Word, ...]:
    logits = 10 * np.eye(len(head.vocabulary), dtype=np.float32)[path]
    return join_words(best_path(logits, head), head, frame_s=1.0)


def text_of(path: list[int], head: CtcHead) -> str:
    return " ".join(word.text for word in words_of(path, head))


def single_spaced(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", KINDS)
def test_a_thousand_random_paths_are_written_as_transformers_writes_them(
    name: str, tokenizers: dict[str, tuple[Any, CtcHead]]
) -> None:
    tokenizer, head = tokenizers[name]
    # What transformers' pipelines write for special tokens, wav2edge leaves out, as if it were the blank.
    paths = random_paths(head)
    unmarked = [[head.blank_id if i in head.silent_ids else i for i in path] for path in paths]
    expected = [single_spaced(text) for text in tokenizer.batch_decode(unmarked)]
    assert len(set(expected)) > 300
    assert [text_of(path, head) for path in paths] == expected


@pytest.mark.parametrize("name", KINDS)
def test_where_no_token_is_silent_even_special_tokens_are_written_as_transformers_writes_them(
    name: str, tokenizers: dict[str, tuple[Any, CtcHead]]
) -> None:
    tokenizer, head = tokenizers[name]
    delimiter = tokenizer.word_delimiter_token if KINDS[name].phonemes else None
    silent = frozenset(i for i in head.silent_ids if head.vocabulary[i] == delimiter)
    paths = random_paths(head, 200, seed=1)
    expected = [single_spaced(text) for text in tokenizer.batch_decode(paths)]
    assert [text_of(path, replace(head, silent_ids=silent)) for path in paths] == expected


@pytest.mark.parametrize("name", OFFSETS)
def test_words_begin_and_end_where_transformers_says(name: str, tokenizers: dict[str, tuple[Any, CtcHead]]) -> None:
    tokenizer, head = tokenizers[name]
    for path in random_paths(head, 40, seed=2):
        unmarked = [head.blank_id if i in head.silent_ids else i for i in path]
        found = {(word.text, word.start_s, word.end_s) for word in words_of(path, head)}
        tokens = tokenizer.decode(unmarked, output_char_offsets=True)["char_offsets"]
        assert {start for _, start, _ in found} <= {token["start_offset"] for token in tokens}
        assert {end for _, _, end in found} <= {token["end_offset"] for token in tokens}
        if KINDS[name].phonemes:
            assert found == {(token["char"], token["start_offset"], token["end_offset"]) for token in tokens}
        elif head.delimiter_text == " " and not {"\t", "\u3000", "\u00a0", " b"} & set(head.vocabulary):
            offsets = tokenizer.decode(unmarked, output_word_offsets=True)["word_offsets"]
            assert found == {
                (word["word"].lower() if head.lower_case else word["word"], word["start_offset"], word["end_offset"])
                for word in offsets
            }


def test_a_word_that_cleaning_up_joins_lasts_from_its_first_token_to_its_last(
    tokenizers: dict[str, tuple[Any, CtcHead]],
) -> None:
    _, head = tokenizers["spaces cleaned up"]
    column = head.vocabulary.index
    path = [column("a"), column("|"), column("'s"), column("|"), column("|"), column("t"), column("|"), column(".")]
    assert [(word.text, word.start_s, word.end_s) for word in words_of(path, head)] == [("a's", 0, 3), ("t.", 5, 8)]


def test_only_what_is_unusual_of_a_tokenizer_stands_in_the_manifest(
    tokenizers: dict[str, tuple[Any, CtcHead]],
) -> None:
    usual = {"output", "vocabulary", "blank_id", "word_delimiter", "silent_ids", "lower_case"}
    written = {name: {**head.to_dict()} for name, (_, head) in tokenizers.items()}
    assert set(written["letters"]) == usual
    assert {key: written["phonemes, with a delimiter"][key] for key in ("token_separator", "word_delimiter")} == {
        "token_separator": " ",
        "word_delimiter": None,
    }
    assert written["spaces cleaned up"]["clean_up_spaces"] is True
    assert written["Chinese, delimiter not written"]["delimiter_text"] == ""
    for _, head in tokenizers.values():
        assert Heads.from_dict(json.loads(json.dumps(Heads(ctc=head).to_dict()))).ctc == head


def test_a_phoneme_tokenizer_is_read_without_espeak(tmp_path: Path) -> None:
    kind = phonemes(*SPECIAL, *PHONEMES)
    kind.save(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"do_phonemize": True}), encoding="utf-8")
    assert kind.head(tmp_path).vocabulary == (*SPECIAL, *PHONEMES)


def test_a_tokenizer_of_another_class_is_refused_in_one_line(tmp_path: Path) -> None:
    kind = TokenizerKind(tokens=(*SPECIAL, "a"))
    kind.save(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tokenizer_class": "WhisperTokenizer"}))
    with pytest.raises(
        CheckpointError, match=r"its tokenizer is a WhisperTokenizer, which is not supported; supported"
    ):
        kind.head(tmp_path)


def test_phonemes_are_aligned_found_as_phrases_and_counted_as_words(
    tokenizers: dict[str, tuple[Any, CtcHead]],
) -> None:
    _, head = tokenizers["phonemes"]
    path = [head.vocabulary.index(token) for token in ("h", "ə", "<pad>", "l", "<pad>", "oʊ", "oʊ")]
    logits = 8 * np.eye(len(head.vocabulary), dtype=np.float32)[path]
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found = align(logs, "h ə l oʊ", head, frame_s=1.0, duration_s=7.0)
    assert [(word.text, word.start_s) for word in found.words] == [("h", 0), ("ə", 1), ("l", 3), ("oʊ", 5)]
    for decoder in (Beam(width=4), Beam(width=4, hotwords={"l oʊ": 2.0}), Grammar(["h ə l oʊ", "h aɪ"])):
        tokens = decoder.decode(logits, head)[0].tokens
        assert [word.text for word in join_words(tokens, head, 1.0)] == ["h", "ə", "l", "oʊ"]
    rewarded = Beam(width=4, word_bonus=0.5).decode(logits, head)[0]
    assert rewarded.score == pytest.approx(Beam(width=4).decode(logits, head)[0].score + 4 * 0.5)


@pytest.mark.parametrize("text", ["\u00e9", "e\u0301"])
def test_a_text_is_spelt_in_whichever_form_of_its_accents_the_vocabulary_has(text: str) -> None:
    composed = CtcHead(output="logits", vocabulary=("_", "|", "e", "\u00e9"), blank_id=0)
    decomposed = CtcHead(output="logits", vocabulary=("_", "|", "e", "\u0301"), blank_id=0)
    assert spell(text, composed) == [(text, (3,))]
    assert spell(text, decomposed) == [(text, (2, 3))]
