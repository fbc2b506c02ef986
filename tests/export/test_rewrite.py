import copy
import dataclasses

import pytest
import torch
from torch import nn
from transformers import (
    HubertConfig,
    HubertForCTC,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
)
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2Attention

from wav2edge.errors import CheckpointError, UsageError
from wav2edge_export.export_options import OPERATORS
from wav2edge_export.rewrite import OPERATORS as REWRITTEN
from wav2edge_export.rewrite import Replaced, Unchanged, rewrite
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

pytestmark = pytest.mark.usefixtures("one_thread")

SAMPLES = (400, 401, 719, 720, 16_000, 16_319, 31_999)
TINY = {
    "vocab_size": 12,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 16,
    "num_labels": 3,
}
XLSR = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
BASE = {"feat_extract_norm": "group", "conv_bias": False, "do_stable_layer_norm": False}
HEADS = (
    (Wav2Vec2ForCTC, Wav2Vec2Config),
    (Wav2Vec2ForSequenceClassification, Wav2Vec2Config),
    (HubertForCTC, HubertConfig),
    (HubertForSequenceClassification, HubertConfig),
)


def model_of(head=Wav2Vec2ForCTC, configuration=Wav2Vec2Config, **options):
    torch.manual_seed(0)
    model = head(configuration(**{**TINY, **XLSR, **options})).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # fresh norms and biases are the identity and would hide a mistake
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def relative_error(found, expected):
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(("head", "configuration"), HEADS)
@pytest.mark.parametrize("shape", [XLSR, BASE], ids=["xlsr", "base"])
@pytest.mark.parametrize("operators", ["standard", "fused"])
@torch.no_grad()
def test_a_rewritten_model_agrees_with_the_original_at_every_length(head, configuration, shape, operators):
    original = model_of(head, configuration, **shape)
    rewritten = rewrite(original, operators=operators).model
    for samples in SAMPLES:
        clips = torch.randn(2, samples)
        assert relative_error(rewritten(clips).logits, original(clips).logits) < 1e-5, samples


