"""The report of the reference card: precision, recall, F1, support, accuracy, WER and confusion, from one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wav2edge.evaluation.wer import WordErrors, count_word_errors

COLUMNS = ("precision", "recall", "f1-score", "support")


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """``part / whole``, and 0 where there is nothing to divide by (scikit-learn's ``zero_division=0``)."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


@dataclass(frozen=True, kw_only=True)
class ClassificationReport:
    """``confusion[true, predicted]`` counts clips, ``[classes, classes]`` int64, in the order of ``labels``."""

    labels: tuple[str, ...]
    confusion: npt.NDArray[np.int64]

    @classmethod
    def of(cls, labels: Sequence[str], truth: Sequence[str], predicted: Sequence[str]) -> ClassificationReport:
        """Count predictions against the truth; both hold names from ``labels``."""
        index = {label: position for position, label in enumerate(labels)}
        confusion = np.zeros((len(labels), len(labels)), np.int64)
        for expected, heard in zip(truth, predicted, strict=True):
            confusion[index[expected], index[heard]] += 1
        return cls(labels=tuple(labels), confusion=confusion)

    @property
    def accuracy(self) -> float:
        """Share of clips on the diagonal."""
        return float(np.trace(self.confusion) / max(1, self.confusion.sum()))

    def rows(self) -> dict[str, tuple[float, float, float, int]]:
        """Precision, recall, F1 and support of each label, of their plain and of their support-weighted mean."""
        hits = np.diag(self.confusion)
        support = self.confusion.sum(axis=1)
        predicted = self.confusion.sum(axis=0)
        scores = np.stack([_ratio(hits, predicted), _ratio(hits, support), _ratio(2 * hits, support + predicted)])
        total = int(support.sum())
        weighted = scores @ support / max(1, total)
        rows = {label: (*map(float, scores[:, i]), int(support[i])) for i, label in enumerate(self.labels)}
        rows["macro avg"] = (*map(float, scores.mean(axis=1)), total)
        rows["weighted avg"] = (*map(float, weighted), total)
        return rows  # type: ignore[return-value]  # a starred map has no fixed length for the type checker

    @property
    def macro_f1(self) -> float:
        """Plain mean of the labels' F1."""
        return self.rows()["macro avg"][2]

    def mtrix(self) -> list[list[int | str]]:
        """The confusion matrix as the reference card writes it: a row of labels, then label and counts a row."""
        names = [int(label) if label.isdecimal() else label for label in self.labels]
        counts: list[list[int | str]] = [
            [name, *map(int, row)] for name, row in zip(names, self.confusion, strict=True)
        ]
        return [names, *counts]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one evaluation found; a head that the model or the data lacks is None."""

    clips: int
    classification: ClassificationReport | None = None
    word_errors: WordErrors | None = None
    loss: float | None = None

    def metrics(self) -> dict[str, Any]:
        """The figures under the reference card's keys, in its order."""
        figures: dict[str, Any] = {} if self.loss is None else {"loss": self.loss}
        if self.classification is not None:
            rows = self.classification.rows()
            averages = {name: rows.pop(name) for name in ("macro avg", "weighted avg")}
            figures |= _flatten(rows)
            figures["accuracy"] = self.classification.accuracy
            figures |= _flatten(averages)
        if self.word_errors is not None:
            figures["wer"] = self.word_errors.rate
        if self.classification is not None:
            figures["mtrix"] = self.classification.mtrix()
        return figures

    def to_dict(self) -> dict[str, Any]:
        """The figures and what they were counted over, as JSON-ready values."""
        counted: dict[str, Any] = {"clips": self.clips}
        if self.word_errors is not None:
            counted |= {"word_edits": self.word_errors.edits, "words": self.word_errors.words}
        return {**self.metrics(), **counted}

    def table(self) -> str:
        """The figures as aligned text for a terminal."""
        lines: list[str] = []
        if self.classification is not None:
            lines += _classification_lines(self.classification)
        if self.word_errors is not None:
            errors = self.word_errors
            lines.append(f"WER       {errors.rate:.4f}   ({errors.edits} of {errors.words} words)")
        if self.loss is not None:
            lines.append(f"loss      {self.loss:.4f}")
        lines.append(f"clips     {self.clips}")
        return "\n".join(lines)


def make_report(
    *,
    labels: Sequence[str] | None = None,
    label_pairs: Sequence[tuple[str, str]] = (),
    transcription_pairs: Sequence[tuple[str, str]] | None = None,
    loss: float | None = None,
) -> Report:
    """Count pairs of (truth, answer). Pass None for a head that was not evaluated."""
    classification = word_errors = None
    if labels is not None:
        truth, predicted = zip(*label_pairs, strict=True) if label_pairs else ((), ())
        classification = ClassificationReport.of(labels, truth, predicted)
    if transcription_pairs is not None:
        references, hypotheses = zip(*transcription_pairs, strict=True) if transcription_pairs else ((), ())
        word_errors = count_word_errors(references, hypotheses)
    clips = max(len(label_pairs), len(transcription_pairs or ()))
    return Report(clips=clips, classification=classification, word_errors=word_errors, loss=loss)


def _flatten(rows: dict[str, tuple[float, float, float, int]]) -> dict[str, float | int]:
    return {f"{name}_{column}": value for name, row in rows.items() for column, value in zip(COLUMNS, row, strict=True)}


def _classification_lines(report: ClassificationReport) -> list[str]:
    names = [*report.labels, "weighted avg"]
    width = max(map(len, names))
    lines = [f"{'':{width}}  precision  recall  f1-score  support"]
    lines += [
        f"{name:{width}}  {precision:9.4f}  {recall:6.4f}  {f1:8.4f}  {support:7d}"
        for name, (precision, recall, f1, support) in report.rows().items()
    ]
    cell = max(5, *(len(label) + 1 for label in report.labels))
    corner = "true \\ heard"
    lines += ["", f"{corner:{max(width, 12)}}" + "".join(f"{label:>{cell}}" for label in report.labels)]
    lines += [
        f"{label:{max(width, 12)}}" + "".join(f"{count:{cell}d}" for count in row)
        for label, row in zip(report.labels, report.confusion, strict=True)
    ]
    return [*lines, "", f"accuracy  {report.accuracy:.4f}   macro F1 {report.macro_f1:.4f}"]
