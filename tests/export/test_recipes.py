"""Every precision of the table: what becomes of the weight MatMuls, how large the file is, and its error."""

import dataclasses
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from wav2edge.bundle.folder import CERTIFICATE
from wav2edge.cli import main
from wav2edge.errors import ParityError
from wav2edge.evaluation.parity.differences import Budget
from wav2edge.evaluation.parity.signals import synthetic_signals
from wav2edge.evaluation.verification import verify
from wav2edge.inference.sessions.cpu import TARGETS, native_target
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.exporting import export_bundle
from wav2edge_export.quantization import fp16, recipes
from wav2edge_export.quantization.fp16 import convert_to_fp16
from wav2edge_export.quantization.recipes import RECIPES, build_graph
from wav2edge_export.quantization.weight_matmuls import INT4_BLOCK, assign, quantize_matmuls, weight_matmuls
from wav2edge_export.rewrite.onnx_export import export_graph
from wav2edge_train.checkpoint.loading import load_checkpoint

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

ONE_MATMUL = "matmul"
INT8, UINT8 = TensorProto.INT8, TensorProto.UINT8


def matmul_graph(path, weights):
    """One weight MatMul and nothing else: ``[batch, terms]`` times ``weights: [terms, outputs]``."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name=ONE_MATMUL)],
        "matmul",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", weights.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", weights.shape[1]])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), str(path))
    return path


def open_graph(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options)


def run(path, **inputs):
    return open_graph(path).run(None, inputs)


def nodes(path):
    return onnx.load(str(path)).graph.node


@pytest.fixture(scope="session")
def every_precision(checkpoints, tmp_path_factory):
    """A bundle of the joint checkpoint with every variant."""
    options = ExportOptions(
        checkpoint=str(checkpoints("joint")),
        output=tmp_path_factory.mktemp("precisions") / "bundle",
        precisions=("int8", "int4", "fp16", "fp32"),
        target="avx2",
    )
    return export_bundle(options).bundle


def test_every_precision_is_written_certified_and_verifies(every_precision):
    assert set(every_precision.manifest.variants) == {"int8", "int4", "fp16", "fp32"}
    assert [check.name for check in verify(every_precision) if not check.passed] == []
    targets = {name: variant.target for name, variant in every_precision.manifest.variants.items()}
    assert targets == {"int8": "avx2", "int4": "avx2", "fp16": None, "fp32": None}
    for name in targets:
        onnx.checker.check_model(str(every_precision.folder / RECIPES[name].file))
    card = (every_precision.folder / "README.md").read_text()
    assert all(f"| {name} | `{RECIPES[name].file}`" in card for name in targets)


# Levels


def test_a_part_takes_the_matmuls_whose_names_hold_it_to_its_level(bundles):
    matmuls = weight_matmuls(bundles("joint").folder / "onnx/model.onnx")
    levels = assign(matmuls, "int4", {"/layers.1/attention/": "float", "/layers.1/": "int8"})
    assert {name.split("/layers.1/")[1].split("/")[0] for name, level in levels.items() if level == "float"} == {
        "attention"
    }
    assert sum(level == "int8" for level in levels.values()) == 3  # of the feature encoder one, of the feed-forward two
    assert set(levels) == {matmul.name for matmul in matmuls}


def test_a_graph_of_mixed_levels_holds_as_many_matmuls_of_each_as_were_asked_for(bundles, tmp_path):
    source = bundles("joint").folder / "onnx/model.onnx"
    matmuls = weight_matmuls(source)
    levels = {matmul.name: ("int4", "int8", "float")[place % 3] for place, matmul in enumerate(matmuls)}
    quantize_matmuls(source, tmp_path / "mixed.onnx", levels)
    operators = [node.op_type for node in nodes(tmp_path / "mixed.onnx")]
    assert operators.count("MatMulNBits") == sum(level == "int4" for level in levels.values())
    assert operators.count("MatMulInteger") == sum(level == "int8" for level in levels.values())
    names = {node.name for node in nodes(tmp_path / "mixed.onnx") if node.op_type == "MatMul"}
    assert {name for name, level in levels.items() if level == "float"} <= names


def test_four_bit_matmuls_that_the_quantiser_skips_are_noticed(tmp_path, monkeypatch):
    source = matmul_graph(tmp_path / "fp32.onnx", np.ones((64, 4), np.float32))
    monkeypatch.setattr("wav2edge_export.quantization.weight_matmuls.MatMulNBitsQuantizer.process", lambda self: None)
    with pytest.raises(ParityError, match="int4: 0 weight MatMuls were quantised where 1 were intended"):
        quantize_matmuls(source, tmp_path / "int4.onnx", {ONE_MATMUL: "int4"})


def test_eight_bit_matmuls_that_the_quantiser_skips_are_noticed(bundles, tmp_path, monkeypatch):
    def quantise_nothing(source, target, **options):
        onnx.save(onnx.load(str(source)), str(target))

    monkeypatch.setattr("wav2edge_export.quantization.weight_matmuls.quantize_dynamic", quantise_nothing)
    with pytest.raises(ParityError, match="0 weight MatMuls were quantised where"):
        build_graph(
            RECIPES["int8"], bundles("ctc").folder / "onnx/model.onnx", tmp_path / "int8.onnx", parts={}, target="vnni"
        )


def test_four_bits_are_those_of_round_to_nearest_in_blocks_with_eight_bit_activations(tmp_path):
    rng = np.random.default_rng(3)
    weights = rng.standard_normal((128, 8)).astype(np.float32)
    source = matmul_graph(tmp_path / "fp32.onnx", weights)
    quantize_matmuls(source, tmp_path / "int4.onnx", {ONE_MATMUL: "int4"})
    (node,) = nodes(tmp_path / "int4.onnx")
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    assert (attributes["bits"], attributes["block_size"], attributes["accuracy_level"]) == (4, INT4_BLOCK, 4)
    blocks = weights.reshape(-1, INT4_BLOCK, 8)
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1, keepdims=True), axis=1)
    scale = extreme / -8
    rounded = (np.clip(np.round(blocks / scale), -8, 7) * scale).reshape(weights.shape)
    x = rng.standard_normal((5, 128)).astype(np.float32)
    (found,) = run(tmp_path / "int4.onnx", x=x)
    assert np.abs(found - x @ rounded).max() < 0.02 * np.abs(x @ rounded).max()  # what the activations' 8 bits cost
    assert np.abs(found - x @ weights).max() > 0.02 * np.abs(x @ weights).max()


def test_four_bit_weights_and_their_scales_take_four_and_a_half_bits(tmp_path):
    weights = np.random.default_rng(4).standard_normal((1024, 512)).astype(np.float32)
    source = matmul_graph(tmp_path / "fp32.onnx", weights)
    sizes_bytes = {}
    for level in ("int4", "int8"):
        quantize_matmuls(source, tmp_path / f"{level}.onnx", {ONE_MATMUL: level})
        sizes_bytes[level] = (tmp_path / f"{level}.onnx").stat().st_size
    assert sizes_bytes["int4"] * 8 / weights.size == pytest.approx(4.5, abs=0.02)
    assert sizes_bytes["int4"] < 0.6 * sizes_bytes["int8"]


# Targets


def test_seven_bit_or_unsigned_weights_make_exact_matmuls_where_signed_eight_bits_saturate(tmp_path):
    if native_target()[0] == "vnni":
        pytest.skip("the int8 MatMuls of this processor are exact; tests/runtime/test_cpu.py has the arithmetic")
    source = matmul_graph(tmp_path / "fp32.onnx", np.ones((64, 32), np.float32))
    errors = {}
    for name, target in TARGETS.items():
        quantize_matmuls(source, tmp_path / "int8.onnx", {ONE_MATMUL: "int8"}, target=target)
        (found,) = run(tmp_path / "int8.onnx", x=np.ones((16, 64), np.float32))
        errors[name] = float(np.abs(found / 64 - 1).max())
    assert errors["vnni"] > 0.4
    assert errors["avx2"] < 0.001
    assert errors["exact"] < 0.005  # half a step of 8 bits


def test_the_target_of_an_export_sets_the_range_of_its_weights_and_is_said(checkpoints, tmp_path, monkeypatch, capsys):
    anything = dataclasses.replace(RECIPES["int8"], budget=Budget())  # eight bits may saturate here
    monkeypatch.setitem(recipes.RECIPES, "int8", anything)
    for target, kind, largest in (("vnni", INT8, 127), ("avx2", INT8, 64), ("exact", UINT8, 255)):
        output = tmp_path / target
        assert main(["export", str(checkpoints("joint")), "--output", str(output), "--target", target]) == 0
        assert f"int8 MatMuls are made for {target} (" in capsys.readouterr().err
        graph = onnx.load(str(output / "onnx/model_quantized.onnx")).graph
        quantized = [each for each in graph.initializer if each.data_type == kind and len(each.dims) == 2]
        assert max(np.abs(numpy_helper.to_array(each).astype(int)).max() for each in quantized) == largest


# Half precision


def test_half_precision_keeps_norms_statistics_and_the_waveform_in_float32(every_precision, bundles):
    graph = onnx.load(str(every_precision.folder / RECIPES["fp16"].file)).graph
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    assert set(kinds.values()) == {TensorProto.FLOAT}
    halves = {name for node in graph.node if node.op_type == "Cast" and casts_to_half(node) for name in node.output}
    halves |= {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    for node in graph.node:
        if node.op_type in ("LayerNormalization", "ReduceMean", "ReduceSum") or "/normalization/" in node.name:
            assert not halves & set(node.input[:1]), node.name
    matmuls = [node for node in graph.node if node.op_type in ("MatMul", "MultiHeadAttention")]
    weights = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert {weights.get(node.input[1], TensorProto.FLOAT16) for node in matmuls} == {TensorProto.FLOAT16}


@pytest.mark.parametrize("operators", ["fused", "standard", "gpu"])
@pytest.mark.parametrize("kind", ["joint", "group-norm ctc"])
def test_half_precision_is_valid_onnx(kind, operators, checkpoints, tmp_path):
    source, target = tmp_path / "fp32.onnx", tmp_path / "fp16.onnx"
    export_graph(load_checkpoint(checkpoints(kind)), source, operators=operators, batched=operators == "gpu")
    convert_to_fp16(source, target)
    onnx.checker.check_model(str(target))


def casts_to_half(node):
    return helper.get_node_attr_value(node, "to") == TensorProto.FLOAT16


@pytest.mark.parametrize("kind", ["group-norm ctc", "joint"])
def test_half_precision_is_within_a_hundredth_on_every_length_and_hard_signal(kind, bundles, tmp_path):
    source = bundles(kind).folder / "onnx/model.onnx"
    convert_to_fp16(source, tmp_path / "fp16.onnx")
    exact, rounded = open_graph(source), open_graph(tmp_path / "fp16.onnx")
    for case in synthetic_signals(bundles(kind).manifest.geometry, longest_s=10.0):
        outputs = (graph.run(None, {"input_values": case.samples[None]}) for graph in (exact, rounded))
        for one, other in zip(*outputs, strict=True):
            assert np.abs(one - other).max() < 0.01 * np.abs(one).max(), case.name


def test_weights_that_the_converter_skips_are_noticed(bundles, tmp_path, monkeypatch):
    monkeypatch.setattr(fp16, "convert_float_to_float16", lambda model, **options: model)
    with pytest.raises(ParityError, match="fp16: 0 weights were converted where"):
        convert_to_fp16(bundles("ctc").folder / "onnx/model.onnx", tmp_path / "fp16.onnx")


# Attempts


def test_an_export_raises_parts_until_the_budget_is_kept_and_the_certificate_names_them(
    checkpoints, tmp_path, monkeypatch, capsys
):
    base = RECIPES["int4"]
    tight = dataclasses.replace(base, attempts=({}, {"/": "int8"}, {"/": "float"}), budget=Budget(relative_error=1e-3))
    monkeypatch.setitem(recipes.RECIPES, "int4", tight)
    output = tmp_path / "bundle"
    assert main(["export", str(checkpoints("ctc")), "--output", str(output), "--precision", "int4"]) == 0
    talk = capsys.readouterr().err
    assert talk.index("making int4\n") < talk.index("making int4, / in int8") < talk.index("making int4, / in float")
    certificate = json.loads((output / CERTIFICATE).read_text())["variants"]["int4"]
    assert (certificate["kept_in_float"], certificate["kept_in_int8"]) == (["/"], [])
