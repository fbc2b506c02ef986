from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from transformers import Wav2Vec2Config

from wav2edge.evaluation.report import Report, make_report
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.reporting import size_comparison
from wav2edge_train.reporting.size_comparison import Comparison, compare, medians_ms

ConfigMaker = Callable[..., Wav2Vec2Config]


def report(hypothesis: str, label: str) -> Report:
    return make_report(
        labels=("0", "1"), label_pairs=[("0", label), ("1", "1")], transcription_pairs=[("a b", hypothesis)]
    )


@pytest.fixture
def compared(config: ConfigMaker) -> Comparison:
    torch.manual_seed(0)
    large, small = (Wav2Vec2ForJointCTC(config(num_hidden_layers=layers)) for layers in (4, 2))
    return compare(("large", large.train(), report("a b", "0")), ("small", small.train(), report("a c", "1")))


def test_each_row_has_size_latency_and_report(compared: Comparison, config: ConfigMaker) -> None:
    small = compared.small
    weights = sum(weights.numel() for weights in Wav2Vec2ForJointCTC(config(num_hidden_layers=2)).parameters())
    assert (small.name, small.layers, small.feed_forward_width, small.parameters) == ("small", 2, 32, weights)
    assert small.megabytes == pytest.approx(4 * weights / 1e6)
    assert set(small.whole_ms) == set(small.transformer_ms) == {1.0, 3.0}
    assert small.transformer_ms[1.0] > 0
    assert compared.ratios()["parameters"] == pytest.approx(weights / compared.large.parameters, abs=1e-4)


def test_the_table_compares_both_and_shows_the_loss_of_the_small_one(compared: Comparison) -> None:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in compared.table().splitlines()]
    rows = {row[0]: row[1:] for row in cells}
    assert rows[""] == ["large", "small", "ratio"]
    assert rows["transformer layers"] == ["4", "2", "0.50"]
    assert rows["WER"] == ["0.0000", "0.5000", "+0.5000"]
    assert rows["accuracy"] == ["1.0000", "0.5000", "-0.5000"]
    assert len({len(line) for line in compared.table().splitlines()}) == 1


def test_a_head_that_is_absent_has_no_line(compared: Comparison) -> None:
    classifier = Report(clips=1, classification=compared.small.report.classification)
    rows = [size_comparison.Measured(**{**vars(row), "report": classifier}) for row in (compared.large, compared.small)]
    table = Comparison(large=rows[0], small=rows[1]).table()
    assert "accuracy" in table
    assert "WER" not in table


def test_the_record_is_strict_json(compared: Comparison) -> None:
    record = json.loads(json.dumps(compared.to_dict(), allow_nan=False))
    assert record["small"]["report"]["wer"] == 0.5
    assert record["ratios"]["latency 1 s"] > 0
    assert record["large"]["whole_ms"]["3 s"] > 0


def test_models_alternate_after_one_warm_up_round() -> None:
    calls: list[str] = []
    found = medians_ms([lambda: calls.append("large"), lambda: calls.append("small")])
    assert calls == ["large", "small"] * (size_comparison.FEWEST_ROUNDS + 1)
    assert all(value >= 0 for value in found)
