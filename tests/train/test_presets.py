from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers.utils import hub

from wav2edge.errors import CheckpointError, UsageError
from wav2edge_train.data.clips import Targets
from wav2edge_train.loop.arguments import training_arguments
from wav2edge_train.model.base_model import BaseModel, build_model, choose_base_model, preset_base_model
from wav2edge_train.model.presets import PRESETS
from wav2edge_train.training_options import TrainingOptions

FROM_RANDOM_WEIGHTS = [name for name, preset in PRESETS.items() if preset.base is None]


@pytest.mark.parametrize(("name", "most_parameters"), [("tiny", 500_000), ("small", 1_500_000), ("medium", 21_000_000)])
def test_presets_are_small_and_nearly_all_their_weights_are_matrices(
    name: str, most_parameters: int, targets: Targets
) -> None:
    options = TrainingOptions.of(PRESETS[name].training)
    model = build_model(preset_base_model(name), targets, options, shortest_frames=20)
    sizes = {key: weights.numel() for key, weights in model.named_parameters()}
    matrices = sum(weights.numel() for weights in model.parameters() if weights.dim() > 1)
    assert sum(sizes.values()) <= most_parameters
    assert matrices >= 0.96 * sum(sizes.values())  # int8 then makes the graph less than 0.4 of its size


@pytest.mark.parametrize("name", FROM_RANDOM_WEIGHTS)
def test_presets_have_the_frames_of_wav2vec2_and_train_every_weight(name: str, targets: Targets) -> None:
    base, options = preset_base_model(name), TrainingOptions.of(PRESETS[name].training)
    assert [base.geometry.frames(samples) for samples in (399, 400, 16_000)] == [0, 1, 49]
    model = build_model(base, targets, options, shortest_frames=20)
    assert all(weights.requires_grad for weights in model.parameters())
    assert base.extractor.return_attention_mask


def test_the_blocks_of_tiny_start_with_weights_that_keep_the_variance(targets: Targets) -> None:
    torch.manual_seed(0)
    options = TrainingOptions.of(PRESETS["tiny"].training)
    model = build_model(preset_base_model("tiny"), targets, options, shortest_frames=20)
    normalised = torch.randn(1_000, model.config.hidden_size)  # as after a layer norm
    for layer in model.wav2vec2.encoder.layers:
        for linear in (layer.attention.q_proj, layer.attention.v_proj, layer.feed_forward.intermediate_dense):
            assert float(linear(normalised).detach().var()) == pytest.approx(1.0, abs=0.25)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no preset 'huge'; choose tiny, small, medium"):
        preset_base_model("huge")


CARD = {
    "learning_rate": 0.0003,
    "per_device_train_batch_size": 8,
    "per_device_eval_batch_size": 8,
    "seed": 42,
    "gradient_accumulation_steps": 2,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "weight_decay": 0.0,
    "lr_scheduler_type": "linear",
    "warmup_steps": 200,
    "max_steps": 1_680,
    "eval_steps": 100,
}
"""The reference card under the Trainer's names; its 70 epochs had 24 updates each."""


def test_the_recipe_of_the_reference_run_has_its_hyper_parameters(
    base: BaseModel, targets: Targets, tmp_path: Path
) -> None:
    recipe = PRESETS["syllable-onset4"]
    options = TrainingOptions.of(recipe.training)
    arguments = training_arguments(tmp_path, base, targets, options, "fp32")
    assert {name: getattr(arguments, name) for name in CARD} == CARD
    assert CARD["max_steps"] == 70 * (388 // 16)
    assert (recipe.base, options.precision) == ("facebook/wav2vec2-large-xlsr-53", "fp16")


def test_a_recipe_starts_from_a_local_copy_of_its_base(base: BaseModel, tmp_path: Path) -> None:
    base.config.save_pretrained(tmp_path)
    assert choose_base_model("syllable-onset4", str(tmp_path)).weights == str(tmp_path)


def test_without_a_network_the_recipe_s_base_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="check the folder, or Hub name and network") as caught:
        preset_base_model("syllable-onset4")
    assert "\n" not in str(caught.value)
