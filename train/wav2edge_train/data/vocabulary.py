"""The tokens and labels of a training split, and the files that transformers reads them from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import DataError
from wav2edge.evaluation.dataset import Utterance

WORD_DELIMITER, UNKNOWN, BLANK = "|", "[UNK]", "[PAD]"


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """``tokens[i]`` is the token of column ``i``: the characters in code point order, unknown, and the blank last.

    The vocabulary of a checkpoint may have another order, and other names for the last two.
    """

    tokens: tuple[str, ...]
    unknown: str = UNKNOWN
    blank: str = BLANK

    @property
    def blank_id(self) -> int:
        """Column of the CTC blank."""
        return self.tokens.index(self.blank)

    def encode(self, transcription: str) -> list[int]:
        """Token ids of a transcription; a character that is not in the vocabulary becomes the unknown token."""
        index = {token: position for position, token in enumerate(self.tokens)}
        return [index.get(character, index[self.unknown]) for character in transcription.replace(" ", WORD_DELIMITER)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids, without the rules of CTC; the inverse of ``encode``."""
        kept = [self.tokens[i] for i in ids if self.tokens[i] not in (self.unknown, self.blank)]
        return " ".join("".join(kept).replace(WORD_DELIMITER, " ").split())


def build_vocabulary(training: Iterable[Utterance]) -> Vocabulary:
    """The characters of the training transcriptions, sorted, with the space written ``|``.

    Raises:
        DataError: a transcription holds the word delimiter itself.
    """
    rows = list(training)
    for _, problem in delimiter_problems(rows):
        raise problem
    letters = sorted({letter for row in rows for letter in row.transcription or ""} - {" "})
    return Vocabulary(tokens=(WORD_DELIMITER, *letters, UNKNOWN, BLANK))


def delimiter_problems(training: Iterable[Utterance]) -> Iterator[tuple[Utterance, DataError]]:
    """Rows with the word delimiter in their transcription, each with its message."""
    for row in training:
        if WORD_DELIMITER in (row.transcription or ""):
            message = f"{row.where}: the transcription holds {WORD_DELIMITER!r}, which separates words; remove it"
            yield row, DataError(message)


def make_feature_extractor(*, layer_norm: bool, normalize: bool = True) -> Wav2Vec2FeatureExtractor:
    """How clips are normalised and padded; layer-norm models want the attention mask, group-norm models must not."""
    return Wav2Vec2FeatureExtractor(
        feature_size=1,
        sampling_rate=SAMPLE_RATE_HZ,
        padding_value=0.0,
        do_normalize=normalize,
        return_attention_mask=layer_norm,
    )


def save_processor(folder: Path, extractor: Wav2Vec2FeatureExtractor, vocabulary: Vocabulary | None) -> None:
    """Write ``preprocessor_config.json`` and, for a CTC head, ``vocab.json`` and the tokenizer's files.

    The tokenizer gets no begin and end tokens, which would make its vocabulary larger than the head. Each is saved by
    itself: a ``Wav2Vec2Processor`` of transformers 5 would write one file of its own, which older readers do not know.
    """
    folder.mkdir(parents=True, exist_ok=True)
    extractor.save_pretrained(folder)
    if vocabulary is None:
        return
    file = folder / "vocab.json"
    file.write_text(
        json.dumps({token: i for i, token in enumerate(vocabulary.tokens)}, ensure_ascii=False), encoding="utf-8"
    )
    tokenizer = Wav2Vec2CTCTokenizer(
        str(file),
        unk_token=vocabulary.unknown,
        pad_token=vocabulary.blank,
        word_delimiter_token=WORD_DELIMITER,
        bos_token=None,
        eos_token=None,
    )
    tokenizer.save_pretrained(folder)
