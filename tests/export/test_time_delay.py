"""Time-delay layers as Linears, and the statistics of padded clips, each against transformers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import Wav2Vec2Config, Wav2Vec2ForXVector, WavLMConfig, WavLMForXVector
from transformers.models.wav2vec2.modeling_wav2vec2 import TDNNLayer

from tests.export.tiny_checkpoints import LAYER_NORM, SHAPE, TIME_DELAY, sharpen
from wav2edge_export.rewrite import rewrite
from wav2edge_export.rewrite.convolutions.time_delay import RULE, StackedTimeDelay
from wav2edge_export.rewrite.padded_batches import OwnFrames, PaddedBatchModel
from wav2edge_train.checkpoint.families.framing import inside
from wav2edge_train.model.complexity import count_macs_per_s

LENGTHS = (16_000, 5_200, 9_123, 5_519)


@pytest.mark.parametrize(("kernel", "dilation"), [(5, 1), (3, 2), (3, 3), (1, 1), (1, 4), (2, 5)])
@torch.no_grad()
def test_a_layer_of_linears_is_that_of_transformers(kernel, dilation):
    torch.manual_seed(0)
    layer = TDNNLayer(Wav2Vec2Config(tdnn_dim=(12,), tdnn_kernel=(kernel,), tdnn_dilation=(dilation,))).eval()
    assert RULE.reason_to_keep(layer) is None
    for frames in (dilation * (kernel - 1) + 1, 40):
        hidden_states = torch.randn(3, frames, 12)
        torch.testing.assert_close(StackedTimeDelay(layer)(hidden_states), layer(hidden_states), atol=1e-5, rtol=1e-5)


def test_a_layer_whose_weights_are_elsewhere_stays():
    layer = TDNNLayer(Wav2Vec2Config())
    layer.kernel = nn.Bilinear(2, 2, 2)
    assert RULE.reason_to_keep(layer) == "its weights are in a Bilinear"


@torch.no_grad()
def test_the_statistics_of_padded_clips_are_pytorchs_of_each_alone():
    torch.manual_seed(0)
    counts, lost = torch.tensor([30, 16, 25]), 14
    windows = torch.randn(3, 30 - lost, 5) + 3
    found = OwnFrames(inside(counts, 30), counts).statistics(windows)
    for row, count in enumerate(counts.tolist()):
        own = windows[row, : count - lost]
        torch.testing.assert_close(found[row], torch.cat([own.mean(dim=0), own.std(dim=0)]))


@pytest.mark.parametrize(
    ("head", "configuration", "options"),
    [(Wav2Vec2ForXVector, Wav2Vec2Config, {}), (WavLMForXVector, WavLMConfig, {"use_weighted_layer_sum": True})],
)
@torch.no_grad()
def test_embeddings_of_padded_clips_are_those_of_each_alone(head, configuration, options):
    torch.manual_seed(0)
    original = head(configuration(**{**SHAPE, **TIME_DELAY, **LAYER_NORM, **options})).eval()
    sharpen(original)
    clips = torch.randn(len(LENGTHS), max(LENGTHS)) * torch.linspace(0.1, 3, len(LENGTHS))[:, None]
    mask = inside(torch.tensor(LENGTHS), max(LENGTHS)).to(torch.long)
    result = rewrite(original)
    assert (sum(site.rule == "time-delay layer" for site in result.replaced), result.unchanged) == (5, ())
    found = PaddedBatchModel(result.model)(clips.masked_fill(mask == 0, 50.0), mask)["embeddings"]
    for row, length in enumerate(LENGTHS):
        alone = original(clips[row : row + 1, :length]).embeddings[0]
        torch.testing.assert_close(found[row], alone, atol=1e-4 * float(alone.abs().max()), rtol=1e-4)


def test_time_delay_layers_are_counted_in_the_cost():
    narrow, wide = (
        count_macs_per_s(Wav2Vec2ForXVector(Wav2Vec2Config(**{**SHAPE, **TIME_DELAY, "tdnn_kernel": (kernel,) * 5})))
        for kernel in (1, 2)
    )
    frames, dims = 49, (32, 32, 32, 32, 48)
    before = (32, *dims[:-1])
    lost = (1, 2, 3, 1, 1)
    added = 0
    left = frames
    for width, width_before, dilation in zip(dims, before, lost, strict=True):
        left -= dilation
        added += width * width_before * (2 * left - frames)
    assert wide - narrow == added
