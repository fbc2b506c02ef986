import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import HubertConfig, Wav2Vec2Config
from transformers.models.hubert.modeling_hubert import HubertPositionalConvEmbedding
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2PositionalConvEmbedding

from wav2edge_export.rewrite.convolutions.positional_convolution import BlockedPositionalConvolution, obstacle

pytestmark = pytest.mark.usefixtures("one_thread")

FAMILIES = {
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2PositionalConvEmbedding),
    "hubert": (HubertConfig, HubertPositionalConvEmbedding),
}


class LargestTensor(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that any operator writes."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        for tensor in output if isinstance(output, (list, tuple)) else (output,):
            self.elements = max(self.elements, tensor.numel())
        return output


def embedding_of(family="wav2vec2", hidden_size=32, kernel=128, groups=4, **options):
    configuration, embedding = FAMILIES[family]
    torch.manual_seed(0)
    shape = {"num_conv_pos_embeddings": kernel, "num_conv_pos_embedding_groups": groups}
    original = embedding(configuration(hidden_size=hidden_size, **shape, **options)).eval()
    with torch.no_grad():
        for parameter in original.parameters():  # the weight norm and the bias start at values that hide mistakes
            parameter.mul_(1 + 0.3 * torch.rand_like(parameter)).add_(0.05)
    return original


def relative_error(found, expected):
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kernel", [*range(1, 21), 127, 128])
@torch.no_grad()
def test_positions_come_out_the_same_for_even_and_odd_kernels_at_every_length(family, kernel):
    original = embedding_of(family, kernel=kernel)
    blocked = BlockedPositionalConvolution(original)
    for frames in (1, 2, 3, 15, 16, 49, 63, 64, 65, 130):
        hidden = torch.randn(2, frames, 32)
        assert relative_error(blocked(hidden), original(hidden)) < 1e-5, frames


@pytest.mark.parametrize("groups", [1, 2, 16])
@torch.no_grad()
def test_positions_come_out_the_same_for_any_number_of_groups(groups):
    original = embedding_of(groups=groups)
    hidden = torch.randn(1, 70, 32)
    assert relative_error(BlockedPositionalConvolution(original)(hidden), original(hidden)) < 1e-5


@torch.no_grad()
def test_a_long_clip_is_never_stacked_once_for_each_tap():
    frames, hidden_size, kernel = 1500, 32, 128
    blocked = BlockedPositionalConvolution(embedding_of(hidden_size=hidden_size, kernel=kernel))
    with LargestTensor() as largest:
        blocked(torch.randn(1, frames, hidden_size))
    assert largest.elements < 0.1 * frames * hidden_size * kernel


@torch.no_grad()
def test_a_short_clip_pays_only_for_the_windows_that_touch_it():
    blocked = BlockedPositionalConvolution(embedding_of(kernel=128))
    products = blocked.products(torch.randn(1, 24, 32))
    assert products.shape[1] == 24 + blocked.inner - 1
    assert blocked.inner == 16


def test_no_weight_is_stored_twice():
    original = embedding_of(kernel=128)
    blocked = BlockedPositionalConvolution(original)
    assert sum(linear.weight.numel() for linear in blocked.linears) == original.conv.weight.numel()


def test_a_batch_norm_before_the_convolution_is_an_obstacle():
    assert obstacle(embedding_of("hubert")) is None
    assert "batch norm" in obstacle(embedding_of("hubert", conv_pos_batch_norm=True))
