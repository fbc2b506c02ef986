from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2Model

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.errors import UsageError
from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.data.clips import ClipDataset, Example, Targets
from wav2edge_train.data.vocabulary import make_feature_extractor
from wav2edge_train.model.base_model import BaseModel, build_model, check_size, checkpoint_base_model, preset_base_model
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.model.shrinking import (
    activation_energies,
    choose_layers,
    feed_forwards,
    keep_layers,
    prune_feed_forward,
    pruned_width,
)
from wav2edge_train.training_options import TrainingOptions

ConfigMaker = Callable[..., Wav2Vec2Config]
EXTRACTOR = make_feature_extractor(layer_norm=True)


@pytest.fixture
def clips(base: BaseModel) -> ClipDataset:
    rng = np.random.default_rng(0)
    examples = [Example(samples=rng.standard_normal(n).astype(np.float32), where="") for n in (3_000, 4_000, 6_543)]
    return ClipDataset(examples, ConvGeometry.of(base.config.conv_kernel, base.config.conv_stride))


@pytest.fixture
def model(config: ConfigMaker) -> Wav2Vec2ForJointCTC:
    torch.manual_seed(0)
    return Wav2Vec2ForJointCTC(config(num_hidden_layers=2, intermediate_size=64)).eval()


def test_units_without_outgoing_weights_go_first_and_the_logits_stay(
    model: Wav2Vec2ForJointCTC, clips: ClipDataset
) -> None:
    dead = {0: slice(1, 33), 1: slice(32, 64)}  # half of the units, elsewhere in each layer
    with torch.no_grad():
        for block, units in zip(feed_forwards(model), dead.values(), strict=True):
            block.output_dense.weight[:, units] = 0.0
        values = torch.randn(2, 5_000)
        before = model(values)
        prune_feed_forward(model, clips, EXTRACTOR, 0.5)
        after = model(values)
    torch.testing.assert_close(after.logits, before.logits, atol=1e-6, rtol=0)
    torch.testing.assert_close(after.class_logits, before.class_logits, atol=1e-6, rtol=0)
    assert [block.output_dense.weight.shape for block in feed_forwards(model)] == [(16, 32), (16, 32)]


def test_transformers_loads_the_narrower_checkpoint_with_the_same_logits(
    model: Wav2Vec2ForJointCTC, clips: ClipDataset, tmp_path: Path
) -> None:
    prune_feed_forward(model, clips, EXTRACTOR, 0.25)
    model.save_pretrained(tmp_path)
    with quiet_transformers():
        theirs = Wav2Vec2ForCTC.from_pretrained(tmp_path).eval()
    assert theirs.config.intermediate_size == model.config.intermediate_size == 48
    values = torch.randn(1, 4_000)
    with torch.no_grad():
        torch.testing.assert_close(theirs(values).logits, model(values).logits, atol=1e-5, rtol=1e-5)


def test_use_is_measured_on_the_activations_of_the_clips(model: Wav2Vec2ForJointCTC, clips: ClipDataset) -> None:
    block = feed_forwards(model)[0]
    energies = activation_energies(model, [block], clips, EXTRACTOR)[0]
    activations: list[torch.Tensor] = []
    block.intermediate_dense.register_forward_hook(
        lambda module, inputs, output: activations.append(functional.gelu(output))
    )
    with torch.no_grad():
        for example in clips.examples:
            samples = torch.from_numpy(example.samples)
            model(((samples - samples.mean()) / samples.std(correction=0))[None])
    expected = torch.cat(activations, dim=1)[0].square().mean(dim=0)
    torch.testing.assert_close(energies, expected, atol=1e-5, rtol=1e-4)


def test_the_most_used_units_stay_in_their_order(model: Wav2Vec2ForJointCTC, clips: ClipDataset) -> None:
    block = feed_forwards(model)[1]
    energies = activation_energies(model, [block], clips, EXTRACTOR)[0]
    use = (energies.sqrt() * block.output_dense.weight.norm(dim=0)).tolist()
    kept = sorted(sorted(range(64), key=lambda unit: -use[unit])[:16])
    expected = block.intermediate_dense.weight[kept]
    prune_feed_forward(model, clips, EXTRACTOR, 0.75)
    assert torch.equal(block.intermediate_dense.weight, expected)


def test_a_model_in_training_mode_stays_in_it_and_can_be_trained(
    model: Wav2Vec2ForJointCTC, clips: ClipDataset
) -> None:
    model.train()
    prune_feed_forward(model, clips, EXTRACTOR, 0.5)
    assert model.training
    model(torch.randn(1, 5_000)).logits.square().sum().backward()
    assert all(block.output_dense.weight.grad is not None for block in feed_forwards(model))


@pytest.mark.parametrize(
    ("width", "share", "left"), [(576, 0.25, 432), (576, 0.5, 288), (100, 0.3, 64), (4096, 0.1, 3680)]
)
def test_widths_are_multiples_of_sixteen(width: int, share: float, left: int) -> None:
    assert pruned_width(width, share) == left


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_share_that_removes_nothing_or_everything_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match=f"prune_ffn is {share}; of a feed-forward width of 64 that leaves"):
        pruned_width(64, share)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="it is a share"):
        TrainingOptions(prune_ffn=share)


def test_random_weights_are_not_pruned() -> None:
    with pytest.raises(UsageError, match="prune_ffn needs a trained base"):
        check_size(preset_base_model("tiny"), TrainingOptions(prune_ffn=0.5))


@pytest.mark.parametrize(
    ("available", "wanted", "layers_from", "chosen"),
    [
        (4, 2, "first", (0, 1)),
        (4, 2, "even", (0, 3)),
        (12, 6, "even", (0, 2, 4, 7, 9, 11)),  # the layers of DistilBERT
        (24, 1, "even", (0,)),
        (3, 3, "even", (0, 1, 2)),
    ],
)
def test_layers_are_the_lowest_or_evenly_spaced(
    available: int, wanted: int, layers_from: str, chosen: tuple[int, ...]
) -> None:
    assert choose_layers(available, wanted, layers_from) == chosen


@pytest.mark.parametrize("wanted", [0, -1, 5])
def test_too_many_layers_or_none_is_one_line(config: ConfigMaker, wanted: int) -> None:
    base = BaseModel(name="thin", config=config(num_hidden_layers=4), extractor=make_feature_extractor(layer_norm=True))
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
        model = build_model(checkpoint_base_model(str(tmp_path)), targets, options, shortest_frames=20)
    for layer, index in zip(model.wav2vec2.encoder.layers, chosen, strict=True):
        for name, weights in base.encoder.layers[index].state_dict().items():
            assert torch.equal(layer.state_dict()[name], weights), name
    assert torch.equal(model.wav2vec2.encoder.layer_norm.weight, base.encoder.layer_norm.weight)


def test_transformers_loads_the_shallower_checkpoint_with_the_same_logits(config: ConfigMaker, tmp_path: Path) -> None:
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
    model = build_model(preset_base_model("tiny"), targets, TrainingOptions(encoder_layers=1), shortest_frames=20)
    assert len(model.wav2vec2.encoder.layers) == model.config.num_hidden_layers == 1
