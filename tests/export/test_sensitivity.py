"""One layer at a time: the switchboard computes what separate graphs compute, and the divergence is PyTorch's."""

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.sessions.cpu import TARGETS
from wav2edge_export.mixed_precision.selectable_precision import SelectablePrecisionGraph
from wav2edge_export.mixed_precision.sensitivity import Layer, divergence, layers_of, measure_sensitivities
from wav2edge_export.quantization.weight_matmuls import assign, quantize_in_place, weight_matmuls

pytestmark = pytest.mark.slow  # exports a model for most of its tests

TARGET = TARGETS["avx2"]


@pytest.fixture(scope="module")
def source(bundles):
    return bundles("joint").folder / "onnx/model.onnx"


@pytest.fixture(scope="module")
def heads(bundles):
    return bundles("joint").manifest.heads


@pytest.fixture(scope="module")
def switchboard(source, heads):
    return SelectablePrecisionGraph(source, weight_matmuls(source), heads.outputs, target=TARGET)


def separate(source, levels, path, clip):
    """The outputs of a graph that was made for these levels alone."""
    quantize_in_place(source, path, levels, target=TARGET)
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, (value[0] for value in session.run(None, {"input_values": clip[None]})), strict=True))


@pytest.mark.parametrize(
    ("parts", "tolerance"),
    [
        ({}, 1e-6),
        ({"/feature_extractor/layers.2/": "int8"}, 1e-6),
        ({"/pos_conv_embed/": "int8", "/layers.1/feed_forward/": "int8", "/lm_head/": "int8"}, 1e-6),
        ({"/layers.0/feed_forward/output_dense/": "int4"}, 0.01),  # MatMulNBits takes the bias in, and rounds elsewhere
    ],
)
def test_the_selectable_graph_agrees_with_a_graph_made_for_the_same_levels(
    switchboard, source, tmp_path, parts, tolerance
):
    clip = voiced(16_000, seed=3)
    levels = assign(weight_matmuls(source), "float", parts)
    expected = separate(source, levels, tmp_path / "separate.onnx", clip)
    found = switchboard.outputs(clip, levels)
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert np.abs(found[name] - values).max() <= tolerance * np.abs(values).max()


def test_switches_are_set_anew_with_every_call(switchboard, source):
    clip = voiced(8_000, seed=4)
    exact = switchboard.outputs(clip, {})
    quantized = switchboard.outputs(clip, assign(weight_matmuls(source), "int4", {}))
    assert np.abs(exact["logits"] - quantized["logits"]).max() > 0.01 * np.abs(exact["logits"]).max()
    assert (switchboard.outputs(clip, {})["logits"] == exact["logits"]).all()


def test_the_divergence_is_that_of_pytorch(heads):
    rng = np.random.default_rng(8)
    frames, width, classes = 30, len(heads.ctc.vocabulary), len(heads.classification.labels)
    original, variant = (
        {
            "logits": rng.standard_normal((frames, width)).astype(np.float32) * 9,
            "class_logits": rng.standard_normal(classes).astype(np.float32),
        }
        for _ in range(2)
    )
    expected = 0.0
    for name, rows in (("logits", frames), ("class_logits", 1)):
        exact, found = (torch.log_softmax(torch.from_numpy(each[name]).double(), -1) for each in (original, variant))
        expected += float(F.kl_div(found, exact, log_target=True, reduction="sum")) / rows
    assert divergence(original, variant, heads) == pytest.approx(expected)
    assert divergence(original, original, heads) == 0.0


def test_the_groups_of_the_positional_convolution_are_one_layer_and_every_weight_matmul_has_one(source):
    matmuls = weight_matmuls(source)
    layers = layers_of(matmuls)
    assert [matmul for layer in layers for matmul in layer.matmuls] == matmuls
    positions = [layer for layer in layers if layer.name.endswith("/pos_conv_embed")]
    assert [len(layer.matmuls) for layer in positions] == [4]
    assert sum(layer.name.endswith("/query_key_value") for layer in layers) == 2
    assert sum(layer.weights for layer in layers) == sum(matmul.in_features * matmul.out_features for matmul in matmuls)


def test_a_layers_sensitivity_is_the_mean_divergence_with_that_layer_alone_quantised(
    switchboard, source, heads, tmp_path
):
    layer = next(each for each in layers_of(weight_matmuls(source)) if each.name.endswith("/layers.3/linear"))
    clips = [voiced(length, seed=length) for length in (9_000, 14_000)]
    (found,) = measure_sensitivities(switchboard, [layer], clips, heads)
    alone = {matmul.name: "int8" for matmul in layer.matmuls}
    expected = [
        divergence(switchboard.outputs(clip, {}), separate(source, alone, tmp_path / "alone.onnx", clip), heads)
        for clip in clips
    ]
    assert found.divergence("int8") == pytest.approx(np.mean(expected), rel=1e-3)
    assert found.divergence("int4") > found.divergence("int8") > found.divergence("float") == 0.0


def test_a_layer_of_no_matmuls_costs_nothing(switchboard, heads):
    (found,) = measure_sensitivities(switchboard, [Layer(name="empty", matmuls=())], [voiced(8_000)], heads)
    assert set(found.divergences.values()) == {0.0}
