from __future__ import annotations

import numpy as np
from transformers import EvalPrediction

from wav2edge_train.data.clips import Targets
from wav2edge_train.loop.report_metrics import report_of


def test_the_padding_of_joined_batches_is_ignored(targets: Targets) -> None:
    ids = np.array([[1, 1, 5, 2, -100, -100], [3, 5, 3, 0, 1, 1]])
    prediction = EvalPrediction(
        predictions=(ids, np.array([0, 1])), label_ids=(np.full((2, 3), -100), np.array([0, 1]))
    )
    report = report_of(prediction, targets, ["ab", "cc a"], loss=0.5)
    assert report.word_errors is not None
    assert (report.word_errors.edits, report.word_errors.words) == (0, 3)
    assert report.metrics()["accuracy"] == 1.0
