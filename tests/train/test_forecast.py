from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wav2edge.errors import UsageError
from wav2edge_train.data.clips import ClipDataset, Example
from wav2edge_train.loop.forecast import Forecast, class_counts, lengths_s
from wav2edge_train.model.base_model import Base
from wav2edge_train.train_command import COMMAND
from wav2edge_train.training import dry_run
from wav2edge_train.training_options import TrainingOptions

OptionsMaker = Callable[..., TrainingOptions]


@pytest.fixture
def forecast(corpus: Path, base: Base, options: OptionsMaker) -> Forecast:
    chosen = replace(options(epochs=10, accumulation=2, eval_steps=5), max_steps=None)
    return dry_run(corpus, base=base, options=chosen, say=lambda line: None)


def test_a_dry_run_counts_what_training_will_do(forecast: Forecast) -> None:
    assert forecast.clips == {"train": 12, "validation": 6}
    assert forecast.updates == 20  # three batches, in pairs, ten times
    assert forecast.vocabulary == ("|", "a", "b", "c", "[UNK]", "[PAD]")
    assert forecast.classes == {"0": {"train": 6, "validation": 3}, "1": {"train": 6, "validation": 3}}
    assert forecast.lengths_s["train"] == pytest.approx((0.24, 0.3, 0.48))
    assert forecast.training_s == pytest.approx(20 * forecast.update_s)


def test_memory_grows_with_the_batch_and_shrinks_with_what_is_frozen(
    corpus: Path, base: Base, options: OptionsMaker
) -> None:
    small, large, frozen = (
        dry_run(corpus, base=base, options=options(**fields), say=lambda line: None)
        for fields in ({"batch_size": 2}, {"batch_size": 8}, {"batch_size": 8, "freeze_feature_encoder": True})
    )
    weights = 16 * small.parameters
    assert weights < small.memory_bytes < large.memory_bytes
    assert 2 < (large.memory_bytes - weights) / (small.memory_bytes - weights) < 6
    assert frozen.memory_bytes < large.memory_bytes
    assert frozen.trained_parameters < large.trained_parameters == large.parameters


def test_lengths_and_classes_are_counted_over_the_clips(base: Base) -> None:
    examples = [
        Example(samples=np.zeros(samples, np.float32), where="", class_id=class_id)
        for samples, class_id in ((8_000, 1), (16_000, 1), (64_000, 0))
    ]
    split = ClipDataset(examples, base.geometry)
    assert lengths_s(split) == (0.5, 1.0, 4.0)
    assert class_counts({"train": split}, ("a", "b", "c")) == {
        "a": {"train": 1},
        "b": {"train": 2},
        "c": {"train": 0},
    }


def test_the_command_answers_and_writes_nothing(
    corpus: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    parser = ArgumentParser()
    COMMAND.add_arguments(parser)
    words = [str(corpus), "--preset", "tiny", "--output", str(tmp_path / "run")]
    assert COMMAND.run(parser.parse_args([*words, "--dry-run", "--json"])) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["updates"] == 45
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="give --output DIR"):
        COMMAND.run(parser.parse_args(words[:3]))


def test_the_table_says_all_of_it_in_lines(forecast: Forecast) -> None:
    lines = dict(line.split("  ", 1) for line in forecast.table().splitlines())
    assert {"train clips", "left out", "vocabulary", "class 1", "updates", "time", "memory", "disk"} <= {
        name.strip() for name in lines
    }
