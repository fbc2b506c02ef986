"""The result of aligning a text with a recording: plain values."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np

from wav2edge.output.result import Word


@dataclass(frozen=True, kw_only=True)
class AlignedToken:
    """A token, its times in seconds, and its scores (see ``Engine.align``)."""

    text: str
    start_s: float
    end_s: float
    confidence: float
    gop: float

    def to_dict(self) -> dict[str, Any]:
        """The token as JSON-ready values."""
        return {"text": self.text, **_rounded(self.start_s, self.end_s, self.confidence, self.gop)}


@dataclass(frozen=True, kw_only=True)
class AlignedWord(Word):
    """A word as the text has it, its times in seconds, its tokens, and its scores (see ``Engine.align``)."""

    gop: float
    tokens: tuple[AlignedToken, ...]

    def to_dict(self) -> dict[str, Any]:
        """The word as JSON-ready values."""
        document = {"text": self.text, **_rounded(self.start_s, self.end_s, self.confidence, self.gop)}
        return {**document, "tokens": [token.to_dict() for token in self.tokens]}


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """The words of a text with their times in a recording, and the scores of the whole (see ``Engine.align``)."""

    duration_s: float
    words: tuple[AlignedWord, ...]
    confidence: float
    gop: float
    warnings: tuple[str, ...] = ()

    @property
    def tokens(self) -> tuple[AlignedToken, ...]:
        """The tokens of all words."""
        return tuple(token for word in self.words for token in word.tokens)

    @property
    def text(self) -> str:
        """The words, with a space between them."""
        return " ".join(word.text for word in self.words)

    def to_dict(self) -> dict[str, Any]:
        """The alignment as JSON-ready values."""
        return {
            "duration_s": round(self.duration_s, 4),
            "text": self.text,
            "confidence": round(self.confidence, 6),
            "gop": round(self.gop, 4),
            "words": [word.to_dict() for word in self.words],
            "warnings": list(self.warnings),
        }


def _rounded(start_s: float, end_s: float, confidence: float, gop: float) -> dict[str, float]:
    return {
        "start_s": round(start_s, 4),
        "end_s": round(end_s, 4),
        "confidence": round(confidence, 6),
        "gop": round(gop, 4),
    }


def aligned_word(text: str, tokens: Sequence[AlignedToken]) -> AlignedWord:
    """The word of these tokens, at least one."""
    confidence, gop = mean_scores(tokens)
    return AlignedWord(
        text=text,
        start_s=tokens[0].start_s,
        end_s=tokens[-1].end_s,
        confidence=confidence,
        gop=gop,
        tokens=tuple(tokens),
    )


def mean_scores(tokens: Sequence[AlignedToken]) -> tuple[float, float]:
    """The geometric mean of the confidences, and the mean of the GOPs; 1 and 0 without tokens."""
    if not tokens:
        return 1.0, 0.0
    least = sys.float_info.min  # for a confidence that is rounded to 0
    logs = [log(max(token.confidence, least)) for token in tokens]
    return exp(np.mean(logs)), float(np.mean([token.gop for token in tokens]))
