import pytest
import torch
from torch import nn
from transformers import HubertConfig, Wav2Vec2Config
from transformers.models.hubert.modeling_hubert import HubertAttention
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2Attention

from wav2edge.errors import UsageError
from wav2edge_export.rewrite.attention import FusedAttention, StandardAttention, obstacle

FAMILIES = {"wav2vec2": (Wav2Vec2Config, Wav2Vec2Attention), "hubert": (HubertConfig, HubertAttention)}
FLAVOURS = {"standard": StandardAttention, "fused": FusedAttention}


def attention_of(family="wav2vec2", hidden_size=32, heads=2, implementation="sdpa"):
    configuration, attention = FAMILIES[family]
    torch.manual_seed(0)
    config = configuration(hidden_size=hidden_size, num_attention_heads=heads, attn_implementation=implementation)
    return attention(hidden_size, heads, config=config).eval()


def padding_mask(frames, kept):
    """The additive mask [batch, 1, frames, frames] that hides what lies past each clip's kept frames."""
    hidden = torch.arange(frames) >= torch.tensor(kept)[:, None]
    lowest = torch.finfo(torch.float32).min
    return (hidden[:, None, None] * lowest).expand(-1, 1, frames, frames)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("heads", [2, 4, 1])  # widths 16 and 32 and 8: only 16 scales by a power of two
@torch.no_grad()
def test_attention_gives_the_same_with_and_without_a_mask(flavour, family, implementation, heads):
    original = attention_of(family, heads=heads, implementation=implementation)
    merged = FLAVOURS[flavour](original)
    for frames in (1, 2, 49, 99):
        hidden, mask = torch.randn(2, frames, 32), padding_mask(frames, [frames, 1 + frames // 2])
        for attention_mask in (None, mask):
            expected = original(hidden, attention_mask=attention_mask)[0]
            torch.testing.assert_close(merged(hidden, attention_mask)[0], expected, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_a_mask_hides_what_it_covers():
    hidden, louder = torch.randn(1, 10, 32), torch.zeros(1, 10, 32)
    louder[:, 6:] = 5.0
    for flavour in FLAVOURS.values():
        merged = flavour(attention_of())
        quiet = merged(hidden, padding_mask(10, [6]))[0][:, :6]
        torch.testing.assert_close(merged(hidden + louder, padding_mask(10, [6]))[0][:, :6], quiet)


@torch.no_grad()
def test_standard_attention_gives_the_probabilities_that_eager_attention_gives():
    original = attention_of(implementation="eager")
    hidden = torch.randn(2, 9, 32)
    expected = original(hidden, output_attentions=True)[1]
    torch.testing.assert_close(StandardAttention(original)(hidden, output_attentions=True)[1], expected)


def test_fused_attention_refuses_to_give_probabilities_and_says_what_to_do():
    with pytest.raises(UsageError, match="operators='standard'"):
        FusedAttention(attention_of())(torch.randn(1, 9, 32), output_attentions=True)


def test_a_head_of_64_folds_its_scale_without_any_rounding():
    original = attention_of(hidden_size=128, heads=2)
    folded = StandardAttention(original).query_key_value.weight[:128]
    assert torch.equal(folded * 8, original.q_proj.weight)


def test_an_unknown_implementation_a_decoder_and_a_foreign_projection_are_obstacles():
    flash, causal, foreign = attention_of(), attention_of(), attention_of()
    flash.config._attn_implementation = "flash_attention_2"
    causal.is_causal = True
    foreign.v_proj = nn.Sequential(foreign.v_proj)
    assert obstacle(attention_of()) is None
    assert "flash_attention_2" in obstacle(flash)
    assert "causal" in obstacle(causal)
    assert "Sequential" in obstacle(foreign)
