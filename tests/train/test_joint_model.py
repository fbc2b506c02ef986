from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2Model
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder

from tests.train.conftest import small_config
from wav2edge.errors import CheckpointError
from wav2edge_train.checkpoint.families.time_major import TimeMajorFeatureEncoder
from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.checkpoint.loading import load_checkpoint
from wav2edge_train.data.clips import Targets
from wav2edge_train.model.base_model import build_model, checkpoint_base_model, joint_config
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.training_options import TrainingOptions

ConfigMaker = Callable[..., Wav2Vec2Config]
LENGTHS = (9_000, 4_000, 6_543)


def padded_batch() -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Three clips, and the same three in one batch with its mask."""
    generator = torch.Generator().manual_seed(1)
    clips = [torch.randn(length, generator=generator) for length in LENGTHS]
    values = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    mask = torch.tensor([[position < length for position in range(max(LENGTHS))] for length in LENGTHS]).long()
    return clips, values, mask


@pytest.fixture
def model(config: ConfigMaker) -> Wav2Vec2ForJointCTC:
    torch.manual_seed(0)
    return Wav2Vec2ForJointCTC(config(ctc_loss_reduction="mean")).eval()


LABELS = torch.tensor([[1, 2, 2, 3], [3, 1, -100, -100], [1, 1, 1, -100]])
CLASS_LABELS = torch.tensor([0, 2, 1])


def test_a_padded_clip_has_the_logits_of_the_clip_alone_in_both_heads(model: Wav2Vec2ForJointCTC) -> None:
    clips, values, mask = padded_batch()
    with torch.no_grad():
        together = model(values, attention_mask=mask)
        for row, clip in enumerate(clips):
            alone = model(clip[None])
            frames = alone.logits.shape[1]
            torch.testing.assert_close(together.logits[row, :frames], alone.logits[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(together.class_logits[row], alone.class_logits[0], atol=1e-5, rtol=1e-5)


def test_the_ctc_part_is_a_wav2vec2_for_ctc_with_the_same_loss(model: Wav2Vec2ForJointCTC, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    with quiet_transformers():
        theirs = Wav2Vec2ForCTC.from_pretrained(tmp_path).eval()
    _, values, mask = padded_batch()
    with torch.no_grad():
        expected = theirs(values, attention_mask=mask, labels=LABELS)
        ours = model(values, attention_mask=mask, labels=LABELS)
    torch.testing.assert_close(ours.logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.ctc_loss, expected.loss, atol=1e-5, rtol=1e-5)


def test_the_ctc_loss_is_the_mean_over_clips_of_torchs_own_per_token(model: Wav2Vec2ForJointCTC) -> None:
    clips, values, mask = padded_batch()
    with torch.no_grad():
        together = model(values, attention_mask=mask, labels=LABELS).ctc_loss
        losses = []
        for clip, labels in zip(clips, LABELS, strict=True):
            scores = model(clip[None]).logits[0].log_softmax(dim=-1)
            wanted = labels[labels >= 0]
            loss = functional.ctc_loss(scores, wanted, (len(scores),), (len(wanted),), blank=5, reduction="sum")
            losses.append(loss / len(wanted))
    torch.testing.assert_close(together, torch.stack(losses).mean(), atol=1e-5, rtol=1e-5)


def test_the_loss_is_the_weighted_sum_of_both(config: ConfigMaker) -> None:
    model = Wav2Vec2ForJointCTC(config(ctc_weight=0.25, class_weight=3.0)).eval()
    _, values, mask = padded_batch()
    found = model(values, attention_mask=mask, labels=LABELS, class_labels=CLASS_LABELS)
    entropy = functional.cross_entropy(found.class_logits, CLASS_LABELS)
    torch.testing.assert_close(found.class_loss, entropy)
    torch.testing.assert_close(found.loss, 0.25 * found.ctc_loss + 3.0 * entropy)


def test_a_saved_model_has_the_same_logits_when_loaded(model: Wav2Vec2ForJointCTC, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    again = Wav2Vec2ForJointCTC.from_pretrained(tmp_path).eval()
    _, values, mask = padded_batch()
    with torch.no_grad():
        first, second = model(values, attention_mask=mask), again(values, attention_mask=mask)
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.class_logits, second.class_logits)


@pytest.mark.parametrize(
    ("heads", "present", "absent"),
    [(["ctc"], "logits", "class_logits"), (["classification"], "class_logits", "logits")],
)
def test_either_head_can_be_absent(config: ConfigMaker, heads: list[str], present: str, absent: str) -> None:
    model = Wav2Vec2ForJointCTC(config(joint_heads=heads)).eval()
    found = model(padded_batch()[1], labels=LABELS, class_labels=CLASS_LABELS)
    assert found[present] is not None
    assert absent not in found
    assert found.loss.isfinite()


def test_a_group_norm_encoder_never_sees_the_mask_but_its_pooling_does(config: ConfigMaker) -> None:
    torch.manual_seed(0)
    model = Wav2Vec2ForJointCTC(config(feat_extract_norm="group", do_stable_layer_norm=False)).eval()
    _, values, mask = padded_batch()
    with torch.no_grad():
        frames = model.wav2vec2(values).last_hidden_state
        counts = model.frame_counts(values, mask)
        pooled = torch.stack([clip[:count].mean(dim=0) for clip, count in zip(frames, counts, strict=True)])
        found = model(values, attention_mask=mask)
        torch.testing.assert_close(found.class_logits, model.classifier(pooled), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("samples", [400, 719, 720, 4_001, 16_000])
def test_time_major_convolutions_have_the_outputs_and_gradients_of_transformers(
    config: ConfigMaker, samples: int
) -> None:
    torch.manual_seed(0)
    theirs, ours = Wav2Vec2FeatureEncoder(config()).train(), TimeMajorFeatureEncoder(config()).train()
    ours.load_state_dict(theirs.state_dict())
    values = torch.randn(2, samples)
    for encoder in (theirs, ours):
        encoder(values).square().sum().backward()
    torch.testing.assert_close(ours(values), theirs(values), atol=1e-5, rtol=1e-5)
    for (name, expected), found in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        scale = float(expected.grad.abs().max())
        torch.testing.assert_close(found.grad, expected.grad, atol=1e-5 * scale, rtol=1e-4, msg=name)


def test_training_starts_from_the_encoder_of_any_wav2vec2_checkpoint(
    config: ConfigMaker, targets: Targets, tmp_path: Path
) -> None:
    pretrained = Wav2Vec2Model(config(vocab_size=32))
    pretrained.save_pretrained(tmp_path)
    with quiet_transformers():
        model = build_model(checkpoint_base_model(str(tmp_path)), targets, TrainingOptions(), shortest_frames=20)
    for name, weights in pretrained.state_dict().items():
        assert torch.equal(model.wav2vec2.state_dict()[name], weights), name
    assert model.lm_head.out_features == 6
    assert model.classifier.out_features == 2


def test_the_base_of_another_kind_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="a bert model; supported are wav2vec2, hubert, wavlm"):
        checkpoint_base_model(str(tmp_path))
    with pytest.raises(CheckpointError, match="no checkpoint there"):
        checkpoint_base_model(str(tmp_path / "nowhere"))


def test_an_exported_bundle_is_refused_as_a_base_with_what_to_give_instead(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2"}', encoding="utf-8")
    for load in (checkpoint_base_model, load_checkpoint):
        with pytest.raises(CheckpointError, match=r"an exported bundle, .*; give the checkpoint that it was exported"):
            load(str(tmp_path))
    Wav2Vec2ForJointCTC(small_config()).save_pretrained(tmp_path)  # a repository may hold both
    assert checkpoint_base_model(str(tmp_path)).weights == str(tmp_path)


def test_a_frozen_feature_encoder_gets_no_gradient(config: ConfigMaker) -> None:
    model = Wav2Vec2ForJointCTC(config()).train()
    model.freeze_feature_encoder()
    _, values, mask = padded_batch()
    model(values, attention_mask=mask, labels=LABELS, class_labels=CLASS_LABELS).loss.backward()
    assert all(weights.grad is None for weights in model.wav2vec2.feature_extractor.parameters())
    assert model.wav2vec2.feature_projection.projection.weight.grad is not None


def test_masks_of_spec_augment_fit_the_shortest_clip(config: ConfigMaker, targets: Targets) -> None:
    wide = config(mask_time_length=10, mask_time_prob=0.9, mask_time_min_masks=2)
    clip = torch.from_numpy(np.random.default_rng(0).standard_normal(400 + 5 * 320).astype(np.float32))[None]
    with pytest.raises(ValueError, match="mask_length"):
        Wav2Vec2ForJointCTC(wide).train()(clip)
    fitted = joint_config(wide, targets, TrainingOptions(), shortest_frames=6)
    assert fitted.mask_time_length == 3
    assert Wav2Vec2ForJointCTC(fitted).train()(clip).logits.shape[1] == 6


def test_the_problem_of_the_base_s_classifier_is_not_that_of_the_new_one(config: ConfigMaker, targets: Targets) -> None:
    base = config(problem_type="multi_label_classification")
    assert joint_config(base, targets, TrainingOptions(), shortest_frames=6).problem_type is None
