"""Sums in front of layer norms stay apart from them where ONNX Runtime would fuse both into a slower operator."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from wav2edge_export.quantization.recipes import RECIPES
from wav2edge_export.quantization.skip_norms import keep_sums_apart

WIDTH = 8
FUSED = "SkipLayerNormalization"


def write(path, *, outputs=("normed",), skip="skip"):
    """A layer norm of a sum of two inputs, or of an input and a constant."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 5, WIDTH]) for name in ("values", skip)]
    named = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 5, WIDTH]) for name in outputs]
    nodes = [
        helper.make_node("Add", ["values", skip], ["sum"]),
        helper.make_node("LayerNormalization", ["sum", "weight", "bias"], ["normed"], epsilon=1e-5),
    ]
    rng = np.random.default_rng(0)
    constants = [
        numpy_helper.from_array(rng.standard_normal(WIDTH).astype(np.float32), name)
        for name in ("weight", "bias", "constant")
    ]
    inputs = values if skip != "constant" else values[:1]
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "norm", inputs, named, constants), opset_imports=opsets), path)
    return path


def loaded(path):
    """A session, and the operators that it runs."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path.with_name("optimised.onnx"))
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session, {node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node}


def test_the_runtime_fuses_an_add_but_no_sum_and_both_give_the_same(tmp_path):
    path = write(tmp_path / "norm.onnx")
    inputs = {name: np.random.default_rng(1).standard_normal((1, 5, WIDTH), np.float32) for name in ("values", "skip")}
    before, operators = loaded(path)
    assert operators == {FUSED}  # where it no longer does, this module is not needed
    expected = before.run(None, inputs)
    assert keep_sums_apart(path) == 1
    after, operators = loaded(path)
    assert operators == {"Sum", "LayerNormalization"}
    np.testing.assert_allclose(after.run(None, inputs)[0], expected[0], atol=1e-6)
    assert keep_sums_apart(path) == 0


@pytest.mark.parametrize("shape", [{"outputs": ("normed", "sum")}, {"skip": "constant"}], ids=["residual", "bias"])
def test_what_it_does_not_fuse_stays_as_it_is(tmp_path, shape):
    path = write(tmp_path / "norm.onnx", **shape)
    content = path.read_bytes()
    assert keep_sums_apart(path) == 0
    assert path.read_bytes() == content


def test_int8_of_a_post_norm_encoder_holds_such_sums(bundles):
    graph = onnx.load(str(bundles("group-norm ctc").folder / RECIPES["int8"].file)).graph
    normed = {node.input[0] for node in graph.node if node.op_type == "LayerNormalization"}
    assert "Sum" in {node.op_type for node in graph.node if set(node.output) & normed}
