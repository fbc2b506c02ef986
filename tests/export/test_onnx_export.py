from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from optimum.exporters.onnx import export
from optimum.exporters.onnx.model_configs import Wav2Vec2OnnxConfig
from optimum.utils import DummyAudioInputGenerator
from torch import nn
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from wav2edge_export.rewrite import ZeroMeanUnitVariance, rewrite

pytestmark = pytest.mark.usefixtures("one_thread")

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

SAMPLES = (400, 401, 719, 720, 16_000, 16_319, 31_999)
GROUPS, LAYERS = 4, 2
TINY = {
    "vocab_size": 12,
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embedding_groups": GROUPS,
}
SHAPES = {
    "xlsr": {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True},
    "base": {"feat_extract_norm": "group", "conv_bias": False, "do_stable_layer_norm": False},
}
# Each feature layer, the feature projection, each group of the positional convolution, query-key-value and output and
# two feed-forward MatMuls per layer, and the head. Group norm scales the weights of the first layer by the clip.
WEIGHT_MATMULS = {"layer": 7 + 1 + GROUPS + 4 * LAYERS + 1, "group": 6 + 1 + GROUPS + 4 * LAYERS + 1}


class NormalizedModel(nn.Module):
    """The rewritten model behind the normalisation, as a bundle's graph has it."""

    def __init__(self, model):
        super().__init__()
        self.normalization, self.model, self.config = ZeroMeanUnitVariance(), model, model.config

    def forward(self, input_values, attention_mask=None):
        return self.model(self.normalization(input_values, attention_mask), attention_mask=attention_mask)


class PaddedBatch(DummyAudioInputGenerator):
    """Dummy inputs with a padded clip, so that the mask is traced."""

    SUPPORTED_INPUT_NAMES = ("input_values", "attention_mask")

    def generate(self, input_name, **options):
        if input_name == "input_values":
            return super().generate(input_name, **options)
        mask = torch.ones(self.batch_size, self.sequence_length, dtype=torch.long)
        mask[1:, self.sequence_length // 2 :] = 0
        return mask


class RecognizerGraph(Wav2Vec2OnnxConfig):
    @property
    def inputs(self):
        return {"input_values": {0: "batch", 1: "samples"}}

    @property
    def outputs(self):
        return {"logits": {0: "batch", 1: "frames"}}


class MaskedRecognizerGraph(RecognizerGraph):
    DUMMY_INPUT_GENERATOR_CLASSES = (PaddedBatch,)

    @property
    def inputs(self):
        return {name: {0: "batch", 1: "samples"} for name in ("input_values", "attention_mask")}


def model_of(shape):
    torch.manual_seed(0)
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**TINY, **SHAPES[shape])).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # fresh norms are the identity and would hide a mistake
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def write_graph(model, operators, path, configuration=RecognizerGraph):
    """Rewrite, normalise inside the graph, and export at one length only."""
    rewritten = NormalizedModel(rewrite(model, operators=operators).model)
    export(rewritten, configuration(model.config, task="automatic-speech-recognition"), path, opset=18)
    return path


def relative_error(found, expected):
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def logits_of(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], inputs)[0]


@torch.no_grad()
def expected_of(model, clips, mask=None):
    return model(ZeroMeanUnitVariance()(clips, mask), attention_mask=mask).logits.numpy()


@pytest.fixture(scope="module", params=[(s, o) for s in SHAPES for o in ("standard", "fused")], ids="-".join)
def exported(request, tmp_path_factory):
    shape, operators = request.param
    model = model_of(shape)
    return model, write_graph(model, operators, tmp_path_factory.mktemp("graphs") / "model.onnx"), operators


def test_a_graph_traced_at_one_length_agrees_with_pytorch_at_every_length(exported):
    model, path, _ = exported
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for samples in SAMPLES:
        for batch in (1, 2):
            clips = 0.3 * torch.randn(batch, samples) + 0.1
            (logits,) = session.run(["logits"], {"input_values": clips.numpy()})
            assert relative_error(logits, expected_of(model, clips)) < 1e-4, (samples, batch)


