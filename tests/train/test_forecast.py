from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wav2edge.errors import UsageError
from wav2edge_train.data.clips import ClipDataset, Example, Targets
from wav2edge_train.loop import forecast as module
from wav2edge_train.loop.forecast import Forecast, class_counts, lengths_s, measure_pretraining_s, updates_within
from wav2edge_train.model.base_model import BaseModel, build_model, checkpoint_base_model
from wav2edge_train.reporting import size_comparison
from wav2edge_train.train_command import COMMAND
from wav2edge_train.training import TrainingOutcome, dry_run
from wav2edge_train.training_options import TrainingOptions

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

OptionsMaker = Callable[..., TrainingOptions]


@pytest.fixture
def forecast(corpus: Path, base: BaseModel, options: OptionsMaker) -> Forecast:
    chosen = replace(options(epochs=10, accumulation=2, eval_steps=5), max_steps=None)
    return dry_run(corpus, base=base, options=chosen, log=lambda line: None)


def test_a_dry_run_counts_what_training_will_do(forecast: Forecast) -> None:
    assert forecast.clips == {"train": 12, "validation": 6}
    assert forecast.updates == 20  # three batches, in pairs, ten times
    assert forecast.vocabulary == ("|", "a", "b", "c", "[UNK]", "[PAD]")
    assert forecast.classes == {"0": {"train": 6, "validation": 3}, "1": {"train": 6, "validation": 3}}
    assert forecast.lengths_s["train"] == pytest.approx((0.24, 0.3, 0.48))
    assert forecast.training_s == pytest.approx(20 * forecast.update_s)


def test_memory_grows_with_the_batch_and_shrinks_with_what_is_frozen(
    corpus: Path, base: BaseModel, options: OptionsMaker
) -> None:
    small, large, frozen = (
        dry_run(corpus, base=base, options=options(**fields), log=lambda line: None)
        for fields in ({"batch_size": 2}, {"batch_size": 8}, {"batch_size": 8, "freeze_feature_encoder": True})
    )
    weights = 16 * small.parameters
    assert weights < small.memory_bytes < large.memory_bytes
    assert 2 < (large.memory_bytes - weights) / (small.memory_bytes - weights) < 6
    assert frozen.memory_bytes < large.memory_bytes
    assert frozen.trained_parameters < large.trained_parameters == large.parameters


def test_with_a_time_limit_as_many_updates_are_expected_as_fit_into_it(
    corpus: Path, base: BaseModel, options: OptionsMaker
) -> None:
    chosen = options(max_minutes=0.5, max_steps=None, eval_steps=5)
    found = dry_run(corpus, base=base, options=replace(chosen, max_steps=None), log=lambda line: None)
    assert found.training_s + found.evaluation_s + found.saving_s == pytest.approx(30.0, rel=0.2)
    assert updates_within(10.0, 0.08, 0.02) == 100
    assert updates_within(0.01, 1.0, 1.0) == 1
    few = dry_run(corpus, base=base, options=replace(chosen, max_steps=7), log=lambda line: None)
    assert few.updates == 7


def test_lengths_and_classes_are_counted_over_the_clips(base: BaseModel) -> None:
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


def test_the_command_prints_json_and_writes_nothing(
    corpus: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    parser = ArgumentParser()
    COMMAND.add_arguments(parser)
    words = [str(corpus), "--preset", "tiny", "--output", str(tmp_path / "run")]
    words += ["--epochs", "15", "--batch-size", "4"]
    assert COMMAND.run(parser.parse_args([*words, "--dry-run", "--json"])) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["updates"] == 45
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="give --output DIR"):
        COMMAND.run(parser.parse_args(words[:3]))


def test_the_table_has_a_line_for_each_figure(forecast: Forecast) -> None:
    pairs = (line.split("  ", 1) for line in forecast.table().splitlines())
    lines = {name.strip(): figure.strip() for name, figure in pairs}
    assert lines["word starts"] == "of 12 training clips"
    assert lines["memory"].endswith(("(measured)", "besides about 1 GB for PyTorch, and the clips)"))
    assert {"train clips", "left out", "vocabulary", "class 1", "updates", "time", "memory", "disk"} <= set(lines)


def test_the_time_counts_pretraining_of_random_weights_evaluations_saving_and_a_comparison(
    corpus: Path,
    base: BaseModel,
    options: OptionsMaker,
    run: tuple[TrainingOutcome, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(size_comparison, "LONGEST_S", 5.0)
    chosen = options(feature_pretrain_steps=50)
    scratch = dry_run(corpus, base=base, options=chosen, log=lambda line: None)
    assert min(scratch.training_s, scratch.pretraining_s, scratch.evaluation_s, scratch.saving_s) > 0
    parts = scratch.training_s + scratch.pretraining_s + scratch.evaluation_s + scratch.saving_s
    assert scratch.total_s == scratch.to_dict()["total_s"] == pytest.approx(parts)
    assert "feature pre-training " in scratch.table()
    trained = checkpoint_base_model(str(run[0].folder))
    smaller = dry_run(corpus, base=trained, options=replace(chosen, prune_ffn=0.5), log=lambda line: None)
    assert (smaller.feature_pretrain_steps, smaller.pretraining_s) == (0, 0.0)
    assert smaller.comparison_s == 20.0  # two lengths, each for the whole model and for the transformer
    assert "feature pre-training" not in smaller.table()


def test_more_pretraining_takes_longer_in_proportion(
    base: BaseModel, targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(module, "_now_s", lambda: clock[0])

    def pretrain(model: object, clips: object, *, steps: int, seed: int) -> None:
        clock[0] += 10.0 + steps  # ten seconds to prepare the clips

    monkeypatch.setattr(module, "pretrain_feature_encoder", pretrain)
    model = build_model(base, targets, TrainingOptions(), shortest_frames=20)
    assert measure_pretraining_s(model, ClipDataset([], base.geometry), 100) == 10 + 100
