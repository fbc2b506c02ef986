"""How far predicted word starts are from the true ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from wav2edge.output.result import Word

if TYPE_CHECKING:
    from wav2edge.evaluation.dataset import Utterance

CLOSE_S = 0.12
"""An error that a viewer of subtitles, or of a waveform with its words, does not take for a wrong word."""

TRUE_MEDIAN_S, TRUE_SHARE = 0.04, 0.95
"""Word times are true when their median error is at most this, and this share of words is within ``CLOSE_S``."""
FEWEST_WORDS = 20
"""Fewer words than these say nothing about the others."""


@dataclass(frozen=True, kw_only=True)
class WordTimesError:
    """Absolute errors of word starts in seconds, over ``words`` words; ``close_share`` have one within ``CLOSE_S``.

    The kind of figures by which forced aligners are judged: McAuliffe et al., "Montreal Forced Aligner", Interspeech
    2017, section 4, for boundaries of words and phones.
    """

    median_s: float
    p95_s: float
    close_share: float
    words: int

    @classmethod
    def over(cls, errors_s: Iterable[float]) -> Self | None:
        """The figures of errors with their sign; None without any."""
        absolute = np.abs(np.fromiter(errors_s, np.float64))
        if not len(absolute):
            return None
        return cls(
            median_s=float(np.median(absolute)),
            p95_s=float(np.percentile(absolute, 95)),
            close_share=float(np.mean(absolute <= CLOSE_S)),
            words=len(absolute),
        )

    @property
    def borne_out(self) -> bool | None:
        """Whether word times are true enough to give; None where too few words tell."""
        if self.words < FEWEST_WORDS:
            return None
        return self.median_s <= TRUE_MEDIAN_S and self.close_share >= TRUE_SHARE

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"median {self.median_s:.3f} s, 95th percentile {self.p95_s:.3f} s, {self.words} words"


def start_errors_s(words: Sequence[Word] | None, row: Utterance) -> list[float]:
    """Predicted minus true start of each word of a clip.

    Nothing for a row without true starts, or with another transcript than its reference: in ``pa pa pa`` nobody can
    say which ``pa`` was missed.
    """
    texts = None if words is None else [word.text for word in words]
    if words is None or row.word_starts_s is None or texts != (row.transcription or "").split():
        return []
    return [word.start_s - start_s for word, start_s in zip(words, row.word_starts_s, strict=True)]
