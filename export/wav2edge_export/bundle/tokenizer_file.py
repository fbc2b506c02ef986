"""``tokenizer.json`` of a CTC head, the one file that transformers.js wants and wav2vec2 checkpoints lack."""

from __future__ import annotations

from typing import Any

from wav2edge.bundle.heads import CtcHead
from wav2edge.output.documents import strict_json


def tokenizer_json(head: CtcHead) -> str:
    """A CTC tokenizer in the format of the ``tokenizers`` library, which writes a path's transcript as wav2edge does.

    No token is marked special: ``skip_special_tokens`` drops special tokens before the decoder merges repeats, and
    without the blank between them two equal letters would become one.
    """
    added = sorted({head.blank_id, *head.silent_ids})
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    blank, delimiter = head.vocabulary[head.blank_id], head.word_delimiter
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": head.vocabulary[i], **flags} for i in added],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": delimiter} if delimiter else None,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": False},
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
    """From the best token of each frame to a transcript: the rules of `wav2edge.decoding.ctc`, step by step."""
    blank, delimiter = head.vocabulary[head.blank_id], head.word_delimiter
    silent = [head.vocabulary[i] for i in sorted(head.silent_ids - {head.blank_id})]
    steps: list[dict[str, Any]] = [
        {"type": "CTC", "pad_token": blank, "word_delimiter_token": delimiter or "", "cleanup": False},
        *(_replace({"String": token}, "") for token in silent),
        {"type": "Fuse"},
    ]
    if delimiter:
        steps += [_replace({"String": delimiter}, " "), _replace({"Regex": " +"}, " ")]
        steps += [{"type": "Strip", "content": " ", "start": 1, "stop": 1}]
    if head.lower_case:
        letters = sorted({letter for token in head.vocabulary for letter in token if letter != letter.lower()})
        steps += [_replace({"String": letter}, letter.lower()) for letter in letters]
    return steps


def _replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}
