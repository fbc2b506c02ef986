"""The transformer through CUDA graphs learns what it learns without them."""

import pytest
import torch
from transformers import Wav2Vec2Config
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices

from wav2edge_train.model.cuda_graphs import capture_encoder, covered_places, mask_hidden_states
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC


@pytest.fixture(autouse=True)
def exact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Float32 everywhere: convolutions of padded clips may otherwise be rounded in another way."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


def make_model(device: str, *, norm_first: bool = True, **fields: object) -> Wav2Vec2ForJointCTC:
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        do_stable_layer_norm=norm_first,
        conv_dim=(32,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        vocab_size=12,
        pad_token_id=11,
        num_labels=4,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
        **{"feat_extract_norm": "layer", "conv_bias": True} | fields,
    )
    return Wav2Vec2ForJointCTC(config).to(device).train()


def batch(device: str, samples: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(3, samples, dtype=torch.long)
    mask[1, samples // 2 :] = 0
    values = torch.randn(3, samples, generator=generator) * mask
    labels = torch.randint(1, 10, (3, 5), generator=generator)
    made = {"input_values": values, "attention_mask": mask, "labels": labels, "class_labels": torch.tensor([0, 1, 2])}
    return {name: part.to(device) for name, part in made.items()}


def gradients(model: Wav2Vec2ForJointCTC, batches: list[dict[str, torch.Tensor]]) -> tuple[list[float], torch.Tensor]:
    """Losses, and the gradients of all weights after them."""
    model.zero_grad()
    losses = []
    for each in batches:
        loss = model(**each).loss
        loss.backward()
        losses.append(float(loss.detach()))
    parts = [weights.grad.flatten() for weights in model.parameters() if weights.grad is not None]
    return losses, torch.cat(parts).clone()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("norm_first", [True, False])
def test_losses_and_gradients_are_those_without_capture(device: str, norm_first: bool) -> None:
    plain, captured = (make_model(device, norm_first=norm_first) for _ in range(2))
    capture_encoder(captured)
    for samples, seed in ((9_000, 0), (12_000, 1), (9_000, 2), (8_200, 3)):  # shapes come back, and share one
        one = [batch(device, samples, seed)]
        (expected, wanted), (losses, found) = gradients(plain, one), gradients(captured, one)
        assert losses == pytest.approx(expected, rel=1e-5)
        assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "fields", [{"feat_extract_norm": "group", "conv_bias": False}, {"add_adapter": True}], ids=["group norm", "adapter"]
)
def test_other_kinds_learn_the_same(device: str, fields: dict[str, object]) -> None:
    plain, captured = (make_model(device, **fields) for _ in range(2))
    capture_encoder(captured)
    for samples, seed in ((30_000, 0), (33_000, 1), (30_000, 2)):
        one = [batch(device, samples, seed)]
        (expected, wanted), (losses, found) = gradients(plain, one), gradients(captured, one)
        assert losses == pytest.approx(expected, rel=1e-5)
        assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("device", DEVICES)
def test_convolutions_stay_frozen_until_they_thaw(device: str) -> None:
    plain, captured = make_model(device), make_model(device)
    capture_encoder(captured)
    for trained in (False, True):
        for model in (plain, captured):
            for weights in model.backbone.feature_extractor.parameters():
                weights.requires_grad_(trained)
        for seed in (0, 1):
            one = [batch(device, 9_000, seed)]
            (_, wanted), (_, found) = gradients(plain, one), gradients(captured, one)
            assert len(found) == len(wanted)
            assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("device", DEVICES)
def test_gradients_of_several_batches_add_up(device: str) -> None:
    plain, captured = make_model(device), make_model(device)
    capture_encoder(captured)
    batches = [batch(device, samples, seed) for samples, seed in ((9_000, 0), (12_000, 1), (9_000, 2))]
    (_, wanted), (_, found) = gradients(plain, batches), gradients(captured, batches)
    assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("device", DEVICES)
def test_an_output_may_outlive_its_batch(device: str) -> None:
    plain, captured = make_model(device), make_model(device)
    capture_encoder(captured)
    kept: list[torch.Tensor] = []
    captured.dropout.register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0]))
    for samples in (9_000, 12_000, 15_000):
        one = [batch(device, samples, samples)]
        (_, wanted), (_, found) = gradients(plain, one), gradients(captured, one)
        assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))
    assert len(kept) == 3


@pytest.mark.parametrize("device", DEVICES)
def test_evaluation_is_the_library_s(device: str) -> None:
    plain, captured = make_model(device).eval(), make_model(device)
    capture_encoder(captured)
    given = {name: part for name, part in batch(device, 9_000, 0).items() if "labels" not in name}
    with torch.inference_mode():
        assert torch.equal(captured.eval()(**given).logits, plain(**given).logits)


@pytest.mark.parametrize("frames", [30, 90])
def test_as_many_places_are_covered_as_the_library_masks(frames: int) -> None:
    torch.manual_seed(0)
    counts = torch.tensor([frames, frames // 2] * 500)
    covered = covered_places(counts, frames, 0.05, 5, 2)
    inside = torch.arange(frames) < counts[:, None]
    masked = _compute_mask_indices((1_000, frames), 0.05, 5, inside.long(), 2)
    assert not bool((covered & ~inside).any())
    for row in (0, 1):
        assert float(covered[row::2].float().mean()) == pytest.approx(float(masked[row::2].mean()), rel=0.1)


def test_spec_augment_reaches_the_last_frame_in_bfloat16() -> None:
    backbone = make_model("cpu").wav2vec2
    backbone.config.apply_spec_augment = True
    backbone.config.mask_time_prob, backbone.config.mask_time_length = 0.9, 1
    torch.manual_seed(0)
    masked = mask_hidden_states(backbone, torch.zeros(32, 257, 64, dtype=torch.bfloat16))
    assert masked[:, -1].any()
