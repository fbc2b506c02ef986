"""Tokenizers of every kind that CTC checkpoints come with, as transformers saves them."""

# ruff: noqa: RUF001 - letters of other scripts are meant

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2PhonemeCTCTokenizer

from wav2edge.bundle.heads import CtcHead
from wav2edge_train.checkpoint.outputs.ctc_head import read_ctc_head

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
LETTERS = ("|", "E", "T", "A", "O", "'", "-")
ARABIC = ("|", "ا", "ب", "ت", "ش", "ّ", "َ", "ء", "لا")
HEBREW = ("|", "א", "ב", "ש", "ׁ", "ָ", "־")
ENGLISH = ("|", "a", "n", "t", "s", "m", "v", "e", "r", "'", ".", "?", "!", ",", "n't", "'s", "'ve")
PHONEMES = ("h", "ə", "l", "oʊ", "t͡ʃ", "aɪ", "ɹ", "ː", "n̩")


@dataclass(frozen=True, kw_only=True)
class TokenizerKind:
    """A vocabulary, and what its tokenizer is made with.

    ``added`` tokens are added after the vocabulary was read, and the head covers them.
    """

    tokens: tuple[str, ...]
    phonemes: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    added: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    def save(self, folder: Path) -> Any:
        """Write the files of the tokenizer, and give it as it is before they are read again."""
        folder.mkdir(parents=True, exist_ok=True)
        vocabulary: Any = {token: i for i, token in enumerate(self.tokens)}
        if self.languages:
            vocabulary = dict.fromkeys(self.languages, vocabulary)
        (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
        kind = Wav2Vec2PhonemeCTCTokenizer if self.phonemes else Wav2Vec2CTCTokenizer
        tokenizer: Any = kind(str(folder / "vocab.json"), **self.options)
        tokenizer.add_tokens(list(self.added))
        tokenizer.save_pretrained(folder)
        return tokenizer

    def head(self, folder: Path) -> CtcHead:
        """What an export reads from those files."""
        width = len(self.tokens) + len(self.added)
        return read_ctc_head(folder, folder, "logits", torch.zeros(width, 1), SimpleNamespace(pad_token_id=None))


def phonemes(*tokens: str, **options: Any) -> TokenizerKind:
    return TokenizerKind(tokens=tokens, phonemes=True, options={"do_phonemize": False, **options})


KINDS = {
    "letters": TokenizerKind(tokens=(*SPECIAL, *LETTERS)),
    "letters, blank last": TokenizerKind(
        tokens=(*LETTERS, "[UNK]", "[PAD]"),
        options={"unk_token": "[UNK]", "pad_token": "[PAD]", "bos_token": None, "eos_token": None},
    ),
    "lower case": TokenizerKind(tokens=(*SPECIAL, *LETTERS, "Ä", "ẞ"), options={"do_lower_case": True}),
    "lower case that depends on its place": TokenizerKind(
        tokens=(*SPECIAL, "|", "Ο", "Δ", "Σ", "Ά", "'", "İ", "I", "ΣΟΣ"), options={"do_lower_case": True}
    ),
    "no delimiter": TokenizerKind(tokens=(*SPECIAL, *"abc|"), options={"word_delimiter_token": None}),
    "Chinese": TokenizerKind(tokens=(*SPECIAL, *"你好世界，。上海")),
    "Chinese, delimiter not written": TokenizerKind(
        tokens=(*SPECIAL, "|", *"你好世界"), options={"replace_word_delimiter_char": ""}
    ),
    "Japanese, Korean": TokenizerKind(tokens=(*SPECIAL, "|", *"あかー゛", "が", "한", *"ᄒ", "ᅡ", "ᆫ")),
    "Arabic": TokenizerKind(tokens=(*SPECIAL, *ARABIC)),
    "Hebrew, with marks of direction": TokenizerKind(tokens=(*SPECIAL, *HEBREW, "\u200f", "\u202b")),
    "combining accents": TokenizerKind(tokens=(*SPECIAL, "|", "e", "é", "\u0301", "\u0323", "o", "ộ", "न", "ी", "्")),
    "multi-character tokens": TokenizerKind(tokens=(*SPECIAL, "|", "a", "ab", "abc", "b", "sch", "ch", "c", "h|")),
    "word pieces": TokenizerKind(
        tokens=(*SPECIAL, "▁", "▁the", "▁cat", "##s", "s", "▁▁"), options={"word_delimiter_token": "▁"}
    ),
    "a space as the delimiter": TokenizerKind(tokens=(*SPECIAL, " ", *"abc"), options={"word_delimiter_token": " "}),
    "a long delimiter": TokenizerKind(
        tokens=(*SPECIAL, "<space>", *"abc", "<"), options={"word_delimiter_token": "<space>"}
    ),
    "a delimiter written as another sign": TokenizerKind(
        tokens=(*SPECIAL, "|", *"abc_"), options={"replace_word_delimiter_char": "_"}
    ),
    "white space among the tokens": TokenizerKind(
        tokens=(*SPECIAL, "|", *"ab", " ", "\u3000", "\t", "\u00a0", " b", "c")
    ),
    "spaces cleaned up": TokenizerKind(tokens=(*SPECIAL, *ENGLISH), options={"clean_up_tokenization_spaces": True}),
    "lower case, spaces cleaned up": TokenizerKind(
        tokens=(*SPECIAL, *(token.upper() for token in ENGLISH), "Σ", "İ"),
        options={"clean_up_tokenization_spaces": True, "do_lower_case": True},
    ),
    "more special tokens": TokenizerKind(
        tokens=(*SPECIAL, *LETTERS, "<noise>"), options={"additional_special_tokens": ["<noise>"]}
    ),
    "added tokens": TokenizerKind(tokens=(*SPECIAL, *LETTERS), added=("<laugh>", "Q")),
    "special tokens beyond the head": TokenizerKind(tokens=(*LETTERS, "<pad>")),
    "one language of several": TokenizerKind(
        tokens=(*SPECIAL, *LETTERS), options={"target_lang": "swh"}, languages=("eng", "swh")
    ),
    "phonemes": phonemes(*SPECIAL, *PHONEMES),
    "phonemes, with a delimiter": phonemes(*SPECIAL, *PHONEMES, "|", word_delimiter_token="|"),
    "phonemes, spaces cleaned up": phonemes(*SPECIAL, *PHONEMES, *".,", "'", "s", clean_up_tokenization_spaces=True),
}


def random_paths(head: CtcHead, paths: int = 1_000, *, seed: int = 0) -> list[list[int]]:
    """The best token of each frame, at random: a quarter of the frames blank or delimiter, and tokens that last."""
    rng = np.random.default_rng(seed)
    often = [head.blank_id] + ([] if head.delimiter_id is None else [head.delimiter_id])
    found = []
    for _ in range(paths):
        drawn = rng.integers(len(head.vocabulary), size=rng.integers(2, 30))
        drawn = np.where(rng.random(len(drawn)) < 0.25, rng.choice(often, len(drawn)), drawn)
        found.append(np.repeat(drawn, rng.integers(1, 4, len(drawn))).tolist())
    return found
