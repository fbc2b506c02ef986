"""Training encoders of every family with the joint head, and students of another family than their teacher's."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, SeamlessM4TFeatureExtractor

from tests.train.conftest import quick_options, small_config
from wav2edge.errors import CheckpointError, UsageError
from wav2edge_train.checkpoint.families.family_table import FAMILIES, backbone_of, geometry_of, layers_of
from wav2edge_train.checkpoint.original import load_original
from wav2edge_train.data.clips import Targets
from wav2edge_train.data.vocabulary import make_feature_extractor, save_processor
from wav2edge_train.distillation.distill_command import COMMAND
from wav2edge_train.distillation.distillation_trainer import Distillation, both_inside
from wav2edge_train.distillation.teacher import load_teacher
from wav2edge_train.model.base_model import BaseModel, checkpoint_base_model
from wav2edge_train.model.joint_model import joint_model
from wav2edge_train.model.presets import PRESETS
from wav2edge_train.model.shrinking import feed_forwards, keep_layers, keep_units
from wav2edge_train.training import train
from wav2edge_train.training_options import DistillationOptions

OWN_FIELDS = {
    "data2vec-audio": {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5},
    "sew": {"conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, 2, 2, 2, 2, 2, 2)},
    "sew-d": {"conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, 2, 2, 2, 2, 2, 2), "position_buckets": 4},
    "wav2vec2-bert": {"left_max_position_embeddings": 8},
}


def config_of(family: str, **fields: object) -> Any:
    """A thin config of a family, with two layers."""
    thin = small_config(num_hidden_layers=2).to_dict()
    kept = {name: value for name, value in thin.items() if name not in ("model_type", "architectures")}
    return FAMILIES[family].config(**{**kept, **OWN_FIELDS.get(family, {}), **fields})


def save(folder: Path, model: PreTrainedModel, targets: Targets) -> Path:
    """A checkpoint with what prepares its input and writes its output."""
    model.save_pretrained(folder)
    save_processor(folder, make_feature_extractor(layer_norm=True), targets.vocabulary)
    if model.main_input_name == "input_features":
        SeamlessM4TFeatureExtractor().save_pretrained(folder)
    return folder


def ctc_checkpoint(folder: Path, family: str, targets: Targets, **fields: object) -> Path:
    """A family's own model for CTC, with random weights."""
    torch.manual_seed(0)
    kind: Any = FAMILIES[family].find("ForCTC")
    return save(folder, kind(config_of(family, **fields)), targets)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_joint_model_of_every_family_loads_its_ctc_model_and_gives_its_logits(
    family: str, targets: Targets, tmp_path: Path
) -> None:
    original = load_original(ctc_checkpoint(tmp_path / "ctc", family, targets))
    config = original.checkpoint.model.config
    model: Any = joint_model(config).from_pretrained(tmp_path / "ctc").eval()
    assert type(model).__name__ == f"{FAMILIES[family].prefix}ForJointCTC"
    generator = torch.Generator().manual_seed(1)
    for samples in (4_000, 9_999):
        waveform = torch.randn(samples, generator=generator)
        normalized = (waveform - waveform.mean()) / waveform.std(correction=0)
        with torch.no_grad():
            found = model(normalized[None]).logits[0]
        given = normalized if original.checkpoint.log_mel else waveform
        expected = torch.from_numpy(original.outputs(given.numpy())["logits"])
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
        assert model.frame_counts(normalized[None], None).item() == len(expected) == geometry_of(config).frames(samples)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_and_can_be_made_smaller(family: str) -> None:
    torch.manual_seed(0)
    config = config_of(family)
    model: Any = joint_model(config)(config).train()
    mask = torch.ones(2, 8_000, dtype=torch.long)
    mask[1, 6_000:] = 0
    labels = {"labels": torch.tensor([[1, 2, 3], [2, 1, -100]]), "class_labels": torch.tensor([0, 1])}
    model(torch.randn(2, 8_000), attention_mask=mask, **labels).loss.backward()
    trained = [parameter.grad is not None for parameter in layers_of(model).parameters()]
    assert all(trained)
    blocks = feed_forwards(model)
    assert len(blocks) == 2 * len(FAMILIES[family].feed_forwards)
    keep_units(model, [torch.arange(16)] * len(blocks))
    keep_layers(model, [0])
    assert (model.config.num_hidden_layers, model.config.intermediate_size) == (1, 16)
    smaller = joint_model(config)(model.config)
    smaller.load_state_dict(model.state_dict())


