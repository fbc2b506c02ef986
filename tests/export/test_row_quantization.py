"""int8 with a scale for each row: quiet frames keep their digits next to loud ones, whatever the length of the clip."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from wav2edge.bundle.folder import CERTIFICATE
from wav2edge.cli import main
from wav2edge.errors import UsageError
from wav2edge.inference.sessions.cpu import TARGETS
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.quantization.recipes import RECIPES
from wav2edge_export.quantization.row_quantization import quantize_by_row, quantized_columns
from wav2edge_export.quantization.stacked_parts import PARTS, compute_in_parts

WIDTH, KERNEL, OUTPUTS = 16, 3, 24


@pytest.fixture
def stacked(tmp_path):
    """A convolution of three frames, two apart, as the graph rewrite leaves it: ``index`` says which frames."""
    weight = np.random.default_rng(0).standard_normal((KERNEL * WIDTH, OUTPUTS)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["frames", "index"], ["windows"], axis=1),
        helper.make_node("Reshape", ["windows", "rows"], ["stack"]),
        helper.make_node("MatMul", ["stack", "weight"], ["result"], name="/layers.1/MatMul"),
    ]
    inputs = [
        helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["batch", "frames", WIDTH]),
        helper.make_tensor_value_info("index", TensorProto.INT64, ["indices"]),
    ]
    output = helper.make_tensor_value_info("result", TensorProto.FLOAT, ["batch", "windows", OUTPUTS])
    constants = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(np.array([0, -1, KERNEL * WIDTH], np.int64), "rows"),
    ]
    graph = helper.make_graph(nodes, "convolution", inputs, [output], constants)
    path = tmp_path / "stacked.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    return path


def run(path, frames):
    windows = (frames.shape[1] - KERNEL) // 2 + 1
    index = (np.arange(windows)[:, None] * 2 + np.arange(KERNEL)).reshape(-1)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"frames": frames, "index": index})[0]


def copied(source, name):
    path = source.with_name(name)
    path.write_bytes(source.read_bytes())
    return path


def for_onnxruntime(path):
    """Give a graph an operator that ONNX Runtime alone has, in front of its MatMul."""
    model = onnx.load(str(path))
    node = helper.make_node("BiasGelu", ["nothing", "bias"], ["unused"], domain="com.microsoft")
    model.graph.node.append(node)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in (("nothing", (1, 2)), ("bias", 2))
    )
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, str(path))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("target", TARGETS)
def test_quiet_rows_are_as_exact_as_loud_ones(stacked, target, fused):
    if fused:
        for_onnxruntime(stacked)
    rng = np.random.default_rng(1)
    levels = 10.0 ** rng.integers(-4, 3, (2, 41, 1))
    frames = (levels * rng.standard_normal((2, 41, WIDTH))).astype(np.float32)
    frames[:, 20:26] = 0  # two windows of silence
    quantized = copied(stacked, "rows.onnx")
    quantize_by_row(quantized, ["/layers.1/MatMul"], TARGETS[target])
    operators = {node.op_type for node in onnx.load(str(quantized)).graph.node}
    assert ("MatMulIntegerToFloat" in operators) == fused
    expected, found = run(stacked, frames), run(quantized, frames)
    scales = np.abs(expected).max(axis=-1)
    errors = np.abs(found - expected).max(axis=-1)
    assert errors[scales == 0].max() == 0
    assert (errors[scales > 0] / scales[scales > 0]).max() < (0.1 if target == "avx2" else 0.06)


def test_columns_have_the_bits_of_their_target():
    weight = np.random.default_rng(2).standard_normal((8, 4)).astype(np.float32)
    for target, largest in (("vnni", 127), ("avx2", 63), ("exact", 127)):
        scales, whole = quantized_columns(weight, TARGETS[target])
        assert np.abs(whole).max(axis=0).tolist() == [largest] * 4
        assert np.abs(whole * scales - weight).max() <= 0.5001 * scales.max()


@pytest.mark.parametrize("count", [3, 5, 8, 9, 10, 64])  # from one window, where three of four parts are empty
def test_parts_give_what_the_whole_gave_for_every_length(stacked, count):
    divided, quantized = copied(stacked, "parts.onnx"), copied(stacked, "rows.onnx")
    compute_in_parts(divided, ["/layers.1/MatMul"])
    quantize_by_row(quantized, ["/layers.1/MatMul"], TARGETS["vnni"])
    frames = np.random.default_rng(count).standard_normal((2, count, WIDTH)).astype(np.float32)
    expected = run(stacked, frames)
    np.testing.assert_allclose(run(divided, frames), expected, atol=1e-5)
    assert np.abs(run(quantized, frames) - expected).max() < 0.03 * np.abs(expected).max()


def test_the_frames_of_a_window_are_quantised_once_and_keep_a_scale_each(stacked):
    quantized = copied(stacked, "rows.onnx")
    quantize_by_row(quantized, ["/layers.1/MatMul"], TARGETS["vnni"])
    operators = [node.op_type for node in onnx.load(str(quantized)).graph.node]
    assert (operators.count("MatMulInteger"), operators.count("QuantizeLinear")) == (PARTS * KERNEL, 1)
    frames = np.random.default_rng(4).standard_normal((1, 11, WIDTH)).astype(np.float32)
    frames[:, 5] *= 1e-3  # between the two loud frames of a window
    silent, alone = frames.copy(), np.zeros_like(frames)
    silent[:, 5], alone[:, 5] = 0, frames[:, 5]
    expected = run(stacked, alone)[:, 2]
    found = run(quantized, frames)[:, 2] - run(quantized, silent)[:, 2]
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()


def test_frames_of_unknown_width_are_quantised_window_by_window(stacked):
    model = onnx.load(str(stacked))
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "width"
    onnx.save(model, str(stacked))
    quantized = copied(stacked, "rows.onnx")
    quantize_by_row(quantized, ["/layers.1/MatMul"], TARGETS["vnni"])
    assert [node.op_type for node in onnx.load(str(quantized)).graph.node].count("MatMulInteger") == 1
    frames = np.random.default_rng(5).standard_normal((1, 11, WIDTH)).astype(np.float32)
    expected = run(stacked, frames)
    assert np.abs(run(quantized, frames) - expected).max() < 0.03 * np.abs(expected).max()


def test_what_is_not_stacked_stays_whole(tmp_path, stacked):
    model = onnx.load(str(stacked))
    model.graph.node[2].input[0] = "frames"
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((WIDTH, OUTPUTS), np.float32), "weight"))
    onnx.save(model, str(stacked))
    content = stacked.read_bytes()
    compute_in_parts(stacked, ["/layers.1/MatMul"])
    assert stacked.read_bytes() == content


def test_a_group_norm_encoder_has_its_largest_convolutions_by_row_and_its_ends_in_float(bundles):
    graph = onnx.load(str(bundles("group-norm ctc").folder / RECIPES["int8"].file)).graph
    rows = {node.name.partition("/linear/")[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    assert {name.rpartition("/")[2] for name in rows} == {"layers.1", "layers.2"}
    certificate = json.loads((bundles("group-norm ctc").folder / CERTIFICATE).read_text())["variants"]["int8"]
    assert certificate["int8_by_row"] == ["/feature_extractor/layers.1/", "/feature_extractor/layers.2/"]
    assert certificate["kept_in_float"] == ["/feature_extractor/", "/feature_projection/", "/lm_head/"]
    assert certificate["measured"]["relative_error"] < 0.05


@pytest.mark.parametrize(("kind", "attempts"), [("group-norm ctc", 4), ("conformer ctc", 5)])
def test_attempts_that_are_the_same_on_a_graph_are_made_once(bundles, kind, attempts):
    fp32 = bundles(kind).folder / RECIPES["fp32"].file
    found = RECIPES["int8"].attempts_on(fp32)
    assert len(found) == attempts
    assert ("/conv_module/" in found[-1]) == (kind == "conformer ctc")
    assert RECIPES["int8"].attempts_on(fp32, batched=True) == []


def test_a_smaller_logit_error_leaves_more_in_floating_point(checkpoints, tmp_path, capsys):
    words = ["export", str(checkpoints("ctc")), "--output", str(tmp_path / "b"), "--logit-error", "0.04"]
    assert main(words) == 0
    certificate = json.loads((tmp_path / "b" / CERTIFICATE).read_text())["variants"]["int8"]
    assert certificate["budget"]["relative_error"] == 0.04
    assert certificate["measured"]["relative_error"] <= 0.04
    assert "/lm_head/" in certificate["kept_in_float"]
    assert "over budget: relative error" in capsys.readouterr().err


def test_a_logit_error_of_nothing_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"logit_error is 0; give a share of the largest logit, such as 0.05"):
        ExportOptions(checkpoint="x", output=tmp_path, logit_error=0)


def test_a_longest_clip_without_an_end_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"longest_clip_s is inf; give seconds"):
        ExportOptions(checkpoint="x", output=tmp_path, longest_clip_s=float("inf"))
