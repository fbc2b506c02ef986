from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoProcessor,
    HubertConfig,
    HubertForCTC,
    HubertForSequenceClassification,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2ForAudioFrameClassification,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2ForXVector,
    Wav2Vec2Model,
)

from wav2edge.errors import AudioError, CheckpointError
from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.checkpoint.loading import load_checkpoint
from wav2edge_train.checkpoint.original import Original, load_original
from wav2edge_train.data.vocabulary import Vocabulary, make_feature_extractor, save_processor
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

ConfigMaker = Callable[..., Wav2Vec2Config]
VOCABULARY = Vocabulary(tokens=("|", "a", "b", "c", "[UNK]", "[PAD]"))


def save(folder: Path, model: PreTrainedModel, vocabulary: Vocabulary | None = VOCABULARY) -> Path:
    model.save_pretrained(folder)
    save_processor(folder, make_feature_extractor(layer_norm=model.config.feat_extract_norm == "layer"), vocabulary)
    return folder


@pytest.fixture
def joint(config: ConfigMaker, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = Wav2Vec2ForJointCTC(config(id2label={0: "no", 1: "yes", 2: "maybe"}))
    with torch.no_grad():
        model.lm_head.weight.mul_(30)  # so that every token is predicted somewhere
    return save(tmp_path / "joint", model)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * 0.1


KINDS: dict[str, tuple[type[PreTrainedModel], dict[str, str]]] = {
    "joint": (Wav2Vec2ForJointCTC, {"ctc": "logits", "classification": "class_logits"}),
    "wav2vec2 ctc": (Wav2Vec2ForCTC, {"ctc": "logits"}),
    "hubert ctc": (HubertForCTC, {"ctc": "logits"}),
    "wav2vec2 classes": (Wav2Vec2ForSequenceClassification, {"classification": "logits"}),
    "hubert classes": (HubertForSequenceClassification, {"classification": "logits"}),
    "wav2vec2 frames": (Wav2Vec2ForAudioFrameClassification, {"frame_classification": "logits"}),
    "wav2vec2 voice": (Wav2Vec2ForXVector, {"embedding": "embeddings"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_supported_kind_loads_with_its_heads(kind: str, config: ConfigMaker, tmp_path: Path) -> None:
    architecture, outputs = KINDS[kind]
    fields = {**config().to_dict(), "model_type": "hubert"} if "hubert" in kind else config().to_dict()
    made = HubertConfig.from_dict(fields) if "hubert" in kind else Wav2Vec2Config.from_dict(fields)
    folder = save(tmp_path / "model", architecture(made), VOCABULARY if "ctc" in outputs else None)
    checkpoint = load_checkpoint(folder)
    assert isinstance(checkpoint.model, architecture)
    assert not checkpoint.model.training
    assert dict(zip(checkpoint.heads.names, checkpoint.heads.outputs, strict=True)) == outputs
    assert (checkpoint.name, checkpoint.folder) == ("model", folder)
    assert checkpoint.geometry.frames(16_000) == 49
    assert checkpoint.normalize
    assert checkpoint.uses_attention_mask
    found = Original(checkpoint).outputs(noise(8_000))
    assert {name: values.ndim for name, values in found.items()} == {
        name: 2 if head in ("ctc", "frame_classification") else 1 for head, name in outputs.items()
    }


def test_the_vocabulary_is_that_of_the_tokenizer(joint: Path) -> None:
    heads = load_checkpoint(joint).heads
    assert heads.ctc is not None
    assert heads.ctc.vocabulary == VOCABULARY.tokens
    assert (heads.ctc.blank_id, heads.ctc.silent_ids, heads.ctc.word_delimiter) == (5, {4}, "|")
    assert heads.classification is not None
    assert heads.classification.labels == ("no", "yes", "maybe")


@pytest.mark.parametrize("samples", [1, 399, 400, 719, 16_000, 31_999])
def test_the_original_gives_the_logits_and_text_of_transformers(joint: Path, samples: int) -> None:
    clip = noise(samples, seed=samples)
    found = load_original(joint)(clip, rate_hz=16_000) if samples > 1 else None
    padded = np.pad(clip, (0, max(0, 400 - samples)))
    processor = AutoProcessor.from_pretrained(joint)
    with quiet_transformers():
        model = Wav2Vec2ForCTC.from_pretrained(joint).eval()
    with torch.no_grad():
        logits = model(processor(padded, sampling_rate=16_000, return_tensors="pt").input_values).logits
    outputs = load_original(joint).outputs(clip)
    np.testing.assert_allclose(outputs["logits"], logits[0].numpy(), atol=1e-4)
    if found is not None:
        expected = processor.batch_decode(logits.argmax(dim=-1))[0].replace("[UNK]", "")
        assert found.text == " ".join(expected.split())


def test_a_silent_clip_is_refused_by_the_original_as_by_an_engine(joint: Path) -> None:
    with pytest.raises(AudioError, match="silent"):
        load_original(joint)(np.zeros(3_000, np.float32), rate_hz=16_000)


def test_begin_and_end_tokens_beyond_the_head_are_accepted(joint: Path) -> None:
    vocab = joint / "vocab.json"
    Wav2Vec2CTCTokenizer(str(vocab), unk_token="[UNK]", pad_token="[PAD]").save_pretrained(joint)
    heads = load_checkpoint(joint).heads
    assert heads.ctc is not None
    assert heads.ctc.vocabulary == VOCABULARY.tokens
    assert heads.ctc.silent_ids == {4}


def edit_config(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields), encoding="utf-8")


def forget_file(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def swap_vocabulary(folder: Path) -> None:
    for name in ("vocab.json", "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)
    longer = Vocabulary(tokens=("|", *"abcdefg", "[UNK]", "[PAD]"))
    save_processor(folder, make_feature_extractor(layer_norm=True), longer)


def damage_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def diverge(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.bias"][2] = torch.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (forget_file("config.json"), "no config.json in it"),
    "broken config": (lambda folder: (folder / "config.json").write_text("{"), "config.json cannot be read"),
    "unsupported head": (
        lambda folder: edit_config(folder, architectures=["Wav2Vec2ForMaskedLM"]),
        "no supported head, found Wav2Vec2ForMaskedLM; supported are Wav2Vec2ForJointCTC, Wav2Vec2ForCTC",
    ),
    "no architecture": (lambda folder: edit_config(folder, architectures=None), "found a bare wav2vec2 model"),
    "adapter": (lambda folder: edit_config(folder, add_adapter=True), "6 weights are not in the checkpoint"),
    "no vocabulary": (forget_file("vocab.json"), "its tokenizer cannot be read .vocab.json is missing"),
    "another vocabulary": (swap_vocabulary, "the vocabulary has 10 tokens and the CTC head is 6 wide"),
    "no preprocessor": (forget_file("preprocessor_config.json"), "preprocessor_config.json cannot be read"),
    "damaged weights": (damage_weights, "its weights cannot be read"),
    "no weights": (forget_file("model.safetensors"), "its weights cannot be read"),
    "labels of one name": (
        lambda folder: edit_config(folder, id2label={"0": "yes", "1": "yes", "2": "no"}),
        "labels must be non-empty and unique, and id2label in config.json has",
    ),
    "a label without a name": (
        lambda folder: edit_config(folder, id2label={"0": "yes", "1": " ", "2": "no"}),
        "labels must be non-empty and unique, and id2label in config.json has",
    ),
    "gaps between labels": (
        lambda folder: edit_config(folder, id2label={"0": "yes", "2": "maybe", "5": "no"}),
        "id2label in config.json does not name the outputs 1 of its classifier; give each from 0 to 2 a label",
    ),
    "too few labels": (
        lambda folder: edit_config(folder, id2label={"0": "yes", "1": "no"}),
        "config.json names 2 labels, and the classifier has another number of them; write the id2label",
    ),
    "no labels": (lambda folder: edit_config(folder, id2label=None), "config.json names 2 labels, and the classifier"),
    "another width": (
        lambda folder: edit_config(folder, vocab_size=9),
        "lm_head.bias has another shape than config.json says; one of the two files is of another model",
    ),
    "weights that are not finite": (
        diverge,
        r"its weights are not finite \(lm_head.bias: 1 of 6 values\); the training diverged, or the file is damaged",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_checkpoint_is_refused_in_one_line_that_names_it(joint: Path, fault: str) -> None:
    break_it, complaint = FAULTS[fault]
    break_it(joint)
    with pytest.raises(CheckpointError, match=complaint) as caught:
        load_checkpoint(joint)
    message = str(caught.value)
    assert message.startswith(str(joint))
    assert "\n" not in message


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"problem_type": "multi_label_classification"}, "several of its labels may hold at once"),
        ({"problem_type": "regression"}, "its classifier gives a number"),
        ({"id2label": {0: "LABEL_0"}}, "its classifier gives a number"),
    ],
)
def test_a_classifier_that_does_not_choose_one_label_is_refused(
    config: ConfigMaker, tmp_path: Path, fields: dict[str, object], reason: str
) -> None:
    folder = save(tmp_path / "model", Wav2Vec2ForSequenceClassification(config(**fields)), None)
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(folder)


def test_a_joint_model_gives_one_label_whatever_problem_its_base_had(joint: Path) -> None:
    edit_config(joint, problem_type="multi_label_classification")
    assert load_checkpoint(joint).heads.labels == ("no", "yes", "maybe")


def test_a_head_without_trained_weights_is_refused(config: ConfigMaker, tmp_path: Path) -> None:
    folder = save(tmp_path / "bare", Wav2Vec2Model(config()))
    edit_config(folder, architectures=["Wav2Vec2ForCTC"])
    with pytest.raises(CheckpointError, match=r"2 weights are not in the checkpoint, such as lm_head\.bias"):
        load_checkpoint(folder)
    pretraining = save(tmp_path / "pretraining", Wav2Vec2ForPreTraining(config()))
    with pytest.raises(CheckpointError, match="found Wav2Vec2ForPreTraining"):
        load_checkpoint(pretraining)


def test_a_missing_path_is_not_looked_up_on_the_hub(joint: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no such folder"):
        load_checkpoint("./nowhere")
    with pytest.raises(CheckpointError, match="a file; give the folder"):
        load_checkpoint(joint / "config.json")


def test_a_name_unknown_to_the_hub_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="nobody/nothing: neither a local folder nor a model on the Hub"):
        load_checkpoint("nobody/nothing")


def test_a_checkpoint_without_normalisation_gets_the_raw_samples(joint: Path) -> None:
    path = joint / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_normalize": False}), encoding="utf-8")
    plain = load_original(joint)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_normalize": True}), encoding="utf-8")
    clip = noise(4_000)
    clip = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
    np.testing.assert_allclose(plain.outputs(clip)["logits"], load_original(joint).outputs(clip)["logits"], atol=1e-4)
    assert not np.allclose(
        plain.outputs(clip * 7 + 1)["logits"], load_original(joint).outputs(clip)["logits"], atol=1e-2
    )


def test_loading_prints_nothing(joint: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(joint, joint.parent / "copy")
    load_checkpoint(joint.parent / "copy")
    assert capfd.readouterr() == ("", "")