def test_no_convolution_is_left_and_every_linear_is_a_weight_matmul(exported):
    model, path, operators = exported
    graph = onnx.load(path).graph
    constants = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    kinds = Counter(node.op_type for node in graph.node)
    matmuls = [node for node in graph.node if node.op_type == "MatMul"]
    assert kinds["Conv"] == kinds["Gemm"] == 0
    assert sum(node.input[1] in constants for node in matmuls) == WEIGHT_MATMULS[model.config.feat_extract_norm]
    assert kinds["Split"] == LAYERS + 2  # the two others split and regroup the positional convolution's groups
    assert kinds["MultiHeadAttention"] == (LAYERS if operators == "fused" else 0)


def test_frames_are_transposed_for_the_heads_of_plain_attention_only(exported):
    model, path, operators = exported
    permutations = [list(node.attribute[0].ints) for node in onnx.load(path).graph.node if node.op_type == "Transpose"]
    of_frames = [permutation for permutation in permutations if len(permutation) > 2]
    of_windows = model.config.feat_extract_norm == "group"  # one, for the covariance of ten samples
    assert len(of_frames) == (4 * LAYERS if operators == "standard" else 0) + of_windows


def test_batch_samples_and_frames_stay_dynamic(exported):
    _, path, _ = exported
    graph = onnx.load(path).graph
    dimensions = {
        value.name: [dimension.dim_param or dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert dimensions == {"input_values": ["batch", "samples"], "logits": ["batch", "frames", TINY["vocab_size"]]}


def test_stock_dynamic_quantisation_takes_every_weight_matmul_and_stays_near(exported, tmp_path):
    model, path, _ = exported
    quantized = tmp_path / "model_quantized.onnx"
    quantize_dynamic(
        path,
        quantized,
        op_types_to_quantize=["MatMul", "Gemm"],
        weight_type=QuantType.QUInt8,  # exact on every processor; signed ones saturate on x86 without VNNI
        per_channel=True,
    )
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    session = onnxruntime.InferenceSession(str(quantized), options, providers=["CPUExecutionProvider"])
    optimized = Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
    # One node per MatMul: were a bias exported in another form, this would be MatMulIntegerToFloat and an Add.
    assert optimized["DynamicQuantizeMatMul"] == WEIGHT_MATMULS[model.config.feat_extract_norm]
    clips = torch.randn(1, 16_000)
    (logits,) = session.run(["logits"], {"input_values": clips.numpy()})
    assert relative_error(logits, expected_of(model, clips)) < 0.1


@pytest.mark.parametrize("operators", ["standard", "fused"])
def test_a_masked_graph_agrees_with_pytorch_for_padded_clips(operators, tmp_path):
    model = model_of("xlsr")
    path: Path = write_graph(model, operators, tmp_path / "model.onnx", MaskedRecognizerGraph)
    for samples in (720, 16_319, 31_999):
        clips, mask = torch.randn(3, samples), torch.ones(3, samples, dtype=torch.long)
        mask[1, samples * 3 // 4 :] = 0
        mask[2, 450:] = 0
        logits = logits_of(path, input_values=clips.numpy(), attention_mask=mask.numpy())
        assert relative_error(logits, expected_of(model, clips, mask)) < 1e-4, samples


def test_half_a_minute_is_normalised_in_the_graph_as_it_is_in_float64(tmp_path):
    path = tmp_path / "normalization.onnx"
    axes = {name: {0: "batch", 1: "samples"} for name in ("input_values", "logits")}
    names = {"input_names": ["input_values"], "output_names": ["logits"], "dynamic_axes": axes}
    torch.onnx.export(ZeroMeanUnitVariance(), (torch.randn(2, 700),), path, dynamo=False, opset_version=18, **names)
    clips = 0.1 * torch.randn(2, 480_001) + 0.3
    expected = ZeroMeanUnitVariance()(clips.double()).numpy()
    assert relative_error(logits_of(path, input_values=clips.numpy()), expected) < 1e-6
