"""``tokenizer.json``: the CTC head for the ``tokenizers`` library and transformers.js, which write what we write."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.ctc import TIGHT
from wav2edge.output.documents import strict_json, write_json

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
CLEAN_UP = "clean_up_tokenization_spaces"
MARK = "\ue000"
"""Stands for the word delimiter until tokens are joined: a longer token may hold the same characters."""
SYNTAX = re.compile(r"[\\^$.*+?()\[\]{}|/]")
"""What must be escaped in an expression, and may be: JavaScript refuses other escapes."""
CASED = r"[\p{Lu}\p{Ll}\p{Lt}]"
IGNORED = r"[\p{Mn}\p{Me}\p{Cf}\p{Lm}\p{Sk}'.:·" + "\u2018\u2019]"
FINAL_SIGMA = rf"(?<={'|'.join(CASED + times * IGNORED for times in range(4))})Σ(?!{IGNORED}*{CASED})"
"""A capital sigma at the end of a word, which becomes another small letter (Unicode, section 3.13, Final_Sigma), with
up to three marks before it, since these expressions can look back over a bounded length only."""


def write_tokenizer(folder: Path, head: CtcHead) -> None:
    """Write the tokenizer of a bundle, and say in its config whether spaces are cleaned up.

    Where the config does not say it, transformers.js does so and transformers does not.

    Args:
        folder: of the bundle, with the files of the checkpoint's tokenizer.
        head: what the columns mean.
    """
    (folder / TOKENIZER).write_text(tokenizer_json(head), encoding="utf-8")
    config = folder / TOKENIZER_CONFIG
    if config.is_file():
        document = json.loads(config.read_text(encoding="utf-8"))
        write_json(config, {**document, CLEAN_UP: head.clean_up_spaces})


def tokenizer_json(head: CtcHead) -> str:
    """A CTC tokenizer in the format of the ``tokenizers`` library, which writes a path's transcript as wav2edge does.

    No token is marked special: ``skip_special_tokens`` drops special tokens before the decoder merges repeats, and
    without the blank between them two equal letters would become one.
    """
    added = sorted({head.blank_id, *head.silent_ids})
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    blank, delimiter = head.vocabulary[head.blank_id], head.word_delimiter
    letters = {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": False}
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": head.vocabulary[i], **flags} for i in added],
        "normalizer": _replace({"String": " "}, delimiter) if delimiter else None,
        "pre_tokenizer": {"type": "WhitespaceSplit"} if head.token_separator else letters,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": _decoders(head)},
        "model": {
            "type": "WordLevel",
            "vocab": {token: i for i, token in enumerate(head.vocabulary)},
            "unk_token": next((head.vocabulary[i] for i in sorted(head.silent_ids)), blank),
        },
    }
    return strict_json(document) + "\n"


def _decoders(head: CtcHead) -> list[dict[str, Any]]:
    """From the best token of each frame to a transcript: the rules of `wav2edge.decoding.ctc`, step by step.

    The decoder ``CTC`` of transformers.js joins the tokens, so that what is done to each of them is done before.
    """
    blank, delimiter, separator = head.vocabulary[head.blank_id], head.word_delimiter, head.token_separator
    silent = [head.vocabulary[i] for i in sorted(head.silent_ids - {head.blank_id})]
    steps = [_replace_token(token, blank) for token in silent]
    if delimiter:
        steps.append(_replace_token(delimiter, MARK))
    if separator:
        steps.append(_replace({"Regex": "$"}, separator))
    steps += [
        {"type": "CTC", "pad_token": blank + separator, "word_delimiter_token": delimiter or "", "cleanup": False},
        {"type": "Fuse"},
    ]
    if delimiter:
        steps.append(_replace({"String": MARK}, head.delimiter_text))
    steps.append(_replace({"Regex": r"^\s+|\s+$"}, ""))
    if head.lower_case:
        steps += _lower_case({letter for token in head.vocabulary for letter in token if letter != letter.lower()})
    if head.clean_up_spaces:
        steps += [_replace({"String": tight}, tight.replace(" ", "")) for tight in TIGHT]
    return [*steps, _replace({"Regex": r"\s+"}, " ")]


def _lower_case(letters: set[str]) -> list[dict[str, Any]]:
    sigma = [_replace({"Regex": FINAL_SIGMA}, "ς")] if "Σ" in letters else []
    return sigma + [_replace({"String": letter}, letter.lower()) for letter in sorted(letters)]


def _replace_token(token: str, content: str) -> dict[str, Any]:
    """Replace a token that is this and nothing else."""
    escaped = SYNTAX.sub(r"\\\g<0>", token)
    return _replace({"Regex": f"^{escaped}$"}, content)


def _replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}
