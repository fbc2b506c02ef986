"""What the CTC head of a checkpoint writes: its vocabulary, from the files of its tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2PhonemeCTCTokenizer

from wav2edge.bundle.heads import CtcHead
from wav2edge.errors import CheckpointError
from wav2edge_train.checkpoint.library_logging import first_line

TOKENIZER_CONFIG = "tokenizer_config.json"


def _letters(folder: Path, **options: Any) -> Any:
    return Wav2Vec2CTCTokenizer.from_pretrained(folder, **options)


def _phonemes(folder: Path, **options: Any) -> Any:
    """Without espeak, which turns text into phonemes and is not needed for the way back."""
    return Wav2Vec2PhonemeCTCTokenizer.from_pretrained(folder, do_phonemize=False, **options)


TOKENIZERS: Mapping[str | None, Callable[..., Any]] = {
    None: _letters,
    "Wav2Vec2CTCTokenizer": _letters,
    "Wav2Vec2Tokenizer": _letters,
    "Wav2Vec2PhonemeCTCTokenizer": _phonemes,
}
"""How a tokenizer is read, by its class in ``tokenizer_config.json``; old checkpoints do not name it."""


def read_ctc_head(
    source: str | Path, folder: Path, output: str, weight: torch.Tensor, config: Any, language: str | None = None
) -> CtcHead:
    """Read the tokenizer next to a model.

    Args:
        source: what messages call the checkpoint.
        folder: where its files are.
        output: name of the head's output.
        weight: of the head, ``[vocabulary, hidden]``.
        config: of the model.
        language: whose vocabulary to take where there are several.

    Raises:
        CheckpointError: the tokenizer cannot be read, or is that of another model.
    """
    width = len(weight)
    tokenizer = _read_tokenizer(source, folder, language)
    ids = tokenizer.get_vocab()
    # A tokenizer may have tokens beyond the width of the head: begin and end, and those added to the vocabulary's file.
    outside = {tokenizer.bos_token, tokenizer.eos_token, *(ids.keys() - tokenizer.encoder.keys())}
    by_id = {i: token for token, i in ids.items() if i < width or token not in outside}
    if sorted(by_id) != list(range(width)):
        raise CheckpointError(
            f"{source}: the vocabulary has {len(by_id)} tokens and the CTC head is {width} wide; the tokenizer files"
            " belong to another model, or lack a token"
        )
    blank_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else config.pad_token_id
    silent = {tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token}
    if isinstance(tokenizer, Wav2Vec2PhonemeCTCTokenizer):
        silent.add(tokenizer.word_delimiter_token)
    silent_ids = {ids.get(token) for token in silent} - {None, blank_id}
    return CtcHead(
        output=output,
        vocabulary=tuple(by_id[i] for i in range(width)),
        blank_id=blank_id,
        silent_ids=frozenset(i for i in silent_ids if i < width),
        clean_up_spaces=bool(tokenizer.clean_up_tokenization_spaces),
        **_text_rules(tokenizer),
    )


def _text_rules(tokenizer: Any) -> dict[str, Any]:
    """What is written for the word delimiter and between two tokens, and in which case.

    ``convert_tokens_to_string`` of both tokenizers in transformers 4.57: phonemes have spaces between them, and their
    word delimiter is not written.
    """
    if isinstance(tokenizer, Wav2Vec2PhonemeCTCTokenizer):
        return {"word_delimiter": None, "token_separator": " "}
    return {
        "word_delimiter": tokenizer.word_delimiter_token,
        "delimiter_text": tokenizer.replace_word_delimiter_char,
        "lower_case": bool(tokenizer.do_lower_case),
    }


def _read_tokenizer(source: str | Path, folder: Path, language: str | None) -> Any:
    try:
        path = folder / TOKENIZER_CONFIG
        name = json.loads(path.read_text(encoding="utf-8")).get("tokenizer_class") if path.is_file() else None
        read = TOKENIZERS.get(name)
        if read is not None:
            return read(folder, **({} if language is None else {"target_lang": language}))
    except Exception as error:  # a missing vocab.json surfaces as TypeError, a broken one as JSONDecodeError
        reason = first_line(error) if (folder / "vocab.json").is_file() else "vocab.json is missing"
        raise CheckpointError(
            f"{source}: its tokenizer cannot be read ({reason}); save the processor next to the model"
        ) from None
    known = ", ".join(filter(None, TOKENIZERS))
    raise CheckpointError(f"{source}: its tokenizer is a {name}, which is not supported; supported are {known}")
