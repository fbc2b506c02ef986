"""The parts of the batched flavour, each against what somebody else wrote."""

import pytest
import torch
from torch import nn
from transformers import (
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
)

from tests.export.tiny_checkpoints import LAYER_NORM, SHAPE, sharpen
from wav2edge.errors import CheckpointError
from wav2edge_export.rewrite import rewrite
from wav2edge_export.rewrite.convolutions.feature_encoder import ChannelNorm
from wav2edge_export.rewrite.padded_batches import PaddedBatchModel
from wav2edge_train.checkpoint.families.framing import frame_counts, inside
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

LENGTHS = (16_000, 400, 9_123, 719, 720, 12_345)


def model_of(head, configuration, **options):
    torch.manual_seed(0)
    model = head(configuration(**{**SHAPE, **options})).eval()
    sharpen(model)
    with torch.no_grad():
        for parameter in model.parameters():  # fresh norms are the identity and would hide a mistake
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def padded_batch(lengths, padding):
    """Noise of many loudnesses, what is padding filled with a value that must not matter, and the mask."""
    clips = torch.randn(len(lengths), max(lengths)) * torch.linspace(0.1, 3, len(lengths))[:, None]
    mask = inside(torch.tensor(lengths), max(lengths)).to(torch.long)
    return clips.masked_fill(mask == 0, padding), mask


def test_frames_are_counted_as_transformers_counts_them():
    model = model_of(Wav2Vec2ForCTC, Wav2Vec2Config)
    samples = torch.arange(400, 5_000)
    expected = model._get_feat_extract_output_lengths(samples)
    assert torch.equal(frame_counts(samples, 400, 320), expected)


def test_a_clip_of_padding_alone_counts_one_frame():
    assert frame_counts(torch.tensor([0, 1, 399]), 400, 320).tolist() == [1, 1, 1]


@torch.no_grad()
def test_the_channel_norm_of_padded_clips_is_pytorchs_group_norm_of_each_alone():
    norm = nn.GroupNorm(6, 6)
    norm.weight.uniform_(0.5, 2)
    norm.bias.uniform_(-1, 1)
    counts = (700, 2, 513, 512)
    frames = 3 + torch.randn(4, 700, 6) * torch.tensor([1.0, 10.0, 0.01, 100.0])[:, None, None]
    normed = ChannelNorm(norm)(frames, inside(torch.tensor(counts), 700)[:, :, None].float())
    for row, count in enumerate(counts):
        alone = norm(frames[row : row + 1, :count].transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(normed[row : row + 1, :count], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("padding", [0.0, 50.0])
@pytest.mark.parametrize("operators", ["standard", "fused", "gpu"])
@pytest.mark.parametrize(
    ("head", "configuration", "options"),
    [
        (Wav2Vec2ForJointCTC, Wav2Vec2Config, {}),  # group norm, where transformers shows the encoder no mask
        (Wav2Vec2ForJointCTC, Wav2Vec2Config, {**LAYER_NORM, "joint_heads": ("classification",)}),
        (Wav2Vec2ForSequenceClassification, Wav2Vec2Config, {"use_weighted_layer_sum": True}),
        (HubertForSequenceClassification, HubertConfig, {**LAYER_NORM, "use_weighted_layer_sum": True}),
    ],
    ids=["joint group norm", "joint one head", "wav2vec2 layer sum", "hubert layer sum"],
)
@torch.no_grad()
def test_clips_in_a_padded_batch_agree_with_the_original_on_each_alone(
    head, configuration, options, operators, padding
):
    original = model_of(head, configuration, **options)
    clips, mask = padded_batch(LENGTHS, padding)
    found = PaddedBatchModel(rewrite(original, operators=operators).model)(clips, mask)
    for row, length in enumerate(LENGTHS):
        alone = original(clips[row : row + 1, :length])
        for name, values in found.items():
            expected = alone[name][0]
            own = values[row][: len(expected)] if expected.dim() == 2 else values[row]
            assert (own - expected).abs().max() < 1e-4 * max(1, expected.abs().max()), (name, length)


def test_a_group_norm_that_could_not_be_replaced_is_refused_for_padded_batches():
    original = model_of(Wav2Vec2ForCTC, Wav2Vec2Config)
    original.wav2vec2.feature_extractor.conv_layers[0].conv.padding = (3,)
    with pytest.raises(CheckpointError, match="export without --batched"):
        PaddedBatchModel(rewrite(original).model)


@torch.no_grad()
def test_a_feature_encoder_without_norm_over_time_may_stay_as_it_was():
    original = model_of(Wav2Vec2ForCTC, Wav2Vec2Config, **LAYER_NORM)
    original.wav2vec2.feature_extractor.register_forward_hook(lambda module, inputs, output: output * 2)
    clips, mask = padded_batch(LENGTHS, 0.0)
    found = PaddedBatchModel(rewrite(original).model)(clips, mask)["logits"]
    alone = original(clips[2:3, : LENGTHS[2]]).logits[0]
    torch.testing.assert_close(found[2, : len(alone)], alone, atol=1e-4, rtol=1e-5)
