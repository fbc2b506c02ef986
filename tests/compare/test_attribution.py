"""The roofline: work as PyTorch's flop counter counts it, and every second of a run in one class."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.runtime.tiny_bundle import batched_graph
from wav2edge.errors import UsageError
from wav2edge_compare.roofline import Roofs, attribution, roofline, roofline_measurement, roofs
from wav2edge_compare.roofline.attribution import BETWEEN, attribute
from wav2edge_compare.roofline.operators import (
    ACTIVATION,
    ATTENTION,
    FP32,
    INT4,
    INT8,
    MATMUL_CLASSES,
    MOVEMENT,
    NORMALISATION,
    OTHER,
    Node,
)
from wav2edge_compare.roofline.profiling import ProfiledRun, profile_runs
from wav2edge_export.quantization.weight_matmuls import assign, quantize_matmuls, weight_matmuls
from wav2edge_train.checkpoint.library_logging import quiet_exporters

CLIP_S = 0.1
WIDTH, HEADS, BINS = 64, 4, 80
ROOFS = Roofs(int8_macs_per_s=2e11, fp32_macs_per_s=1e11, memory_bytes_per_s=1e10)


class Layer(nn.Module):
    """A convolution, attention in plain MatMuls, and a feed-forward pair, over a clip cut into frames."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(BINS, WIDTH, 3, groups=2)
        self.joint = nn.Linear(WIDTH, 3 * WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, samples):
        frames = self.conv(samples.reshape(1, -1, BINS).transpose(1, 2)).transpose(1, 2)
        query, key, value = (
            part.reshape(1, -1, HEADS, WIDTH // HEADS).transpose(1, 2) for part in self.joint(frames).chunk(3, dim=-1)
        )
        attended = (query @ key.transpose(2, 3)).softmax(-1) @ value
        frames = self.norm(attended.transpose(1, 2).reshape(1, -1, WIDTH))
        return self.narrow(nn.functional.gelu(self.wide(frames)))


@pytest.fixture(scope="module")
def layer():
    torch.manual_seed(0)
    return Layer().eval()


@pytest.fixture(scope="module")
def graph(layer, tmp_path_factory):
    """The layer as an fp32 graph with the engine's input."""
    path = tmp_path_factory.mktemp("graphs") / "layer.onnx"
    with quiet_exporters():
        torch.onnx.export(
            layer,
            (torch.zeros(1, 1600),),
            str(path),
            input_names=["input_values"],
            dynamic_axes={"input_values": {1: "samples"}},
            opset_version=18,
            dynamo=False,
        )
    return path


@pytest.fixture(scope="module")
def flops(layer):
    """PyTorch's count for each operator; a multiply-accumulate is two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        layer(torch.zeros(1, round(CLIP_S * 16_000)))
    return {str(operator): count for operator, count in counter.get_flop_counts()["Global"].items()}


def one_run(path):
    """The last of a few profiled runs."""
    return profile_runs(path, [CLIP_S], threads=1, runs=2)[CLIP_S][-1]


def macs(run, *classes):
    return sum(node.macs for name in classes for node in run.of_class(name))


def test_the_multiply_accumulates_of_a_graph_are_those_of_pytorch(graph, flops):
    run = one_run(graph)
    attention = flops["aten.bmm"] // 2
    assert macs(run, ATTENTION) == attention
    assert macs(run, FP32) == sum(flops.values()) // 2 - attention
    assert macs(run, INT8, INT4) == 0


@pytest.mark.parametrize(("level", "operator_class"), [("int8", INT8), ("int4", INT4)])
def test_quantised_matmuls_have_the_same_multiply_accumulates(graph, flops, tmp_path, level, operator_class):
    quantised = tmp_path / "quantised.onnx"
    matmuls = weight_matmuls(graph)
    assert len(matmuls) == 3
    quantize_matmuls(graph, quantised, assign(matmuls, level, {}))
    run = one_run(quantised)
    convolution = flops["aten.convolution"] // 2
    assert macs(run, FP32) == convolution
    assert macs(run, operator_class) == sum(flops.values()) // 2 - flops["aten.bmm"] // 2 - convolution


def test_fused_attention_has_the_multiply_accumulates_of_its_two_matmuls(tmp_path):
    names = ("query", "key", "value")
    frames = 24
    shape = numpy_helper.from_array(np.int64([1, -1, WIDTH]), "shape")
    nodes = [helper.make_node("Reshape", ["input_values", "shape"], [name]) for name in names]
    nodes.append(helper.make_node("MultiHeadAttention", [*names], ["out"], domain="com.microsoft", num_heads=HEADS))
    made = helper.make_graph(
        nodes,
        "attention",
        [helper.make_tensor_value_info("input_values", TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, "frames", WIDTH])],
        [shape],
    )
    path = tmp_path / "attention.onnx"
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(made, opset_imports=opsets, ir_version=8), str(path))
    clip_s = frames * WIDTH / 16_000
    (run,) = profile_runs(path, [clip_s], threads=1, runs=1)[clip_s]
    heads = torch.zeros(1, HEADS, frames, WIDTH // HEADS)
    with FlopCounterMode(display=False) as counter:
        (heads @ heads.transpose(2, 3)).softmax(-1) @ heads
    assert macs(run, ATTENTION) == counter.get_total_flops() // 2


def test_each_operator_of_a_run_has_a_known_class(graph):
    run = one_run(graph)
    found = {node.operator_class for node in run.nodes}
    assert {FP32, ATTENTION, NORMALISATION, ACTIVATION, MOVEMENT} <= found
    assert OTHER not in found


def test_the_shares_of_a_run_sum_to_one_with_the_time_between_operators(graph):
    found = attribute(CLIP_S, profile_runs(graph, [CLIP_S], threads=1, runs=3)[CLIP_S], ROOFS)
    assert sum(each.share for each in found.classes) == pytest.approx(1.0)
    assert sum(each.duration_s for each in found.classes) == pytest.approx(found.duration_s)
    assert BETWEEN in [each.name for each in found.classes]
    assert [each.duration_s for each in found.classes] == sorted((e.duration_s for e in found.classes), reverse=True)


def node(operator, inputs, outputs, *, dur=10, moved=(0, 0, 0)):
    """A node as ONNX Runtime's profile writes it."""
    activation, parameter, output = map(str, moved)
    facts = {
        "op_name": operator,
        "input_type_shape": [{"float": shape} for shape in inputs],
        "output_type_shape": [{"float": shape} for shape in outputs],
        "activation_size": activation,
        "parameter_size": parameter,
        "output_size": output,
    }
    return Node.of({"cat": "Node", "name": "layer/node_kernel_time", "dur": dur, "args": facts})


def test_a_weight_matmul_is_distinguished_from_one_of_two_activations():
    packed = node("MatMul", [[1, 49, 64]], [[1, 49, 32]])
    loose = node("MatMul", [[1, 49, 64], [64, 32]], [[1, 49, 32]], moved=(1, 8192, 1))
    scores = node("MatMul", [[1, 4, 49, 16], [1, 4, 16, 49]], [[1, 4, 49, 49]], moved=(1, 0, 1))
    assert [each.operator_class for each in (packed, loose, scores)] == [FP32, FP32, ATTENTION]
    assert packed.macs == loose.macs == 49 * 64 * 32
    assert scores.macs == 4 * 49 * 49 * 16


def test_bytes_are_counted_where_they_are_moved_and_a_view_moves_none():
    assert node("Transpose", [[4, 8]], [[8, 4]], moved=(128, 0, 128)).bytes_moved == 256
    assert node("Reshape", [[4, 8], [1]], [[32]], moved=(128, 8, 128)).bytes_moved == 0
    assert node("Unknown", [[4]], [[4]], moved=(16, 0, 16)).operator_class == OTHER


def test_a_rate_is_compared_with_the_roof_of_its_class():
    nodes = (
        node("DynamicQuantizeMatMul", [[1, 100, 1000], [10]], [[1, 100, 10]], dur=50),
        node("Add", [[1000]], [[1000]], dur=20, moved=(60_000, 0, 40_000)),
    )
    found = attribute(1.0, [ProfiledRun(duration_s=100e-6, nodes=nodes)], ROOFS)
    matmul, between, addition = found.classes
    assert (matmul.name, matmul.unit, matmul.rate_per_s) == (INT8, "MAC", pytest.approx(1e6 / 50e-6))
    assert matmul.roof_share == pytest.approx(0.1)
    assert (between.name, between.share, between.rate_per_s) == (BETWEEN, pytest.approx(0.3), None)
    assert (addition.unit, addition.rate_per_s) == ("B", pytest.approx(5e9))
    assert found.bound_s == pytest.approx(1e6 / 2e11 + 1e5 / 1e10)


def test_matmuls_are_also_grouped_by_shape(graph):
    found = attribute(CLIP_S, profile_runs(graph, [CLIP_S], threads=1, runs=1)[CLIP_S], ROOFS)
    frames = 18
    named = {each.name: each for each in found.matmuls}
    assert named[f"{FP32} {frames} x {WIDTH} x {4 * WIDTH}"].work == frames * WIDTH * 4 * WIDTH
    assert named[f"{FP32} {frames} x {WIDTH} x {3 * WIDTH}"].nodes == 1
    shaped = sum(each.work for each in found.matmuls)
    multiplied = sum(each.work for each in found.classes if each.name in MATMUL_CLASSES)
    assert multiplied - shaped == frames * WIDTH * BINS // 2 * 3  # the convolution


def test_a_batched_graph_gets_its_mask(tmp_path):
    path = tmp_path / "batched.onnx"
    onnx.save(batched_graph(), str(path))
    assert macs(one_run(path), FP32) > 0


def test_the_median_run_is_reported():
    runs = [ProfiledRun(duration_s=taken, nodes=()) for taken in (3.0, 1.0, 2.0)]
    assert attribute(1.0, runs, ROOFS).duration_s == 2.0


def test_a_branch_is_counted_once_and_its_parent_never(tmp_path):
    def branch(name, operator):
        made = [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)]
        return helper.make_graph([helper.make_node(operator, ["input_values"], [f"{name}_out"])], name, [], made)

    nodes = [
        helper.make_node("ReduceMax", ["input_values"], ["peak"], keepdims=0),
        helper.make_node("Greater", ["peak", "limit"], ["loud"]),
        helper.make_node("If", ["loud"], ["out"], then_branch=branch("a", "Tanh"), else_branch=branch("b", "Relu")),
    ]
    made = helper.make_graph(
        nodes,
        "branches",
        [helper.make_tensor_value_info("input_values", TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.float32(100), "limit")],
    )
    path = tmp_path / "branches.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    operators = [each.operator for each in one_run(path).nodes]
    assert operators.count("Relu") == 1
    assert not {"If", "Tanh"} & set(operators)


