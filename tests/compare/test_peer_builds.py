"""Every peer gives the outputs of PyTorch, with the model that was built for it from the same checkpoint."""

import importlib.util
import json
import sys

import numpy as np
import onnxruntime
import pytest
import torch

from tests.export.tiny_checkpoints import save_checkpoint
from wav2edge.audio.clip import zero_mean_unit_variance
from wav2edge.evaluation.parity.signals import voiced
from wav2edge_compare.peers.checkpoint_facts import weight_bytes
from wav2edge_compare.peers.peer_builds import BUILDS, CHECKPOINT, OPTIMUM_RECIPES, optimum_recipe
from wav2edge_compare.peers.runners import RUNNERS, normalize
from wav2edge_compare.peers.systems import PEERS
from wav2edge_train.checkpoint.loading import load_checkpoint
from wav2edge_train.checkpoint.original import load_original

pytestmark = pytest.mark.slow  # builds the models of other systems

EXACT, QUANTIZED = 1e-4, 0.5
CLIP = voiced(11_000, seed=5)

TOLERANCES = {
    "torch": EXACT,
    "pipeline": EXACT,
    "onnxruntime": EXACT,
    "optimum-int8": QUANTIZED,
    "openvino-w8": QUANTIZED,
    "openvino-w8-g1024": QUANTIZED,
    "openvino-int8": QUANTIZED,
    "ctranslate2": QUANTIZED,
}
"""Largest difference over the largest logit; random weights are sharper than trained ones, so int8 costs more."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A joint checkpoint that every peer can take: the positional convolution is as large as XLSR's."""
    changes = {"hidden_size": 64, "num_conv_pos_embeddings": 128, "num_conv_pos_embedding_groups": 16}
    return save_checkpoint(tmp_path_factory.mktemp("checkpoints") / "large-positions", "joint", **changes)


@pytest.fixture(scope="module")
def original(checkpoint):
    return load_original(checkpoint).outputs(CLIP)["logits"]


@pytest.fixture(scope="module")
def built(checkpoint, tmp_path_factory):
    """A function from a build to its folder, each made once."""
    folder = tmp_path_factory.mktemp("peers")
    clips = [folder / f"{seed}.npy" for seed in range(3)]
    for seed, path in enumerate(clips):
        np.save(path, voiced(9_000, seed=seed))

    def build(name):
        if name == CHECKPOINT:
            return checkpoint
        target = folder / name
        if not target.exists():
            source = build(BUILDS[name].source)
            target.mkdir()
            BUILDS[name].make(source, target, clips if BUILDS[name].calibrated else [])
        return target

    return build


def distance(found, expected):
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("name", TOLERANCES)
def test_a_peer_gives_the_logits_of_the_checkpoint_it_was_built_from(name, built, original):
    system = PEERS[name]
    if system.missing:
        pytest.skip(system.missing)
    model = built(system.model)
    outputs = RUNNERS[system.runner](model=str(model), threads=1, **system.arguments)(CLIP)
    assert distance(outputs["logits"], original) < TOLERANCES[name]
    assert weight_bytes(model, system.files) > 10_000


def test_the_int8_model_of_optimum_has_int8_weights(built):
    sizes = {name: weight_bytes(built(name), ("*.onnx",)) for name in ("onnx", "optimum-int8")}
    operators = onnxruntime.InferenceSession(built("optimum-int8") / "model_quantized.onnx")
    assert sizes["optimum-int8"] < 0.75 * sizes["onnx"]
    assert [each.name for each in operators.get_inputs()] == ["input_values"]


def test_the_ctc_part_of_a_joint_checkpoint_is_complete(built, checkpoint):
    part, joint = (load_checkpoint(folder).model.state_dict() for folder in (built("ctc"), checkpoint))
    assert {name for name in joint if name not in part} == {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(part[name], joint[name]) for name in part)


def test_the_graph_for_onnx_asr_gives_log_probabilities_of_clips_padded_in_a_batch(built, original):
    """Released versions of onnx-asr cannot load wav2vec2, so the graph is compared with PyTorch directly."""
    folder = built("onnx-asr")
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    batch = np.zeros((2, 13_000), np.float32)
    batch[0, : len(CLIP)], batch[1] = CLIP, voiced(13_000, seed=6)
    inputs = {"input_values": batch[:1, : len(CLIP)], "input_lengths": np.array([len(CLIP)])}
    (alone,) = session.run(["logprobs"], inputs)
    expected = torch.from_numpy(original).log_softmax(-1).numpy()
    assert distance(alone[0], expected) < EXACT
    (padded,) = session.run(["logprobs"], {"input_values": batch, "input_lengths": np.array([len(CLIP), 13_000])})
    assert padded.shape[:2] == (2, 40)


def test_the_folder_for_onnx_asr_uses_its_names_for_blank_and_space(built):
    lines = (built("onnx-asr") / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert lines == ["▁ 0", "a 1", "k 2", "p 3", "t 4", "[UNK] 5", "<blk> 6"]
    config = json.loads((built("onnx-asr") / "config.json").read_text())
    assert config == {"model_type": "wav2vec2-ctc", "subsampling_factor": 320}


@pytest.mark.skipif(
    importlib.util.find_spec("onnx_asr") is None or PEERS["onnx-asr"].missing is not None,
    reason="the installed onnx-asr has no wav2vec2 model",
)
def test_onnx_asr_gives_the_log_probabilities_of_the_checkpoint(built, original):
    outputs = RUNNERS["onnx-asr"](model=str(built("onnx-asr")), threads=1)(CLIP)
    assert distance(outputs["logits"], torch.from_numpy(original).log_softmax(-1).numpy()) < EXACT


def test_peers_normalise_waveforms_as_transformers_and_the_runtime_do():
    from transformers import Wav2Vec2FeatureExtractor

    extracted = Wav2Vec2FeatureExtractor(do_normalize=True)(CLIP, sampling_rate=16_000, return_tensors="np")
    np.testing.assert_allclose(normalize(CLIP), extracted["input_values"][0], atol=1e-6)
    np.testing.assert_array_equal(normalize(CLIP), zero_mean_unit_variance(CLIP))


def test_openvino_with_larger_activation_groups_stays_close_to_its_default(built):
    """The checkpoint's layers are narrower than 1,024, so that one group holds a whole row of activations."""
    system = PEERS["openvino-w8-g1024"]
    if system.missing:
        pytest.skip(system.missing)
    default, grouped = (
        RUNNERS["openvino"](model=str(built("openvino-w8")), threads=1, **arguments)(CLIP)["logits"]
        for arguments in ({}, system.arguments)
    )
    assert distance(grouped, default) < 0.05


@pytest.mark.parametrize(
    ("features", "recipe"), [([], "avx2"), (["avx2", "avx512f"], "avx512"), (["avx2", "avx_vnni"], "avx512_vnni")]
)
def test_optimum_is_given_the_recipe_for_the_processor(features, recipe, monkeypatch):
    module = sys.modules["wav2edge_compare.peers.peer_builds"]
    monkeypatch.setattr(module, "int8_features", lambda: features)
    assert optimum_recipe() == recipe
    assert recipe in OPTIMUM_RECIPES.values()
