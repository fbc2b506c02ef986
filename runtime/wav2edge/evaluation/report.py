"""The report of an evaluation: precision, recall, F1, support, accuracy, WER and confusion matrix of one model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wav2edge.evaluation.rates import WordErrors, WordTimesError, count_word_errors
from wav2edge.evaluation.text_normalization import TextNormalization
from wav2edge.output.tables import markdown_table

AVERAGES = ("macro avg", "weighted avg")
"""Rows of means, under the names that scikit-learn gives them."""
LIKE_AVERAGES = re.compile(rf"(class )*({'|'.join(AVERAGES)})")
"""Classes that would be taken for them are called ``class macro avg``, and so on."""
COLUMNS = ("precision", "recall", "f1-score", "support")


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """``part / whole``, and 0 where ``whole`` is 0 (scikit-learn's ``zero_division=0``)."""
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
        for true, guess in zip(truth, predicted, strict=True):
            confusion[index[true], index[guess]] += 1
        return cls(labels=tuple(labels), confusion=confusion)

    @property
    def accuracy(self) -> float:
        """Share of clips on the diagonal."""
        return float(np.trace(self.confusion) / max(1, self.confusion.sum()))

    def rows(self) -> dict[str, tuple[float, float, float, int]]:
        """Precision, recall, F1 and support per label, and their plain and support-weighted means."""
        hits = np.diag(self.confusion)
        support = self.confusion.sum(axis=1)
        predicted = self.confusion.sum(axis=0)
        scores = np.stack([_ratio(hits, predicted), _ratio(hits, support), _ratio(2 * hits, support + predicted)])
        total = int(support.sum())
        weighted = scores @ support / max(1, total)
        names = [f"class {label}" if LIKE_AVERAGES.fullmatch(label) else label for label in self.labels]
        rows = {name: (*map(float, scores[:, i]), int(support[i])) for i, name in enumerate(names)}
        rows["macro avg"] = (*map(float, scores.mean(axis=1)), total)
        rows["weighted avg"] = (*map(float, weighted), total)
        return rows  # type: ignore[return-value]  # a starred map has no fixed length for the type checker

    @property
    def macro_f1(self) -> float:
        """Plain mean of the labels' F1."""
        return self.rows()["macro avg"][2]

    def confusion_matrix(self) -> dict[str, Any]:
        """The confusion matrix as JSON-ready values: ``counts[true][predicted]`` clips, in the order of ``labels``."""
        return {"labels": list(self.labels), "counts": self.confusion.tolist()}

    def table(self) -> str:
        """Figures and confusion matrix as Markdown."""
        figures = markdown_table(
            ("class", *COLUMNS),
            [
                [name, *(f"{score:.4f}" for score in scores), str(clips)]
                for name, (*scores, clips) in self.rows().items()
            ],
        )
        matrix = markdown_table(
            ("true \\ predicted", *self.labels),
            [[label, *map(str, row)] for label, row in zip(self.labels, self.confusion, strict=True)],
        )
        return f"{figures}\n\n{matrix}"


@dataclass(frozen=True, kw_only=True)
class Report:
    """The figures of one evaluation; those of a head that the model or the data lacks are None.

    ``word_times`` are over clips whose rows say when words begin, and whose transcript is right.
    ``normalization`` was applied to references and hypotheses before word errors were counted.
    """

    clips: int
    classification: ClassificationReport | None = None
    word_errors: WordErrors | None = None
    loss: float | None = None
    word_times: WordTimesError | None = None
    normalization: TextNormalization = field(default_factory=TextNormalization)

    def metrics(self) -> dict[str, Any]:
        """The figures under the reference card's names, in its order; the confusion matrix as ``confusion_matrix``."""
        figures: dict[str, Any] = {} if self.loss is None else {"loss": self.loss}
        if self.classification is not None:
            rows = self.classification.rows()
            averages = {name: rows.pop(name) for name in AVERAGES}
            figures |= _flatten(rows)
            figures["accuracy"] = self.classification.accuracy
            figures |= _flatten(averages)
        if self.word_errors is not None:
            figures["wer"] = self.word_errors.rate
        if self.classification is not None:
            figures["confusion_matrix"] = self.classification.confusion_matrix()
        return figures

    def to_dict(self) -> dict[str, Any]:
        """The figures, the text normalisation and the number of clips and words, as JSON-ready values."""
        counted: dict[str, Any] = {"clips": self.clips}
        if self.word_errors is not None:
            counted |= {
                "word_edits": self.word_errors.edits,
                "words": self.word_errors.words,
                "text_normalization": asdict(self.normalization),
            }
        if self.word_times is not None:
            counted["word_times_error"] = self.word_times.to_dict()
        return {**self.metrics(), **counted}

    def table(self) -> str:
        """The figures as text for a terminal; the tables are Markdown."""
        lines: list[str] = []
        if self.classification is not None:
            report = self.classification
            lines += [report.table(), "", f"accuracy  {report.accuracy:.4f}   macro F1 {report.macro_f1:.4f}"]
        if self.word_errors is not None:
            errors = self.word_errors
            lines.append(f"WER       {errors.rate:.4f}   ({errors.edits} of {errors.words} words)")
            if self.normalization.summary:
                lines.append(f"text      {self.normalization.summary}")
        if self.word_times is not None:
            lines.append(f"word-start error  {self.word_times}")
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
    word_times: WordTimesError | None = None,
    normalization: TextNormalization | None = None,
) -> Report:
    """Count pairs of (truth, prediction).

    Args:
        labels: the model's classes; None where its classifier was not evaluated.
        label_pairs: true and predicted label per clip.
        transcription_pairs: reference and hypothesis per clip; None where no transcript was evaluated.
        loss: the mean loss over the clips, where it is known.
        word_times: how far word starts are from the true ones, where those are known.
        normalization: applied to references and hypotheses; white space and Unicode NFC where None.
    """
    classification = word_errors = None
    normalize = normalization or TextNormalization()
    if labels is not None:
        truth, predicted = zip(*label_pairs, strict=True) if label_pairs else ((), ())
        classification = ClassificationReport.of(labels, truth, predicted)
    if transcription_pairs is not None:
        word_errors = normalized_word_errors(transcription_pairs, normalize)
    clips = max(len(label_pairs), len(transcription_pairs or ()))
    return Report(
        clips=clips,
        classification=classification,
        word_errors=word_errors,
        loss=loss,
        word_times=word_times,
        normalization=normalize,
    )


def normalized_word_errors(pairs: Sequence[tuple[str, str]], normalize: TextNormalization) -> WordErrors:
    """Word errors over pairs of (reference, hypothesis), both normalised."""
    return count_word_errors([normalize(text) for text, _ in pairs], [normalize(text) for _, text in pairs])


def _flatten(rows: dict[str, tuple[float, float, float, int]]) -> dict[str, float | int]:
    return {f"{name}_{column}": value for name, row in rows.items() for column, value in zip(COLUMNS, row, strict=True)}
