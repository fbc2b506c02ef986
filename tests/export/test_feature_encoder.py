import pytest
import torch
from torch import nn
from transformers import HubertConfig, Wav2Vec2Config
from transformers.models.hubert.modeling_hubert import HubertFeatureEncoder
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder, Wav2Vec2NoLayerNormConvLayer

from wav2edge_export.rewrite.convolutions.feature_encoder import (
    ChannelNorm,
    StackedConvolution,
    StackedFeatureEncoder,
    obstacle,
)

pytestmark = pytest.mark.usefixtures("one_thread")

SAMPLES = (400, 401, 719, 720, 16_000, 16_319, 31_999)
FAMILIES = {"wav2vec2": (Wav2Vec2Config, Wav2Vec2FeatureEncoder), "hubert": (HubertConfig, HubertFeatureEncoder)}


def encoder_of(family="wav2vec2", **options):
    configuration, encoder = FAMILIES[family]
    torch.manual_seed(0)
    original = encoder(configuration(conv_dim=(16,) * 7, **options)).eval()
    with torch.no_grad():
        for parameter in original.parameters():  # a fresh norm is the identity and would hide a mistake
            parameter.add_(0.2 * torch.randn_like(parameter))
    return original


def relative_error(found, expected):
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("norm", ["layer", "group"])
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_the_feature_encoder_gives_the_same_when_samples_do_not_fill_a_window(family, norm, bias):
    original = encoder_of(family, feat_extract_norm=norm, conv_bias=bias)
    stacked = StackedFeatureEncoder(original)
    for samples in SAMPLES:
        clips = torch.randn(2, samples)
        assert relative_error(stacked(clips), original(clips)) < 1e-5, samples


@pytest.mark.parametrize(
    ("kernel", "stride"), [(10, 5), (3, 2), (2, 2), (4, 4), (4, 2), (6, 4), (7, 3), (9, 2), (1, 1), (3, 1), (2, 3)]
)
@torch.no_grad()
def test_any_kernel_and_stride_gives_the_convolution_at_every_length(kernel, stride):
    layer = Wav2Vec2NoLayerNormConvLayer(Wav2Vec2Config(conv_dim=(6,), conv_kernel=(kernel,), conv_stride=(stride,)))
    layer.conv = nn.Conv1d(5, 6, kernel, stride)
    stacked = StackedConvolution(layer)
    for frames in range(kernel, kernel + 4 * stride + 1):
        clip = torch.randn(2, 5, frames)
        expected = nn.functional.gelu(layer.conv(clip)).transpose(1, 2)
        torch.testing.assert_close(stacked(clip.transpose(1, 2)), expected, atol=1e-6, rtol=1e-5)


def test_a_kernel_as_wide_as_its_stride_stacks_without_copying():
    layer = Wav2Vec2NoLayerNormConvLayer(Wav2Vec2Config(conv_dim=(6,), conv_kernel=(2,), conv_stride=(2,)))
    frames = torch.randn(1, 8, 1)
    windows = StackedConvolution(layer).windows(frames)
    assert windows.shape == (1, 4, 2)
    assert windows.data_ptr() == frames.data_ptr()


@torch.no_grad()
def test_a_channel_that_passes_what_a_clip_hardly_holds_is_normalised_as_exactly_as_the_others():
    original = encoder_of(feat_extract_norm="group").conv_layers[0]
    original.conv.weight[0] = 10 * torch.tensor(
        [1.0, -4.0, 6.0, -4.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    )  # the top of the band
    stacked = StackedConvolution(original)
    assert stacked.normalized is not None
    time_s = torch.arange(32_000, dtype=torch.float64) / 16_000
    clip = torch.sin(2 * torch.pi * 200 * time_s) + 1e-3 * torch.sin(2 * torch.pi * 6_000 * time_s)
    found = stacked(clip.float()[None, :, None])[0].T.double()
    expected = original.double()(clip[None, None])[0]
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


@torch.no_grad()
def test_the_channel_norm_holds_when_a_mean_is_large_compared_with_its_deviation():
    norm = nn.GroupNorm(4, 4)
    frames = 1000 + torch.randn(2, 300, 4)
    expected = nn.GroupNorm(4, 4).double()(frames.double().transpose(1, 2)).transpose(1, 2)
    assert relative_error(ChannelNorm(norm)(frames), expected) < 1e-4


def test_frames_stay_contiguous_in_time_so_that_the_callers_transpose_is_free():
    features = StackedFeatureEncoder(encoder_of())(torch.randn(2, 800))
    assert features.transpose(1, 2).is_contiguous()


def test_an_unknown_layer_or_convolution_is_an_obstacle():
    foreign, padded = encoder_of(), encoder_of()
    foreign.conv_layers[3] = nn.Sequential(foreign.conv_layers[3])
    padded.conv_layers[0].conv.padding = (3,)
    assert obstacle(encoder_of()) is None
    assert "Sequential" in obstacle(foreign)
    assert "padding" in obstacle(padded)
