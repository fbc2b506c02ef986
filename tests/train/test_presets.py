from __future__ import annotations

import pytest

from wav2edge.errors import UsageError
from wav2edge_train.bases import build_model, preset_base
from wav2edge_train.clips import Targets
from wav2edge_train.options import TrainingOptions
from wav2edge_train.presets import PRESETS


@pytest.mark.parametrize(("name", "most_parameters"), [("tiny", 500_000), ("small", 1_500_000), ("medium", 21_000_000)])
def test_presets_are_small_and_nearly_all_their_weights_are_matrices(
    name: str, most_parameters: int, targets: Targets
) -> None:
    options = TrainingOptions.of(PRESETS[name].training)
    model = build_model(preset_base(name), targets, options, shortest_frames=20)
    sizes = {key: weights.numel() for key, weights in model.named_parameters()}
    matrices = sum(weights.numel() for weights in model.parameters() if weights.dim() > 1)
    assert sum(sizes.values()) <= most_parameters
    assert matrices >= 0.96 * sum(sizes.values())  # int8 then makes the graph less than 0.4 of its size


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_frames_of_wav2vec2_and_train_every_weight(name: str, targets: Targets) -> None:
    base, options = preset_base(name), TrainingOptions.of(PRESETS[name].training)
    assert [base.geometry.frames(samples) for samples in (399, 400, 16_000)] == [0, 1, 49]
    model = build_model(base, targets, options, shortest_frames=20)
    assert all(weights.requires_grad for weights in model.parameters())
    assert base.extractor.return_attention_mask


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no preset 'huge'; choose tiny, small, medium"):
        preset_base("huge")