@pytest.mark.parametrize("family", ["wavlm", "data2vec-audio", "wav2vec2-bert"])
def test_a_checkpoint_of_another_family_is_a_base_and_the_result_is_a_checkpoint(
    family: str, targets: Targets, corpus: Path, tmp_path: Path
) -> None:
    base = checkpoint_base_model(str(ctc_checkpoint(tmp_path / "base", family, targets)))
    assert base.extractor.do_normalize == (family != "wav2vec2-bert")
    options = quick_options(max_steps=2, freeze_feature_encoder=True, freeze_layers=1)
    train(corpus, tmp_path / "out", base=base, options=options, log=str)
    written = json.loads((tmp_path / "out/config.json").read_text())
    assert (written["model_type"], written["architectures"]) == (family, [f"{FAMILIES[family].prefix}ForJointCTC"])
    assert load_original(tmp_path / "out").heads.names == ("ctc", "classification")
    again = checkpoint_base_model(str(tmp_path / "out"))
    assert again.heads.labels == ("0", "1")


def test_only_wav2vec2_is_trained_for_streams(corpus: Path, tmp_path: Path) -> None:
    base = BaseModel(name="thin", config=config_of("wavlm"), extractor=make_feature_extractor(layer_norm=True))
    with pytest.raises(UsageError, match="a wavlm encoder; only those of wav2vec2 are trained for streams"):
        train(corpus, tmp_path / "out", base=base, options=quick_options(streaming=True), log=str)


@pytest.mark.parametrize("name", ["small-wavlm", "small-data2vec"])
def test_small_presets_of_other_families_are_as_large_as_the_one_of_wav2vec2(name: str) -> None:
    sizes = {}
    for each in ("small", name):
        config = FAMILIES[PRESETS[each].family].config(**PRESETS[each].architecture)
        sizes[each] = joint_model(config)(config).num_parameters()
    assert 0.9 < sizes[name] / sizes["small"] < 1.1
    assert PRESETS[name].training == PRESETS["small"].training


@pytest.mark.slow
def test_a_wavlm_teaches_a_narrower_wav2vec2_that_hears_waveforms_of_another_level(
    targets: Targets, corpus: Path, parser: ArgumentParser, tmp_path: Path
) -> None:
    teacher = ctc_checkpoint(tmp_path / "teacher", "wavlm", targets)
    settings = json.loads((teacher / "preprocessor_config.json").read_text())
    (teacher / "preprocessor_config.json").write_text(json.dumps({**settings, "do_normalize": False}))
    student = ctc_checkpoint(tmp_path / "student", "wav2vec2", targets, hidden_size=8, intermediate_size=16)
    words = [str(teacher), str(corpus), "--base", str(student), "--output", str(tmp_path / "taught")]
    quick = ["--max-steps", "2", "--eval-steps", "1", "--batch-size", "4", "--warmup-steps", "0"]
    assert COMMAND.run(parser.parse_args([*words, *quick])) == 0
    written = json.loads((tmp_path / "taught/config.json").read_text())
    assert (written["model_type"], written["hidden_size"], written["joint_heads"]) == ("wav2vec2", 8, ["ctc"])
    assert json.loads((tmp_path / "taught/comparison.json").read_text())["large"]["name"] == "teacher"


def test_a_teacher_whose_frames_are_longer_is_refused(targets: Targets, corpus: Path, tmp_path: Path) -> None:
    folder = ctc_checkpoint(tmp_path / "teacher", "wavlm", targets, add_adapter=True)
    distillation = Distillation(teacher=load_teacher(folder), options=DistillationOptions())
    base = BaseModel(name="thin", config=small_config(), extractor=make_feature_extractor(layer_norm=True))
    with pytest.raises(UsageError, match="frames of the student are 320 samples apart, and of teacher 2560"):
        train(corpus, tmp_path / "out", base=base, options=quick_options(), distillation=distillation, log=str)


def test_frames_that_only_one_of_two_models_has_are_not_compared() -> None:
    longer = torch.tensor([[True, True, True, True], [True, True, False, False]])
    shorter = torch.tensor([[True, True, True], [True, False, False]])
    assert both_inside([longer, shorter]).tolist() == [[True, True, True], [True, False, False]]


def test_a_model_of_no_family_has_no_encoder() -> None:
    with pytest.raises(CheckpointError, match="Linear holds no encoder of these families: wav2vec2, hubert"):
        backbone_of(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 3), (4, 1)])
def test_adapters_count_frames_as_their_convolutions_do(kernel: int, stride: int) -> None:
    adapter = {"adapter_kernel_size": kernel, "adapter_stride": stride, "num_adapter_layers": 2}
    config = config_of("wav2vec2", add_adapter=True, **adapter)
    model: Any = joint_model(config)(config).eval()
    for samples in (4_000, 9_999, 16_000):
        with torch.no_grad():
            frames = model(torch.randn(1, samples)).logits.shape[1]
        assert model.geometry.frames(samples) == frames


def test_an_adapter_that_makes_frames_is_refused() -> None:
    with pytest.raises(CheckpointError, match="its adapter's kernel of 2 frames is no longer than its padding"):
        geometry_of(config_of("wav2vec2", add_adapter=True, adapter_kernel_size=2))