@pytest.mark.parametrize("operators", ["standard", "fused"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@torch.no_grad()
def test_a_rewritten_model_hears_the_attention_mask(operators, implementation):
    original = model_of(attn_implementation=implementation)
    rewritten = rewrite(original, operators=operators).model
    clips, mask = torch.randn(2, 16_000), torch.ones(2, 16_000, dtype=torch.long)
    mask[1, 7_000:] = 0
    masked = rewritten(clips, attention_mask=mask).logits
    assert relative_error(masked, original(clips, attention_mask=mask).logits) < 1e-5
    assert relative_error(masked[1:], rewritten(clips).logits[1:]) > 1e-3


@pytest.mark.parametrize("shape", [XLSR, BASE], ids=["xlsr", "base"])
@torch.no_grad()
def test_the_joint_model_is_rewritten_whole_though_its_feature_encoder_trains_in_its_own_way(shape):
    original = model_of(Wav2Vec2ForJointCTC, **shape)
    result = rewrite(original)
    clips = torch.randn(2, 16_319)
    found, expected = result.model(clips), original(clips)
    assert relative_error(found.logits, expected.logits) < 1e-5
    assert relative_error(found.class_logits, expected.class_logits) < 1e-5
    assert result.unchanged == ()
    assert result.replaced[0].path == "wav2vec2.feature_extractor"


def test_the_given_model_is_never_changed():
    original = model_of().train()
    before = copy.deepcopy(original.state_dict())
    rewritten = rewrite(original).model
    assert original.training
    assert not rewritten.training
    assert all(torch.equal(before[name], value) for name, value in original.state_dict().items())
    assert all(parameter.requires_grad for parameter in original.parameters())
    assert isinstance(original.wav2vec2.encoder.layers[0].attention, Wav2Vec2Attention)
    theirs = {parameter.data_ptr() for parameter in original.parameters()}
    assert theirs.isdisjoint(parameter.data_ptr() for parameter in rewritten.parameters())


def test_the_report_names_every_replacement():
    result = rewrite(model_of())
    assert result.replaced == (
        Replaced(rule="feature encoder", path="wav2vec2.feature_extractor"),
        Replaced(rule="positional convolution", path="wav2vec2.encoder.pos_conv_embed"),
        Replaced(rule="attention", path="wav2vec2.encoder.layers.0.attention"),
        Replaced(rule="attention", path="wav2vec2.encoder.layers.1.attention"),
    )
    assert result.unchanged == ()
    assert result.summary.splitlines()[-1] == "attention: 2 replaced"
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.unchanged = ()


@torch.no_grad()
def test_an_adapter_is_rewritten_too():
    original = model_of(add_adapter=True, num_adapter_layers=2)
    result = rewrite(original)
    clips = torch.randn(2, 16_000)
    assert relative_error(result.model(clips).logits, original(clips).logits) < 1e-5
    assert result.replaced[-1] == Replaced(rule="adapter", path="wav2vec2.adapter")
    assert result.unchanged == ()


@torch.no_grad()
def test_a_convolution_that_no_rule_knows_is_kept_and_the_report_says_so():
    original = model_of()
    original.dropout = nn.Sequential(nn.Conv1d(4, 4, 1))
    reason = "no rule replaces this convolution"
    assert rewrite(original).unchanged == (Unchanged(rule="convolution", path="dropout.0", reason=reason),)


@torch.no_grad()
def test_the_adapters_of_massively_multilingual_speech_are_linear_and_need_nothing():
    original = model_of(adapter_attn_dim=8)
    result = rewrite(original)
    clips = torch.randn(2, 5_000)
    assert relative_error(result.model(clips).logits, original(clips).logits) < 1e-5
    assert result.unchanged == ()


@torch.no_grad()
def test_an_attention_it_does_not_know_stays_as_it_was():
    class Shifted(Wav2Vec2Attention):
        def forward(self, hidden_states, **options):
            context, *rest = super().forward(hidden_states, **options)
            return context + 1, *rest

    original = model_of()
    original.wav2vec2.encoder.layers[1].attention.__class__ = Shifted
    result = rewrite(original)
    clips = torch.randn(1, 5_000)
    assert relative_error(result.model(clips).logits, original(clips).logits) < 1e-5
    assert [(site.path, site.reason) for site in result.unchanged] == [
        ("wav2vec2.encoder.layers.1.attention", "Shifted is a subclass and may compute something else")
    ]


def test_an_attention_implementation_it_does_not_know_keeps_every_attention():
    original = model_of()
    original.config._attn_implementation_internal = "flash_attention_2"
    result = rewrite(original)
    assert {site.rule for site in result.replaced} == {"feature encoder", "positional convolution"}
    assert [site.rule for site in result.unchanged] == ["attention", "attention"]
    assert "flash_attention_2" in result.summary


@torch.no_grad()
def test_a_hooked_module_keeps_its_hook():
    original = model_of()
    original.wav2vec2.encoder.pos_conv_embed.register_forward_hook(lambda module, inputs, output: output * 2)
    result = rewrite(original)
    clips = torch.randn(1, 5_000)
    assert relative_error(result.model(clips).logits, original(clips).logits) < 1e-5
    assert [site.path for site in result.unchanged] == ["wav2vec2.encoder.pos_conv_embed"]


def test_a_model_of_another_family_and_unknown_operators_are_refused():
    with pytest.raises(CheckpointError, match="Linear holds no encoder of these families: wav2vec2, hubert, wavlm"):
        rewrite(nn.Linear(2, 2))
    with pytest.raises(UsageError, match="standard, fused"):
        rewrite(model_of(), operators="quick")


def test_every_choice_of_operators_has_its_rules():
    assert set(OPERATORS) == set(REWRITTEN)
