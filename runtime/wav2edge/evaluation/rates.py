"""What is counted over clips: word errors by edit distance (Levenshtein, 1966), errors of word starts; intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from wav2edge.output.result import Word

if TYPE_CHECKING:
    from wav2edge.evaluation.dataset import Utterance

RESAMPLES = 2_000
NORMAL_95 = 1.959964
"""Standard deviations to either side of the mean that hold 95 % of a normal distribution."""
Interval = tuple[float, float]
"""Lower and upper end of the central 95 %."""
CLOSE_S = 0.12
"""An error that a viewer of subtitles, or of a waveform with its words, does not take for a wrong word."""
TRUE_MEDIAN_S, TRUE_SHARE = 0.04, 0.95
"""Word times are true when their median error is at most this, and this share of words is within ``CLOSE_S``."""
FEWEST_WORDS = 20
"""Fewer words than these say nothing about the others."""


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Fewest substitutions, deletions and insertions that turn ``reference`` into ``hypothesis``."""
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, guess in enumerate(hypothesis, start=1):
            change = diagonal + (word != guess)
            diagonal = row[j]
            row[j] = min(change, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def matched(reference: Sequence[str], hypothesis: Sequence[str]) -> list[bool]:
    """Whether each word of ``hypothesis`` is right: it stands for itself in an alignment with fewest edits."""
    table = [list(range(len(hypothesis) + 1))]  # edits between beginnings
    for i, word in enumerate(reference, start=1):
        row = [i]
        for j, guess in enumerate(hypothesis, start=1):
            row.append(min(table[-1][j - 1] + (word != guess), table[-1][j] + 1, row[-1] + 1))
        table.append(row)
    right = [False] * len(hypothesis)
    i, j = len(reference), len(hypothesis)
    while i and j:
        change = reference[i - 1] != hypothesis[j - 1]
        if table[i][j] == table[i - 1][j - 1] + change:
            right[j - 1] = not change
            i, j = i - 1, j - 1
        elif table[i][j] == table[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return right


@dataclass(frozen=True, kw_only=True)
class WordErrors:
    """Word edits, and the reference words that they are counted over."""

    edits: int
    words: int

    @property
    def rate(self) -> float:
        """Edits per reference word. Without any reference word: 0 where the hypotheses are empty too, else 1."""
        return self.edits / self.words if self.words else float(self.edits > 0)


def count_word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Word errors over pairs of transcripts; white space separates words."""
    edits = words = 0
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        expected = reference.split()
        edits += edit_distance(expected, hypothesis.split())
        words += len(expected)
    return WordErrors(edits=edits, words=words)


@dataclass(frozen=True, kw_only=True)
class PairedRate:
    """A rate of the original and of the variant over the same clips; ``total`` words or clips.

    ``interval`` is the central 95 % of the difference, variant minus original, when the clips are resampled with
    replacement (Efron, "Bootstrap Methods", Annals of Statistics 7(1), 1979; the percentile interval).
    """

    original: float
    variant: float
    interval: Interval
    total: float

    @property
    def difference(self) -> float:
        """Variant minus original."""
        return self.variant - self.original

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.original:.4f} -> {self.variant:.4f} (by {low:+.4f} to {high:+.4f} at 95 %)"


def paired_rate(counts: npt.ArrayLike, weights: npt.ArrayLike, *, seed: int = 0) -> PairedRate | None:
    """The rate of both and the interval of their difference; None without any clip.

    Args:
        counts: ``[clips, 2]`` events of the original and of the variant.
        weights: ``[clips]`` what the events are counted over: words, or 1 per clip.
        seed: of the resampling.
    """
    events, over = np.asarray(counts, np.float64), np.asarray(weights, np.float64)
    if len(over) == 0:
        return None
    total = max(1.0, float(over.sum()))
    drawn = np.random.default_rng(seed).integers(0, len(over), (RESAMPLES, len(over)))
    differences = (events[:, 1] - events[:, 0])[drawn].sum(axis=1) / np.maximum(1.0, over[drawn].sum(axis=1))
    low, high = np.percentile(differences, [2.5, 97.5])
    return PairedRate(
        original=float(events[:, 0].sum() / total),
        variant=float(events[:, 1].sum() / total),
        interval=(float(low), float(high)),
        total=total,
    )


def share_interval(events: int, trials: int) -> Interval:
    """The 95 % interval of a share (Wilson, Journal of the American Statistical Association 22(158), 1927).

    A bootstrap of no events at all has an interval without width; this one allows for up to 3.8 % after 0 of 97.
    """
    if trials == 0:
        return 0.0, 1.0
    share, spread = events / trials, NORMAL_95**2 / trials
    middle = share + spread / 2
    half = NORMAL_95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


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
