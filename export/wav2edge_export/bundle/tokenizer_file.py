"""``tokenizer.json`` of a CTC head, the one file that transformers.js wants and wav2vec2 checkpoints lack."""

from __future__ import annotations

from wav2edge.bundle.heads import CtcHead
from wav2edge.output.documents import strict_json


def tokenizer_json(head: CtcHead) -> str:
    """A CTC tokenizer in the format of the ``tokenizers`` library.

    Silent tokens are special, so that ``skip_special_tokens`` leaves them out.
    """
    special = sorted({head.blank_id, *head.silent_ids})
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    blank = head.vocabulary[head.blank_id]
    delimiter = head.word_delimiter or ""
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": head.vocabulary[i], **flags} for i in special],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": delimiter} if delimiter else None,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": False},
        "post_processor": None,
        "decoder": {"type": "CTC", "pad_token": blank, "word_delimiter_token": delimiter, "cleanup": True},
        "model": {
            "type": "WordLevel",
            "vocab": {token: i for i, token in enumerate(head.vocabulary)},
            "unk_token": next((head.vocabulary[i] for i in sorted(head.silent_ids)), blank),
        },
    }
    return strict_json(document) + "\n"
