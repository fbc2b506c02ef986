from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import Wav2Vec2Config

from wav2edge.errors import UsageError
from wav2edge_train.data.clips import Targets
from wav2edge_train.data.vocabulary import make_feature_extractor
from wav2edge_train.loop import trainer
from wav2edge_train.loop.saved_checkpoints import CHECKPOINTS, saved_checkpoints
from wav2edge_train.model.base_model import BaseModel, build_model
from wav2edge_train.model.freezing import Freezing, frozen_parts
from wav2edge_train.training import train
from wav2edge_train.training_options import TrainingOptions

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

OptionsMaker = Callable[..., TrainingOptions]
CONVOLUTIONS = "wav2vec2.feature_extractor"
LOWEST = "wav2vec2.encoder.layers.0."
BELOW = ("wav2vec2.feature_projection", "wav2vec2.encoder.pos_conv_embed")


@pytest.fixture
def two_layers(config: Callable[..., Wav2Vec2Config]) -> BaseModel:
    return BaseModel(name="thin", config=config(num_hidden_layers=2), extractor=make_feature_extractor(layer_norm=True))


def trained(model: torch.nn.Module) -> set[str]:
    return {name for name, weights in model.named_parameters() if weights.requires_grad}


def test_freezing_layers_freezes_everything_below_them(
    two_layers: BaseModel, targets: Targets, options: OptionsMaker
) -> None:
    model = build_model(two_layers, targets, options(freeze_feature_encoder=True, freeze_layers=1), shortest_frames=9)
    names = {name for name, _ in model.named_parameters()}
    frozen = {name for name in names if name.startswith((CONVOLUTIONS, LOWEST, *BELOW))}
    assert trained(model) == names - frozen
    assert all(any(name.startswith(part) for name in frozen) for part in (CONVOLUTIONS, LOWEST, *BELOW))


def test_more_layers_than_the_model_has_cannot_be_frozen(
    two_layers: BaseModel, targets: Targets, options: OptionsMaker
) -> None:
    with pytest.raises(UsageError, match="freeze_layers is 3; the model has 2 layers"):
        build_model(two_layers, targets, options(freeze_layers=3), shortest_frames=9)


def weights_after(corpus: Path, output: Path, base: BaseModel, chosen: TrainingOptions) -> dict[str, torch.Tensor]:
    outcome = train(corpus, output, base=base, options=chosen, log=lambda line: None)
    weights: dict[str, torch.Tensor] = load_file(outcome.folder / "model.safetensors")
    return weights


def test_each_part_is_unfrozen_at_its_update_and_not_before(
    corpus: Path,
    two_layers: BaseModel,
    targets: Targets,
    options: OptionsMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer, "keep_only", lambda *_: None)  # the checkpoint of every update is looked at
    chosen = options(
        max_steps=4,
        eval_steps=1,
        keep="last",
        freeze_feature_encoder=True,
        freeze_layers=1,
        unfreeze_layers_after=2,
        unfreeze_feature_encoder_after=3,
    )
    weights_after(corpus, tmp_path / "run", two_layers, chosen)
    saved = saved_checkpoints(tmp_path / "run" / CHECKPOINTS)
    assert list(saved) == [1, 2, 3, 4]
    runs = [load_file(folder / "model.safetensors") for folder in saved.values()]

    def moved(prefix: str) -> list[bool]:
        name = next(name for name in runs[0] if name.startswith(prefix) and name.endswith("weight"))
        return [not torch.equal(earlier[name], later[name]) for earlier, later in itertools.pairwise(runs)]

    assert moved("lm_head") == [True, True, True]
    assert moved(LOWEST) == moved(BELOW[0]) == [False, True, True]
    assert moved(CONVOLUTIONS) == [False, False, True]


def test_a_part_that_stays_frozen_is_left_out_of_the_optimizer(
    two_layers: BaseModel, targets: Targets, options: OptionsMaker
) -> None:
    chosen = options(freeze_feature_encoder=True, freeze_layers=1, unfreeze_layers_after=2)
    model = build_model(two_layers, targets, chosen, shortest_frames=9)
    Freezing(frozen_parts(model, chosen))
    found = trained(model)
    assert not any(name.startswith(CONVOLUTIONS) for name in found)
    assert any(name.startswith(LOWEST) for name in found)


@pytest.mark.slow
def test_gradient_checkpointing_changes_memory_and_not_the_weights(
    corpus: Path, two_layers: BaseModel, options: OptionsMaker, tmp_path: Path
) -> None:
    plain, recomputed = (
        weights_after(
            corpus,
            tmp_path / str(checkpointing),
            two_layers,
            options(max_steps=2, freeze_feature_encoder=True, gradient_checkpointing=checkpointing),
        )
        for checkpointing in (False, True)
    )
    for name, weights in plain.items():
        assert torch.equal(recomputed[name], weights), name
