"""Students on real speech: the layers they start from, their record, and smaller checkpoints."""

import json

import pytest
import torch
from transformers import Wav2Vec2Config

from benchmarks.records.accuracy import distilled_students
from benchmarks.records.accuracy.distilled_students import differences, shrink
from benchmarks.records.command_recorder import CommandRecorder
from tests.runtime.tiny_bundle import write_bundle
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

WORD_ERRORS = {"first": 0.3, "even": 0.2}


@pytest.fixture
def commands(monkeypatch):
    """The commands; `distill` writes a comparison, `export` a bundle, `evaluate` prints a report."""
    run_commands = []

    def run(self, *words, accepted=(0,)):
        run_commands.append(list(map(str, words)))
        if words[0] == "evaluate":
            return json.dumps({"wer": 0.25 if "student" in str(words[1]) else 0.2, "accuracy": 0.9})
        folder = words[words.index("--output") + 1]
        if words[0] == "export":
            write_bundle(folder)
            return ""
        report = {"wer": WORD_ERRORS[words[words.index("--layers-from") + 1]], "accuracy": 0.9}
        folder.mkdir(parents=True)
        (folder / "comparison.json").write_text(json.dumps({"small": {"report": report}}))
        return ""

    monkeypatch.setattr(CommandRecorder, "run", run)
    monkeypatch.setattr(distilled_students, "write_random_checkpoint", lambda folder, shape: folder.mkdir())
    monkeypatch.setattr(distilled_students, "shrink", lambda whole, small, share: small.mkdir())
    monkeypatch.setattr(distilled_students, "DURATIONS_S", (0.1,))
    return run_commands


def run_script(folder):
    words = [str(folder / "teacher"), "data", "--output", str(folder / "out"), "--result", str(folder / "record.json")]
    distilled_students.main(words)
    return json.loads((folder / "record.json").read_text())


def test_the_best_layers_of_the_trial_are_trained_in_full_and_evaluated_on_unseen_speakers(commands, tmp_path):
    record = run_script(tmp_path)
    trained = [words for words in commands if words[0] == "distill"]
    assert [words[words.index("--layers-from") + 1] for words in trained] == ["first", "even", "even", "even"]
    assert [words[words.index("--epochs") + 1] for words in trained] == ["3", "3", "30", "45"]
    assert record["layers_from"] == "even"
    assert ["--prune-ffn" in words for words in trained] == [False, False, False, True]
    assert record["test_differences"] == {name: {"wer": 0.05, "accuracy": 0.0} for name in ("half", "narrow")}
    assert all("test" in words for words in commands if words[0] == "evaluate")
    assert set(record["int8_bundles"]["latency_ratio"]["narrow"]) == {"0.1 s"}
    assert record["shape"]["int8_bundles"]["size_ratio"] == {"half": 1.0, "narrow": 1.0}


def test_an_existing_student_is_not_trained_again(commands, tmp_path):
    run_script(tmp_path)
    commands.clear()
    assert run_script(tmp_path)["layers_from"] == "even"
    assert {words[0] for words in commands} == {"evaluate", "export"}


def test_differences_are_student_minus_teacher():
    student, teacher = {"wer": 0.135, "accuracy": 0.885}, {"wer": 0.125, "accuracy": 0.89}
    assert differences(student, teacher) == {"wer": 0.01, "accuracy": -0.005}


def test_a_smaller_checkpoint_has_every_other_layer_and_the_requested_width(tmp_path):
    config = Wav2Vec2Config(
        conv_dim=(8,) * 7,
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    whole = Wav2Vec2ForJointCTC(config)
    whole.save_pretrained(tmp_path / "whole")
    shrink(tmp_path / "whole", tmp_path / "half", 0.0)
    half = Wav2Vec2ForJointCTC.from_pretrained(tmp_path / "half")
    kept = [layer.attention.q_proj.weight for layer in half.wav2vec2.encoder.layers]
    there = [layer.attention.q_proj.weight for layer in whole.wav2vec2.encoder.layers]
    assert len(kept) == 2
    assert torch.equal(kept[0], there[0])
    assert torch.equal(kept[1], there[3])
    assert half.config.intermediate_size == 32
    shrink(tmp_path / "whole", tmp_path / "narrow", 0.5)
    narrow = Wav2Vec2ForJointCTC.from_pretrained(tmp_path / "narrow")
    units = [
        layer.feed_forward.intermediate_dense.weight
        for model in (narrow, half)
        for layer in model.wav2vec2.encoder.layers
    ]
    assert [tuple(each.shape) for each in units] == [(16, 16)] * 2 + [(32, 16)] * 2
    assert torch.equal(units[1], units[3][:16])
