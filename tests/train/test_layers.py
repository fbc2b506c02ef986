from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2Model

from wav2edge.errors import UsageError
from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.data.clips import Targets
from wav2edge_train.data.vocabulary import make_feature_extractor
from wav2edge_train.model.base_model import Base, build_model, check_size, checkpoint_base, preset_base
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.model.layers import choose_layers, keep_layers
from wav2edge_train.training_options import TrainingOptions

ConfigMaker = Callable[..., Wav2Vec2Config]


@pytest.mark.parametrize(
    ("there", "wanted", "layers_from", "chosen"),
    [
        (4, 2, "first", (0, 1)),
        (4, 2, "even", (0, 3)),
        (12, 6, "even", (0, 2, 4, 7, 9, 11)),  # the layers of DistilBERT
        (24, 1, "even", (0,)),
        (3, 3, "even", (0, 1, 2)),
    ],
)
def test_layers_are_the_lowest_or_evenly_spaced(
    there: int, wanted: int, layers_from: str, chosen: tuple[int, ...]
) -> None:
    assert choose_layers(there, wanted, layers_from) == chosen


@pytest.mark.parametrize("wanted", [0, -1, 5])
def test_more_layers_than_there_are_or_none_at_all_is_one_line(config: ConfigMaker, wanted: int) -> None:
    base = Base(name="thin", config=config(num_hidden_layers=4), extractor=make_feature_extractor(layer_norm=True))
    complaint = f"encoder_layers is {wanted}; the base has 4 layers, give 1 to 4"
    with pytest.raises(UsageError, match=complaint) as caught:
        check_size(base, TrainingOptions(encoder_layers=wanted))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("layers_from", "chosen"), [("first", (0, 1)), ("even", (0, 3))])
def test_a_shallower_model_starts_from_those_layers_and_the_same_final_norm(
    config: ConfigMaker, targets: Targets, tmp_path: Path, layers_from: str, chosen: tuple[int, ...]
) -> None:
    base = Wav2Vec2Model(config(num_hidden_layers=4))
    torch.nn.init.normal_(base.encoder.layer_norm.weight)
    base.save_pretrained(tmp_path)
    options = TrainingOptions(encoder_layers=2, layers_from=layers_from)
    with quiet_transformers():
        model = build_model(checkpoint_base(str(tmp_path)), targets, options, shortest_frames=20)
    for layer, index in zip(model.wav2vec2.encoder.layers, chosen, strict=True):
        for name, weights in base.encoder.layers[index].state_dict().items():
            assert torch.equal(layer.state_dict()[name], weights), name
    assert torch.equal(model.wav2vec2.encoder.layer_norm.weight, base.encoder.layer_norm.weight)


def test_transformers_loads_the_shallower_checkpoint_and_answers_the_same(config: ConfigMaker, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Wav2Vec2ForJointCTC(config(num_hidden_layers=4)).eval()
    keep_layers(model, (0, 3))
    model.save_pretrained(tmp_path)
    with quiet_transformers():
        theirs = Wav2Vec2ForCTC.from_pretrained(tmp_path).eval()
    assert theirs.config.num_hidden_layers == len(theirs.wav2vec2.encoder.layers) == 2
    values = torch.randn(1, 4_000)
    with torch.no_grad():
        torch.testing.assert_close(theirs(values).logits, model(values).logits, atol=1e-5, rtol=1e-5)


def test_presets_can_be_shallower_too(targets: Targets) -> None:
    model = build_model(preset_base("tiny"), targets, TrainingOptions(encoder_layers=1), shortest_frames=20)
    assert len(model.wav2vec2.encoder.layers) == model.config.num_hidden_layers == 1
