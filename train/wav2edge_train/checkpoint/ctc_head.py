"""What the CTC head of a checkpoint writes: its vocabulary, from the files of its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import Wav2Vec2CTCTokenizer

from wav2edge.bundle.heads import CtcHead
from wav2edge.errors import CheckpointError
from wav2edge_train.checkpoint.library_logging import first_line


def read_ctc_head(source: str | Path, folder: Path, output: str, weight: torch.Tensor, config: Any) -> CtcHead:
    """Read the tokenizer next to a model.

    Args:
        source: what messages call the checkpoint.
        folder: where its files are.
        output: name of the head's output.
        weight: of the head, ``[vocabulary, hidden]``.
        config: of the model.

    Raises:
        CheckpointError: the tokenizer cannot be read, or is that of another model.
    """
    width = len(weight)
    tokenizer = _read_tokenizer(source, folder)
    ids = tokenizer.get_vocab()
    outside = {tokenizer.bos_token, tokenizer.eos_token}  # the tokenizer may add these beyond the width of the head
    by_id = {i: token for token, i in ids.items() if i < width or token not in outside}
    if sorted(by_id) != list(range(width)):
        raise CheckpointError(
            f"{source}: the vocabulary has {len(by_id)} tokens and the CTC head is {width} wide; the tokenizer files"
            " belong to another model, or lack a token"
        )
    blank_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else config.pad_token_id
    silent = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id} - {None, blank_id}
    return CtcHead(
        output=output,
        vocabulary=tuple(by_id[i] for i in range(width)),
        blank_id=blank_id,
        word_delimiter=tokenizer.word_delimiter_token,
        silent_ids=frozenset(i for i in silent if i < width),
        lower_case=bool(tokenizer.do_lower_case),
    )


def _read_tokenizer(source: str | Path, folder: Path) -> Any:
    try:
        return Wav2Vec2CTCTokenizer.from_pretrained(folder)
    except Exception as error:  # a missing vocab.json surfaces as TypeError, a broken one as JSONDecodeError
        reason = first_line(error) if (folder / "vocab.json").is_file() else "vocab.json is missing"
        raise CheckpointError(
            f"{source}: its tokenizer cannot be read ({reason}); save the processor next to the model"
        ) from None
