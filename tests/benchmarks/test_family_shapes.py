"""The families at base shape: two systems in turns, and how far each is from PyTorch."""

import json

import numpy as np
import pytest

from benchmarks.records.speed.family_shapes import ROWS, error, in_turns, main, summary
from wav2edge_train.checkpoint.families.family_table import FAMILIES


class Answering:
    """The connection of a system that takes so long, and its log of what it was given."""

    def __init__(self, wall_s):
        self.wall_s, self.given = wall_s, []

    def send(self, samples):
        self.given.append(samples)

    def recv(self):
        return np.zeros((1, 1)), self.wall_s, self.wall_s / 2


def test_both_systems_run_once_a_round_and_the_first_rounds_do_not_count():
    ours, theirs = Answering(0.03), Answering(0.06)
    clip = np.array([0.0, 0.5, 1.0], np.float32)
    latency, found = in_turns({"wav2edge": ours, "optimum": theirs}, clip, 5, "1 s")
    assert set(found) == {"wav2edge", "optimum"}
    assert len(ours.given) == len(theirs.given) == 7
    assert ours.given[0] is clip
    assert abs(theirs.given[0].mean()) < 1e-6  # Optimum's graph does not normalise
    assert latency["wall"]["samples_ms"]["optimum"] == [60.0] * 5
    assert latency["processor"]["median_ms"] == {"wav2edge": 15.0, "optimum": 30.0}
    assert latency["wall"]["of_optimum"] == 0.5


def test_a_ratio_is_of_medians_and_its_quartiles_are_of_rounds():
    taken = {"wav2edge": [(0, 0), (0, 0), (1, 0), (2, 0), (9, 0)], "optimum": [(0, 0), (0, 0), (4, 0), (4, 0), (4, 0)]}
    found = summary(taken, 0)
    assert found["of_optimum"] == 0.5
    assert found["quartiles_of_rounds"] == [0.25, 0.5, 2.25]


def test_an_error_is_relative_to_the_logits():
    assert error(np.array([[3.0, 4.0]]), np.array([[3.0, 4.0]])) == 0
    assert error(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])) == pytest.approx(1)


@pytest.mark.slow
def test_a_rehearsal_writes_the_record_of_a_family(tmp_path, monkeypatch):
    thin = {"hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 96, "conv_dim": (16,) * 7}
    kind = FAMILIES["wavlm"].config
    monkeypatch.setattr(
        type(FAMILIES["wavlm"]), "config", property(lambda family: lambda **fields: kind(**{**thin, **fields}))
    )
    words = ["--output", str(tmp_path / "out"), "--result", str(tmp_path / "record.json"), "--rows", "wavlm"]
    main([*words, "--layers", "1", "--rounds", "2"])
    record = json.loads((tmp_path / "record.json").read_text())
    row = record["families"]["wavlm"]
    assert set(row["latency"]) == set(row["relative_rms_error"]) == {"1", "3"}
    assert row["relative_rms_error"]["1"]["wav2edge"] < 0.2
    assert record["environment"]["processor"]
    assert str(tmp_path) not in json.dumps(record)


def test_every_family_that_is_measured_exists_and_rows_have_names_of_their_own():
    assert {row.family for row in ROWS} <= set(FAMILIES)
    assert len({row.name for row in ROWS}) == len(ROWS)
