"""From logits to words: the tokens of greedy CTC, the text that they are written as, times and confidences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from unicodedata import normalize

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.heads import CtcHead
from wav2edge.output.result import Word

FloatArray = npt.NDArray[np.floating]

TIGHT = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")
"""What loses its spaces where a head cleans up, one after the other (``clean_up_tokenization`` of transformers,
``tokenization_utils_base.py``)."""


def softmax(logits: FloatArray) -> npt.NDArray[np.float64]:
    """Probabilities along the last axis, in float64, without overflow for large logits."""
    shifted = np.asarray(logits, np.float64)
    shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    probabilities: npt.NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities


def log_softmax(logits: FloatArray) -> npt.NDArray[np.float64]:
    """Log probabilities along the last axis, in float64."""
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    logarithms: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logarithms


@dataclass(frozen=True)
class Token:
    """A token of a transcript: its frames, ``end`` exclusive, and its log probability in the ``surest`` of them."""

    text: str
    start: int
    end: int
    log_probability: float
    surest: int


def collapse(ids: npt.NDArray[np.integer], blank_id: int) -> list[int]:
    """Token ids of a path ``ids: [frames]``: repeats merged, then blanks dropped (Graves et al., ICML 2006, 3.1)."""
    first = np.r_[True, ids[1:] != ids[:-1]][: len(ids)]
    return [int(i) for i in ids[first] if i != blank_id]


def best_path(logits: FloatArray, head: CtcHead) -> list[Token]:
    """Greedy CTC: the best token of each frame, repeats merged, blanks and silent tokens dropped.

    Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2.

    Args:
        logits: ``[frames, vocabulary]``.
        head: the vocabulary and its blank.
    """
    if len(logits) == 0:
        return []
    ids = logits.argmax(axis=-1)
    log_probabilities = log_softmax(logits)[np.arange(len(ids)), ids]
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    ends = np.r_[starts[1:], len(ids)]
    unwritten = head.silent_ids | {head.blank_id}
    return [
        token_of(head.vocabulary[ids[start]], int(start), log_probabilities[start:end])
        for start, end in zip(starts, ends, strict=True)
        if int(ids[start]) not in unwritten
    ]


def token_of(text: str, start: int, log_probabilities: npt.NDArray[np.float64]) -> Token:
    """The token whose frames from ``start`` on have these log probabilities, ``[frames]``."""
    surest = int(log_probabilities.argmax())
    return Token(text, start, start + len(log_probabilities), float(log_probabilities[surest]), start + surest)


def cased(text: str, head: CtcHead) -> str:
    """The text in the letter case of transcripts."""
    return text.lower() if head.lower_case else text


def written_columns(head: CtcHead) -> dict[str, int]:
    """The column of each token that is written inside a word, by its text."""
    unwritten = head.silent_ids | {head.blank_id}
    return {
        cased(token, head): place
        for place, token in enumerate(head.vocabulary)
        if place not in unwritten and token != head.word_delimiter
    }


def spell_word(word: str, columns: dict[str, int]) -> tuple[tuple[int, ...], list[str]]:
    """The columns of a word, at each place the longest token that fits; and the characters that begin none.

    An accented letter may be one character in the text and two in the vocabulary, or the other way round: what cannot
    be spelt as it is, is tried composed and decomposed (Unicode's NFC and NFD).
    """
    forms = dict.fromkeys((word, normalize("NFC", word), normalize("NFD", word)))
    spelt = [_spell_as_is(form, columns) for form in forms]
    return next((found for found in spelt if not found[1]), spelt[0])


def _spell_as_is(word: str, columns: dict[str, int]) -> tuple[tuple[int, ...], list[str]]:
    longest, ids, unknown = max(map(len, columns), default=0), [], []
    while word:
        token = next((word[:size] for size in range(longest, 0, -1) if word[:size] in columns), None)
        if token is None:
            unknown.append(word[0])
        else:
            ids.append(columns[token])
        word = word[len(token or word[0]) :]
    return tuple(ids), unknown


def join_words(tokens: Sequence[Token], head: CtcHead, frame_s: float) -> tuple[Word, ...]:
    """The words that tokens are written as, with their times in seconds from the start of the clip."""
    return tuple(
        Word(
            text=text,
            start_s=own[0].start * frame_s,
            end_s=own[-1].end * frame_s,
            confidence=word_confidence(own),
        )
        for text, own in written_words(tokens, head)
    )


def written_words(tokens: Sequence[Token], head: CtcHead) -> list[tuple[str, list[Token]]]:
    """The words of a transcript, which are what white space separates in it, each with the tokens that it is from.

    The transcript is that of transformers' ``Wav2Vec2CTCTokenizer`` and ``Wav2Vec2PhonemeCTCTokenizer``
    (``models/wav2vec2*/tokenization_wav2vec2*.py``), with one space for each run of white space.

    Args:
        tokens: without blanks and silent tokens.
        head: how they are written.
    """
    text, owners = _transcript(tokens, head)
    found = []
    for word in re.finditer(r"\S+", text):
        places = sorted({owner for owner in owners[word.start() : word.end()] if owner is not None})
        if places:
            found.append((word.group(), [tokens[place] for place in places]))
    return found


def _transcript(tokens: Sequence[Token], head: CtcHead) -> tuple[str, list[int | None]]:
    """The text of tokens, and of each character the place of the token that it is from; None for a separator."""
    text, owners = "", list[int | None]()
    for place, token in enumerate(tokens):
        between = head.token_separator if place else ""
        written = head.delimiter_text if token.text == head.word_delimiter else token.text
        text += between + written
        owners += [None] * len(between) + [place] * len(written)
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    text, owners = text[first:last], owners[first:last]
    if head.lower_case:
        owners = [owner for owner, letter in zip(owners, text, strict=True) for _ in letter.lower()]
        text = text.lower()
    return _tightened(text, owners) if head.clean_up_spaces else (text, owners)


def _tightened(text: str, owners: list[int | None]) -> tuple[str, list[int | None]]:
    """The text without the spaces of what stands in ``TIGHT``."""
    for tight in TIGHT:
        spaces = {
            match.start() + place
            for match in re.finditer(re.escape(tight), text)
            for place, letter in enumerate(tight)
            if letter == " "
        }
        if spaces:
            owners = [owner for place, owner in enumerate(owners) if place not in spaces]
            text = "".join(letter for place, letter in enumerate(text) if place not in spaces)
    return text, owners


def word_confidence(tokens: Sequence[Token]) -> float:
    """How surely a word is right: the product of its tokens' probabilities, since one wrong token makes it wrong.

    Of a token the surest frame counts: CTC can be unsure of where a token begins and ends, and sure of the token.
    """
    return float(np.exp(sum(token.log_probability for token in tokens)))


def mean_confidence(words: Sequence[Word]) -> float:
    """The share of words that are right, as far as their confidences tell; 1 without words."""
    return fmean(word.confidence for word in words) if words else 1.0


def surest_rows(tokens: Sequence[Token], logits: FloatArray, head: CtcHead) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """The logits in each token's surest frame, ``[tokens, vocabulary]``, and the token's column there, ``[tokens]``."""
    columns = [head.vocabulary.index(token.text) for token in tokens]
    return logits[[token.surest for token in tokens]], np.array(columns, np.intp)


def tempered(tokens: Sequence[Token], logits: FloatArray, head: CtcHead, temperature: float) -> list[Token]:
    """The same tokens with log probabilities from ``logits / temperature`` (Guo et al., ICML 2017, section 4.2)."""
    if not tokens:
        return []
    rows, columns = surest_rows(tokens, logits, head)
    scores = log_softmax(rows / temperature)[np.arange(len(columns)), columns].tolist()
    return [
        Token(token.text, token.start, token.end, score, token.surest)
        for token, score in zip(tokens, scores, strict=True)
    ]
