from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.errors import UsageError
from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.data.clips import ClipDataset, Example
from wav2edge_train.data.vocabulary import make_feature_extractor
from wav2edge_train.model.base_model import Base, check_size, preset_base
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.model.pruning import activation_energies, feed_forwards, prune_feed_forward, pruned_width
from wav2edge_train.training_options import TrainingOptions

ConfigMaker = Callable[..., Wav2Vec2Config]
EXTRACTOR = make_feature_extractor(layer_norm=True)


@pytest.fixture
def clips(base: Base) -> ClipDataset:
    rng = np.random.default_rng(0)
    examples = [Example(samples=rng.standard_normal(n).astype(np.float32), where="") for n in (3_000, 4_000, 6_543)]
    return ClipDataset(examples, ConvGeometry.of(base.config.conv_kernel, base.config.conv_stride))


@pytest.fixture
def model(config: ConfigMaker) -> Wav2Vec2ForJointCTC:
    torch.manual_seed(0)
    return Wav2Vec2ForJointCTC(config(num_hidden_layers=2, intermediate_size=64)).eval()


def test_units_that_lead_nowhere_go_first_and_the_answer_stays(model: Wav2Vec2ForJointCTC, clips: ClipDataset) -> None:
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


def test_transformers_loads_the_narrower_checkpoint_and_answers_the_same(
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


def test_use_is_measured_on_what_the_clips_activate(model: Wav2Vec2ForJointCTC, clips: ClipDataset) -> None:
    block = feed_forwards(model)[0]
    energies = activation_energies(model, [block], clips, EXTRACTOR)[0]
    heard: list[torch.Tensor] = []
    block.intermediate_dense.register_forward_hook(lambda module, inputs, output: heard.append(functional.gelu(output)))
    with torch.no_grad():
        for example in clips.examples:
            samples = torch.from_numpy(example.samples)
            model(((samples - samples.mean()) / samples.std(correction=0))[None])
    expected = torch.cat(heard, dim=1)[0].square().mean(dim=0)
    torch.testing.assert_close(energies, expected, atol=1e-5, rtol=1e-4)


def test_the_most_used_units_stay_in_their_order(model: Wav2Vec2ForJointCTC, clips: ClipDataset) -> None:
    block = feed_forwards(model)[1]
    energies = activation_energies(model, [block], clips, EXTRACTOR)[0]
    use = (energies.sqrt() * block.output_dense.weight.norm(dim=0)).tolist()
    kept = sorted(sorted(range(64), key=lambda unit: -use[unit])[:16])
    expected = block.intermediate_dense.weight[kept]
    prune_feed_forward(model, clips, EXTRACTOR, 0.75)
    assert torch.equal(block.intermediate_dense.weight, expected)


def test_a_model_in_training_stays_in_training_and_learns_on(model: Wav2Vec2ForJointCTC, clips: ClipDataset) -> None:
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
def test_a_share_that_takes_nothing_or_everything_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match=f"prune_ffn is {share}; of a feed-forward width of 64 that leaves"):
        pruned_width(64, share)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="it is a share"):
        TrainingOptions(prune_ffn=share)


def test_random_weights_are_not_pruned() -> None:
    with pytest.raises(UsageError, match="prune_ffn needs a trained base"):
        check_size(preset_base("tiny"), TrainingOptions(prune_ffn=0.5))
