"""Random checkpoints have the size of what they stand for, and are the same each time."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import Wav2Vec2Config, Wav2Vec2Model

from tests.export.tiny_checkpoints import SHAPE
from wav2edge.bundle import Bundle
from wav2edge.errors import UsageError
from wav2edge_export.comparison.shape import prepare_shape
from wav2edge_export.shapes import SHAPES, write_random_checkpoint

TINY = {name: SHAPE[name] for name in ("conv_dim", "hidden_size", "num_hidden_layers", "intermediate_size")}
TINY |= {"num_attention_heads": 4, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}


@pytest.mark.parametrize(("shape", "millions"), [("xlsr-53", 315.4), ("base", 94.4)])
def test_a_shape_has_as_many_parameters_as_its_model_card_says(shape, millions):
    with torch.device("meta"):
        model = Wav2Vec2Model(Wav2Vec2Config(**SHAPES[shape]))
    assert sum(each.numel() for each in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_an_unknown_shape_is_refused_with_the_names(tmp_path):
    with pytest.raises(UsageError, match="choose xlsr-53, base"):
        write_random_checkpoint(tmp_path / "checkpoint", "enormous")
    assert not (tmp_path / "checkpoint").exists()


def test_a_shape_becomes_a_checkpoint_once_and_a_bundle_each_time(tmp_path, monkeypatch):
    monkeypatch.setitem(SHAPES, "tiny", TINY)
    checkpoint, bundle, said = tmp_path / "checkpoint", tmp_path / "bundle", []
    prepare_shape("tiny", checkpoint=checkpoint, bundle=bundle, say=said.append)
    assert said == [f"writing {checkpoint}: tiny with random weights"]
    assert "fp32" in Bundle.open(bundle).manifest.variants
    write_random_checkpoint(tmp_path / "again", "tiny")
    first, second = (load_file(folder / "model.safetensors") for folder in (checkpoint, tmp_path / "again"))
    assert all(torch.equal(first[name], second[name]) for name in first)
