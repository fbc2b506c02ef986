"""Random checkpoints have the size of the published models, and are reproducible."""

import subprocess

import pytest
import torch
from safetensors.torch import load_file
from transformers import Wav2Vec2Config, Wav2Vec2Model

from tests.export.tiny_checkpoints import SHAPE
from wav2edge.errors import UsageError, Wav2EdgeError
from wav2edge_compare.shapes.random_bundle import prepare_shape
from wav2edge_compare.shapes.random_checkpoint import SHAPES, write_random_checkpoint
from wav2edge_train.checkpoint.loading import load_checkpoint

TINY = {name: SHAPE[name] for name in ("conv_dim", "hidden_size", "num_hidden_layers", "intermediate_size")}
TINY |= {"num_attention_heads": 4, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}


@pytest.mark.parametrize(("shape", "millions"), [("xlsr-53", 315.4), ("base", 94.4)])
def test_a_shape_has_the_parameter_count_of_its_model_card(shape, millions):
    with torch.device("meta"):
        model = Wav2Vec2Model(Wav2Vec2Config(**SHAPES[shape]))
    assert sum(each.numel() for each in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_an_unknown_shape_is_refused_with_the_names(tmp_path):
    with pytest.raises(UsageError, match="choose xlsr-53, base"):
        write_random_checkpoint(tmp_path / "checkpoint", "enormous")
    assert not (tmp_path / "checkpoint").exists()


def test_a_shape_is_written_once_and_exported_each_time(tmp_path, monkeypatch):
    monkeypatch.setitem(SHAPES, "tiny", TINY)
    checkpoint, bundle, lines, commands = tmp_path / "checkpoint", tmp_path / "bundle", [], []

    def run(command, **options):
        commands.append(command[1:])
        return subprocess.CompletedProcess(command, returncode=1)  # a variant was refused; the bundle was written

    monkeypatch.setattr("wav2edge_compare.shapes.random_bundle.subprocess.run", run)
    for _ in range(2):
        prepare_shape("tiny", checkpoint=checkpoint, bundle=bundle, log=lines.append)
    assert lines == [f"writing {checkpoint}: tiny with random weights"]
    words = ["export", str(checkpoint), "--output", str(bundle), "--precision", "int8,fp32"]
    assert commands == [["-m", "wav2edge", *words]] * 2
    assert load_checkpoint(checkpoint).heads.names == ("ctc", "classification")


def test_an_export_that_leaves_no_bundle_ends_the_comparison(tmp_path, monkeypatch):
    monkeypatch.setitem(SHAPES, "tiny", TINY)
    failed = subprocess.CompletedProcess([], returncode=3)
    monkeypatch.setattr("wav2edge_compare.shapes.random_bundle.subprocess.run", lambda command, **options: failed)
    with pytest.raises(Wav2EdgeError, match="cannot be exported"):
        prepare_shape("tiny", checkpoint=tmp_path / "checkpoint", bundle=tmp_path / "bundle", log=lambda line: None)


def test_random_weights_are_reproducible(tmp_path, monkeypatch):
    monkeypatch.setitem(SHAPES, "tiny", TINY)
    for name in ("one", "other"):
        write_random_checkpoint(tmp_path / name, "tiny")
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "other"))
    assert all(torch.equal(first[name], second[name]) for name in first)
