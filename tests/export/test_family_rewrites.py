"""Every family's model, rewritten, gives what transformers gives: the oracle of the rules is the model they replace."""

import pytest
import torch
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioForCTC,
    SEWConfig,
    SEWDConfig,
    SEWDForCTC,
    SEWDForSequenceClassification,
    SEWForCTC,
    UniSpeechConfig,
    UniSpeechForCTC,
    UniSpeechSatConfig,
    UniSpeechSatForCTC,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    Wav2Vec2ConformerForCTC,
    Wav2Vec2ForCTC,
    WavLMConfig,
    WavLMForCTC,
    WavLMForSequenceClassification,
)

from tests.export.tiny_checkpoints import LAYER_NORM, SHAPE, SQUEEZED
from wav2edge.errors import CheckpointError, UsageError
from wav2edge_export.rewrite import rewrite
from wav2edge_export.rewrite.padded_batches import PaddedBatchModel
from wav2edge_export.rewrite.positions.relative_positions import BiasedAttention, distances, shifted

pytestmark = pytest.mark.usefixtures("one_thread")

MODELS = {
    "wavlm": (WavLMForCTC, WavLMConfig, {"num_buckets": 16, "max_bucket_distance": 20}),
    "wavlm, norm first": (WavLMForCTC, WavLMConfig, {**LAYER_NORM, "num_buckets": 40}),
    "wavlm, sum of layers": (WavLMForSequenceClassification, WavLMConfig, {"use_weighted_layer_sum": True}),
    "data2vec": (Data2VecAudioForCTC, Data2VecAudioConfig, {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 19}),
    "data2vec, even": (
        Data2VecAudioForCTC,
        Data2VecAudioConfig,
        {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 8},
    ),
    "unispeech": (UniSpeechForCTC, UniSpeechConfig, LAYER_NORM),
    "unispeech-sat": (UniSpeechSatForCTC, UniSpeechSatConfig, {}),
    "adapter": (Wav2Vec2ForCTC, Wav2Vec2Config, {"add_adapter": True, "output_hidden_size": 40}),
    "adapter of another stride": (
        WavLMForCTC,
        WavLMConfig,
        {"add_adapter": True, "adapter_stride": 3, "num_adapter_layers": 1},
    ),
    "relative": (Wav2Vec2ConformerForCTC, Wav2Vec2ConformerConfig, {"position_embeddings_type": "relative"}),
    "rotary": (Wav2Vec2ConformerForCTC, Wav2Vec2ConformerConfig, {"position_embeddings_type": "rotary"}),
    "no positions": (Wav2Vec2ConformerForCTC, Wav2Vec2ConformerConfig, {"position_embeddings_type": None}),
    "clipped": (
        Wav2Vec2BertForCTC,
        Wav2Vec2BertConfig,
        {"left_max_position_embeddings": 7, "right_max_position_embeddings": 3},
    ),
    "bert, relative": (Wav2Vec2BertForCTC, Wav2Vec2BertConfig, {"position_embeddings_type": "relative"}),
    "bert, adapter": (
        Wav2Vec2BertForCTC,
        Wav2Vec2BertConfig,
        {"add_adapter": True, "use_intermediate_ffn_before_adapter": True},
    ),
    "sew": (SEWForCTC, SEWConfig, SQUEEZED),
    "sew, odd": (SEWForCTC, SEWConfig, {**SQUEEZED, "squeeze_factor": 3, "num_conv_pos_embeddings": 17}),
    "sew-d": (SEWDForCTC, SEWDConfig, {**SQUEEZED, "position_buckets": 8, "max_position_embeddings": 16}),
    "sew-d, keys of its own": (
        SEWDForSequenceClassification,
        SEWDConfig,
        {
            **SQUEEZED,
            "position_buckets": -1,
            "max_position_embeddings": 16,
            "share_att_key": False,
            "use_weighted_layer_sum": True,
        },
    ),
}
FRAMES = (3, 4, 9, 40, 90)


def model_of(kind):
    """A model whose positions count: fresh ones are so small that a mistake in them would not show."""
    model_class, config_class, changes = MODELS[kind]
    torch.manual_seed(0)
    model = model_class(config_class(**{**SHAPE, **changes})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "conv" not in name:
                parameter.mul_(4)
            if "bias" in name or "const" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.add_(torch.rand_like(buffer))
    return model


def inputs_of(model, frames):
    generator = torch.Generator().manual_seed(frames)
    if model.main_input_name == "input_features":
        return torch.randn(2, frames, 160, generator=generator)
    return torch.randn(2, 400 + 320 * (frames - 1) + 7, generator=generator)


@pytest.mark.parametrize("operators", ["standard", "fused"])
@pytest.mark.parametrize("kind", MODELS)
@torch.no_grad()
def test_a_rewritten_model_of_every_family_gives_the_logits_of_the_original(kind, operators):
    original = model_of(kind)
    result = rewrite(original, operators=operators)
    assert result.unchanged == ()
    for frames in FRAMES:
        inputs = inputs_of(original, frames)
        found, expected = result.model(inputs)["logits"], original(inputs).logits
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max(), frames


@torch.no_grad()
def test_pairs_of_frames_are_read_from_columns_of_distances():
    for frames in (1, 2, 7):
        columns = distances(frames).float().expand(2, 3, frames, 2 * frames)
        expected = torch.arange(frames)[None] - torch.arange(frames)[:, None]
        assert torch.equal(shifted(columns, frames), expected.float().expand(2, 3, frames, frames))


@torch.no_grad()
def test_the_bias_of_wavlm_is_computed_by_its_first_layer_alone():
    result = rewrite(model_of("wavlm"))
    first, second = (layer.attention for layer in result.model.wavlm.encoder.layers)
    assert first.has_table
    assert not second.has_table
    _, _, bias = first(torch.randn(1, 5, SHAPE["hidden_size"]))
    assert second(torch.randn(1, 5, SHAPE["hidden_size"]), position_bias=bias)[2] is bias


@pytest.mark.parametrize("kind", ["wavlm", "rotary"])
def test_attention_with_positions_gives_no_probabilities(kind):
    modules = rewrite(model_of(kind)).model.modules()
    attention = next(module for module in modules if isinstance(module, BiasedAttention))
    with pytest.raises(UsageError, match="gives no probabilities"):
        attention(torch.randn(1, 4, SHAPE["hidden_size"]), output_attentions=True)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("data2vec", "each of its positional convolutions sees"),
        ("relative", "the convolution in each of its layers sees"),
        ("sew", "the last frames of a clip are squeezed together"),
        ("sew-d", "the last frames of a clip are squeezed together"),
        ("adapter", "its adapter sees the padding"),
    ],
)
def test_a_batch_whose_padding_would_be_heard_is_refused_with_the_reason(kind, reason):
    with pytest.raises(CheckpointError, match=f"{reason}.*export without --batched"):
        PaddedBatchModel(rewrite(model_of(kind)).model)
