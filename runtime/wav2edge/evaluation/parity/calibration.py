"""Whether confidences are honest, and the temperatures that make them so.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017: expected calibration error in section 2, temperature
scaling in section 4.2. A class has one row of logits; a word has one for each of its tokens, and its confidence is the
product of theirs.

The temperatures are those of the original, so that every variant of a bundle shares them, and what is reported of a
variant is what they do for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.heads import CtcHead, Heads
from wav2edge.decoding.ctc import FloatArray, best_path, log_softmax, surest_rows, written_words
from wav2edge.evaluation.parity.differences import Outputs
from wav2edge.evaluation.rates import matched

if TYPE_CHECKING:
    from wav2edge.evaluation.dataset import Utterance

BINS = 15
"""Of equal width from 0 to 1, as in the paper."""
FEWEST = 5
"""Right and wrong answers, each, that a temperature is found on at least; fewer say nothing about the others."""
LEAST, MOST = 0.1, 10.0
"""Temperatures that are tried."""
ZOOMS, STEPS = 4, 21
"""The temperatures between the neighbours of the best are tried next: to within a thousandth."""
SUREST = 1e-12
"""No answer is surer to be right, or wrong, than by this: a wrong one would outweigh all the others."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a temperature does for the confidences of one head.

    ``temperature`` is found on all clips. ``ece_before`` and ``ece_after``, the expected calibration errors of the
    variant without and with a temperature, are over the same answers, words or classes: every second clip is measured
    with the temperature of the others, so that no clip has a part in its own.
    """

    temperature: float
    ece_before: float
    ece_after: float
    answers: int
    clips: int
    bins: int = BINS

    def __str__(self) -> str:
        return f"{self.ece_before:.4f} -> {self.ece_after:.4f}"


def expected_calibration_error(confidences: Floats, right: Flags, *, bins: int = BINS) -> float:
    """Mean distance of confidence and accuracy over bins of equal width, weighted by their answers: ``[answers]`` both.

    A bin holds its upper end and not its lower one.
    """
    places = np.clip(np.ceil(confidences * bins).astype(int) - 1, 0, bins - 1)
    surplus = np.bincount(places, weights=confidences - right, minlength=bins)
    return float(np.abs(surplus).sum() / max(1, len(confidences)))


@dataclass(kw_only=True)
class Answers:
    """The answers of one head, one after the other; ``clips`` numbers the clip of each."""

    rows: list[FloatArray] = field(default_factory=list)
    """``[parts, columns]`` logits of each answer; a class has one part, a word as many as tokens."""
    columns: list[npt.NDArray[np.intp]] = field(default_factory=list)
    """``[parts]`` of each answer: what was answered."""
    right: list[bool] = field(default_factory=list)
    clips: list[int] = field(default_factory=list)

    def add(self, rows: FloatArray, columns: npt.NDArray[np.intp], *, right: bool, clip: int) -> None:
        """Add an answer."""
        self.rows.append(rows)
        self.columns.append(columns)
        self.right.append(right)
        self.clips.append(clip)

    def of_clips(self, which: Flags) -> Answers:
        """Those of some clips: ``[clips]``."""
        chosen = Answers()
        for rows, columns, right, clip in zip(self.rows, self.columns, self.right, self.clips, strict=True):
            if which[clip]:
                chosen.add(rows, columns, right=right, clip=clip)
        return chosen

    def confidences(self, temperature: float = 1.0) -> Floats:
        """``[answers]`` from 0 to 1."""
        if not self.rows:
            return np.zeros(0)
        columns = np.concatenate(self.columns)
        scores = log_softmax(np.concatenate(self.rows) / temperature)[np.arange(len(columns)), columns]
        answer = np.repeat(np.arange(len(self.rows)), [len(each) for each in self.columns])
        confidences: Floats = np.exp(np.bincount(answer, weights=scores, minlength=len(self.rows)))
        return confidences

    def tell(self) -> bool:
        """Whether there are enough, right ones and wrong ones, to find a temperature on."""
        return min(sum(self.right), len(self.right) - sum(self.right)) >= FEWEST

    def temperature(self) -> float:
        """The temperature that makes it likeliest that the right answers are right and the wrong ones wrong."""
        low, high = np.log([LEAST, MOST])
        for _ in range(ZOOMS):
            tried = np.linspace(low, high, STEPS)
            best = int(np.argmin([self._loss(float(np.exp(each))) for each in tried]))
            low, high = tried[max(0, best - 1)], tried[min(STEPS - 1, best + 1)]
        return float(np.exp(tried[best]))

    def _loss(self, temperature: float) -> float:
        """Mean negative log likelihood."""
        confidences = np.clip(self.confidences(temperature), SUREST, 1 - SUREST)
        return -float(np.log(np.where(self.right, confidences, 1 - confidences)).mean())


class Calibrator:
    """Collects the answers of original and variant, clip by clip."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._original, self._variant = ({name: Answers() for name in heads.names} for _ in range(2))
        self._clips = 0

    def add(self, row: Utterance, original: Outputs, variant: Outputs) -> None:
        """Take the outputs of both for a clip."""
        for answers, outputs in ((self._original, original), (self._variant, variant)):
            if self._heads.classification is not None and row.label is not None:
                logits = outputs[self._heads.classification.output]
                best = int(logits.argmax())
                right = self._heads.classification.labels[best] == row.label
                answers["classification"].add(logits[None], np.array([best]), right=right, clip=self._clips)
            if self._heads.ctc is not None and row.transcription is not None:
                logits = outputs[self._heads.ctc.output]
                _add_words(answers["ctc"], logits, row.transcription, self._heads.ctc, clip=self._clips)
        self._clips += 1

    def calibrations(self) -> dict[str, Calibration] | None:
        """By the name of the head, where its answers tell; None where none do."""
        odd = np.arange(self._clips) % 2 == 1
        found = {}
        for name in self._heads.names:
            original, variant = self._original[name], self._variant[name]
            halves = [(original.of_clips(which), variant.of_clips(~which)) for which in (odd, ~odd)]
            if all(fitted.tell() for fitted, _ in halves):
                after = np.concatenate([measured.confidences(fitted.temperature()) for fitted, measured in halves])
                right = np.concatenate([np.array(measured.right, np.bool_) for _, measured in halves])
                found[name] = Calibration(
                    temperature=original.temperature(),
                    ece_before=expected_calibration_error(variant.confidences(), np.array(variant.right, np.bool_)),
                    ece_after=expected_calibration_error(after, right),
                    answers=len(variant.right),
                    clips=len(set(variant.clips)),
                )
        return found or None


def _add_words(answers: Answers, logits: FloatArray, transcription: str, head: CtcHead, *, clip: int) -> None:
    words = written_words(best_path(logits, head), head)
    rights = matched(transcription.split(), [text for text, _ in words])
    for (_, tokens), right in zip(words, rights, strict=True):
        answers.add(*surest_rows(tokens, logits, head), right=right, clip=clip)