@pytest.fixture
def small_roofs(monkeypatch):
    """Roofs over MatMuls and copies that take no time."""
    monkeypatch.setattr(roofs, "SHAPES", ((64, 128), (128, 64)))
    monkeypatch.setattr(roofs, "COPY_BYTES", 1 << 16)


def test_the_matmuls_of_the_roofs_are_those_of_numpy(small_roofs):
    for matmul in (roofs.int8_matmul(64, 128), roofs.fp32_matmul(64, 128)):
        weights = numpy_helper.to_array(matmul.model.graph.initializer[0])
        values = matmul.feeds["values"]
        found = roofs.open_matmul(matmul, threads=1).run(None, matmul.feeds)[0]
        expected = values.astype(np.float64) @ weights.astype(np.float64)
        assert np.abs(found - expected).max() < 1e-3
        assert matmul.macs == values.shape[0] * weights.size


def test_the_higher_roof_of_two_measurements_is_taken():
    other = Roofs(int8_macs_per_s=1e11, fp32_macs_per_s=3e11, memory_bytes_per_s=1e10)
    assert ROOFS.best(other) == Roofs(int8_macs_per_s=2e11, fp32_macs_per_s=3e11, memory_bytes_per_s=1e10)


@pytest.mark.usefixtures("small_roofs")
def test_a_roofline_is_measured_in_one_process_and_written_as_strict_json(graph):
    steps = []
    found = roofline(graph, [0.1, 0.2], 1, runs=2, advance=lambda: steps.append(1))
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [sample["clip_s"] for sample in document["samples"]] == [0.1, 0.2]
    assert len(steps) == 3
    for sample in document["samples"]:
        matmuls = [each for each in sample["classes"] if each["name"] in MATMUL_CLASSES]
        assert all(each["unit"] == "MAC" and each["rate_per_s"] > 0 for each in matmuls)
    short, long = (sum(e["work"] for e in s["classes"] if e["name"] == FP32) for s in document["samples"])
    assert long > 2 * short > 0
    assert "0.2 s clip" in found.table()
    assert attribution.NOTE in found.table()


@pytest.mark.parametrize(("durations_s", "runs"), [([], 1), ([0.0], 1), ([1.0], 0)])
def test_nothing_to_measure_is_a_usage_error(graph, durations_s, runs):
    with pytest.raises(UsageError, match="at least one length"):
        roofline_measurement.roofline(graph, durations_s, 1, runs=runs)
