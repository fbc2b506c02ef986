from __future__ import annotations

import math
from typing import Any

import pytest

from wav2edge.errors import UsageError
from wav2edge_train.training_options import TrainingOptions


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("learning_rate", 0.0, "learning_rate is 0.0; it must be above 0"),
        ("batch_size", 0, "batch_size is 0"),
        ("batch_size", 10**25, "it must be below 2"),
        ("seed", 2**32, "it must be below 2"),
        ("max_minutes", 1e308, "it must be below 2"),
        ("epochs", math.inf, "it must be below 2"),
        ("max_steps", 0, "max_steps is 0"),
        ("max_minutes", 0.0, "max_minutes is 0.0; it must be above 0"),
        ("max_minutes", float("inf"), "max_minutes is inf"),
        ("warmup_steps", -1, "warmup_steps is -1"),
        ("patience", 0, "patience is 0"),
        ("unfreeze_layers_after", 0, "unfreeze_layers_after is 0"),
        ("class_balance", "fair", "class_balance 'fair' is unknown; choose none, balanced"),
        ("precision", "fp8", "precision 'fp8' is unknown; choose auto, fp32, fp16, bf16"),
        ("heads", "tail", "heads 'tail' is unknown"),
        ("augmentation", "wild", "augmentation 'wild' is unknown"),
    ],
)
def test_an_impossible_option_is_refused(field: str, value: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        TrainingOptions(**{field: value})


def test_two_weights_of_zero_are_refused() -> None:
    with pytest.raises(UsageError, match="nothing would be learnt"):
        TrainingOptions(class_weight=0.0, ctc_weight=0.0)
