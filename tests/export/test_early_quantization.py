"""Quantising before stacking instead of after: fewer bytes are copied, and the outputs stay the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from wav2edge_export.quantization.weight_matmuls import quantize_before_stacking

FRAMES, WIDTH, OUTPUTS = 9, 4, 5
WINDOWS = (np.arange(4)[:, None] * 2 + np.arange(3)).reshape(-1)
"""Four windows of three frames, two frames apart: every frame is in one, and three are in two."""


def quantized_matmul(rng, activations, name, terms):
    """What quantize_dynamic writes for a weight MatMul: 8-bit activations and weights, and their scales."""
    weights = numpy_helper.from_array(rng.integers(-60, 60, (terms, OUTPUTS)).astype(np.int8), f"{name}_weights")
    nodes = [
        helper.make_node("DynamicQuantizeLinear", [activations], [f"{name}_q", f"{name}_s", f"{name}_z"]),
        helper.make_node("MatMulInteger", [f"{name}_q", weights.name, f"{name}_z"], [f"{name}_i"], name=name),
        helper.make_node("Cast", [f"{name}_i"], [f"{name}_f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}_f", f"{name}_s"], [name]),
    ]
    return nodes, [weights]


def save(path, nodes, weights, outputs):
    constants = {
        "index": WINDOWS,
        "rows": np.array([1, -1, 3 * WIDTH]),
        "half_rows": np.array([1, -1, 3 * WIDTH // 2]),
        "halves": np.array([WIDTH // 2, WIDTH // 2]),
    }
    graph = helper.make_graph(
        nodes,
        "stacking",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, FRAMES, WIDTH])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "windows", "width"]) for name in outputs],
        [*weights, *(numpy_helper.from_array(value.astype(np.int64), name) for name, value in constants.items())],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    return path


@pytest.fixture
def stacked(tmp_path):
    """A convolution as the graph rewrite leaves it."""
    nodes, weights = quantized_matmul(np.random.default_rng(0), "stack", "result", 3 * WIDTH)
    stack = [
        helper.make_node("Gather", ["frames", "index"], ["windows"], axis=1),
        helper.make_node("Reshape", ["windows", "rows"], ["stack"]),
    ]
    return save(tmp_path / "stacked.onnx", stack + nodes, weights, ["result"])


@pytest.fixture
def grouped(tmp_path):
    """A convolution of two groups, as the graph rewrite leaves the positional one."""
    rng = np.random.default_rng(1)
    nodes = [helper.make_node("Split", ["frames", "halves"], ["group0", "group1"], axis=2)]
    weights = []
    for group in ("0", "1"):
        nodes += [
            helper.make_node("Gather", [f"group{group}", "index"], [f"windows{group}"], axis=1),
            helper.make_node("Reshape", [f"windows{group}", "half_rows"], [f"stack{group}"]),
        ]
        more_nodes, more_weights = quantized_matmul(rng, f"stack{group}", f"result{group}", 3 * WIDTH // 2)
        nodes += more_nodes
        weights += more_weights
    return save(tmp_path / "grouped.onnx", nodes, weights, ["result0", "result1"])


def operators(path):
    return [node.op_type for node in onnx.load(str(path)).graph.node]


def outputs_of(path, seed=3):
    frames = np.random.default_rng(seed).standard_normal((1, FRAMES, WIDTH)).astype(np.float32)
    return onnxruntime.InferenceSession(str(path)).run(None, {"frames": frames})


def test_frames_are_quantised_before_they_are_stacked_and_the_outputs_stay_bit_for_bit_alike(stacked):
    before = outputs_of(stacked)
    assert quantize_before_stacking(stacked) == 1
    assert operators(stacked)[:3] == ["DynamicQuantizeLinear", "Gather", "Reshape"]
    np.testing.assert_array_equal(outputs_of(stacked), before)
    onnx.checker.check_model(onnx.load(str(stacked)), full_check=True)


def test_the_groups_of_one_convolution_are_quantised_once_together(grouped):
    before = outputs_of(grouped)
    assert operators(grouped).count("DynamicQuantizeLinear") == 2
    assert quantize_before_stacking(grouped) == 2
    assert operators(grouped)[:2] == ["DynamicQuantizeLinear", "Split"]
    assert operators(grouped).count("DynamicQuantizeLinear") == operators(grouped).count("Split") == 1
    for after, alone in zip(outputs_of(grouped), before, strict=True):
        assert np.abs(after - alone).max() < 0.02 * np.abs(alone).max()  # one scale for both


def test_a_stack_that_something_else_reads_stays_for_that_reader(tmp_path):
    nodes, weights = quantized_matmul(np.random.default_rng(2), "stack", "result", 3 * WIDTH)
    stack = [
        helper.make_node("Gather", ["frames", "index"], ["windows"], axis=1),
        helper.make_node("Reshape", ["windows", "rows"], ["stack"]),
        helper.make_node("Neg", ["stack"], ["negative"]),
    ]
    path = save(tmp_path / "read.onnx", stack + nodes, weights, ["result", "negative"])
    before = outputs_of(path)
    assert quantize_before_stacking(path) == 1
    for after, earlier in zip(outputs_of(path), before, strict=True):
        np.testing.assert_array_equal(after, earlier)


def test_what_is_only_reshaped_is_quantised_where_it_was(tmp_path):
    nodes, weights = quantized_matmul(np.random.default_rng(4), "stack", "result", 3 * WIDTH)
    path = save(
        tmp_path / "reshaped.onnx",
        [helper.make_node("Reshape", ["frames", "rows"], ["stack"]), *nodes],
        weights,
        ["result"],
    )
    before = path.read_bytes()
    assert quantize_before_stacking(path) == 0
    assert path.read_bytes() == before
