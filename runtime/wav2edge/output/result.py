"""Results of recognition: plain values with derived properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of the transcript, its times, and the geometric mean of its tokens' probabilities."""

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one clip. Fields of heads that the model lacks are None.

    ``confidence`` is the geometric mean probability of the transcript's tokens (1.0 for an empty one),
    or, without a CTC head, the probability of the label.
    """

    duration_s: float
    text: str | None = None
    words: tuple[Word, ...] | None = None
    scores: Mapping[str, float] | None = None
    confidence: float = 1.0
    warnings: tuple[str, ...] = field(default=())

    @property
    def label(self) -> str | None:
        """The most probable label."""
        return max(self.scores, key=self.scores.__getitem__) if self.scores else None

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-ready values; heads that the model lacks are left out."""
        document: dict[str, Any] = {"duration_s": round(self.duration_s, 4), "confidence": round(self.confidence, 6)}
        if self.text is not None:
            document["text"] = self.text
        if self.words is not None:
            document["words"] = [
                {
                    "text": word.text,
                    "start_s": round(word.start_s, 4),
                    "end_s": round(word.end_s, 4),
                    "confidence": round(word.confidence, 6),
                }
                for word in self.words
            ]
        if self.scores is not None:
            document["label"] = self.label
            document["scores"] = {label: round(score, 6) for label, score in self.scores.items()}
        document["warnings"] = list(self.warnings)
        return document
