"""From the Trainer's predictions to the full report, and to the score that selects the best checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from transformers import EvalPrediction
from transformers.trainer_utils import PredictionOutput

from wav2edge.decoding.ctc import collapse
from wav2edge.evaluation.report import Report, make_report
from wav2edge.evaluation.text_normalization import TextNormalization
from wav2edge_train.data.clips import Targets

PADDED = -100
"""The Trainer's padding of predictions and labels when it joins batches."""


class ReportMetrics:
    """The Trainer's ``compute_metrics``; keeps the latest report."""

    def __init__(self, targets: Targets, transcriptions: Sequence[str], normalization: TextNormalization) -> None:
        self._targets, self._transcriptions, self._normalization = targets, transcriptions, normalization
        self.report: Report | None = None

    def __call__(self, prediction: EvalPrediction) -> dict[str, Any]:
        """The figures under the reference card's keys, and the score that selects the best checkpoint."""
        self.report = self.make_report(prediction)
        return self.report.metrics() | {"score": score(self.report)}

    def make_report(self, prediction: EvalPrediction | PredictionOutput, loss: float | None = None) -> Report:
        """The report of one evaluation."""
        return report_of(prediction, self._targets, self._transcriptions, loss, self._normalization)


def report_of(
    prediction: EvalPrediction | PredictionOutput,
    targets: Targets,
    transcriptions: Sequence[str],
    loss: float | None,
    normalization: TextNormalization | None = None,
) -> Report:
    """The full report of predictions in the form that ``JointTrainer`` makes them.

    Args:
        prediction: token ids ``[clips, frames]``, class ids ``[clips]``, or both, and the label ids likewise.
        targets: the meaning of the ids.
        transcriptions: the reference transcript of each clip.
        loss: the mean loss over the clips, where it is known.
        normalization: of references and hypotheses; white space and Unicode NFC where None.
    """
    predicted, truths = _columns(prediction.predictions), _columns(prediction.label_ids)
    transcription_pairs, label_pairs = None, []
    if targets.vocabulary is not None:
        vocabulary = targets.vocabulary
        paths = np.where(predicted[0] == PADDED, vocabulary.blank_id, predicted[0])
        hypotheses = [vocabulary.decode(collapse(path, vocabulary.blank_id)) for path in paths]
        transcription_pairs = list(zip(transcriptions, hypotheses, strict=True))
    if targets.labels is not None:
        names = targets.labels
        label_pairs = [(names[truth], names[best]) for truth, best in zip(truths[-1], predicted[-1], strict=True)]
    return make_report(
        labels=targets.labels,
        label_pairs=label_pairs,
        transcription_pairs=transcription_pairs,
        loss=loss,
        normalization=normalization,
    )


def score(report: Report) -> float:
    """The mean of accuracy and 1 - WER over the heads that the model has."""
    parts = []
    if report.classification is not None:
        parts.append(report.classification.accuracy)
    if report.word_errors is not None:
        parts.append(1.0 - min(1.0, report.word_errors.rate))
    return sum(parts) / len(parts)


def _columns(arrays: Any) -> list[npt.NDArray[np.int64]]:
    return list(arrays) if isinstance(arrays, tuple) else [arrays]
