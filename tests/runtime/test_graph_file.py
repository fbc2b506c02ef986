"""The graph that is handed over without its weights is the graph in the file, as `onnx` and ONNX Runtime read it."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

import wav2edge.inference.sessions.graph_file
from wav2edge.inference.sessions.device import open_session
from wav2edge.inference.sessions.graph_file import LARGE_BYTES, map_graph

WIDTH = 160
INPUT = np.random.default_rng(1).standard_normal((3, WIDTH)).astype(np.float32)


@pytest.fixture
def heavy(tmp_path):
    """A graph of two MatMuls: weights of 100 kB as raw bytes and as numbers, and a bias that is small."""
    rng = np.random.default_rng(0)
    raw = numpy_helper.from_array(rng.standard_normal((WIDTH, WIDTH)).astype(np.float32), "raw")
    numbers = helper.make_tensor("numbers", TensorProto.FLOAT, [WIDTH, WIDTH], rng.standard_normal(WIDTH * WIDTH))
    bias = numpy_helper.from_array(rng.standard_normal(WIDTH).astype(np.float32), "bias")
    nodes = [
        helper.make_node("MatMul", ["input", "raw"], ["first"]),
        helper.make_node("Add", ["first", "bias"], ["second"]),
        helper.make_node("MatMul", ["second", "numbers"], ["output"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", WIDTH]) for name in ("input", "output")]
    graph = helper.make_graph(nodes, "heavy", ends[:1], ends[1:], [raw, numbers, bias], doc_string="größer")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], producer_name="a test")
    path = tmp_path / "model.onnx"
    onnx.save(model, str(path))
    return path


def test_only_the_large_raw_weights_leave_the_graph(heavy):
    mapped = onnx.load_from_string(map_graph(heavy).model)
    places = {tensor.name: tensor.data_location for tensor in mapped.graph.initializer}
    assert places == {"raw": TensorProto.EXTERNAL, "numbers": TensorProto.DEFAULT, "bias": TensorProto.DEFAULT}
    assert len(map_graph(heavy).model) < heavy.stat().st_size - LARGE_BYTES


def test_with_its_weights_read_back_the_graph_is_the_one_in_the_file(heavy):
    mapped = map_graph(heavy)
    model = onnx.load_from_string(mapped.model)
    external_data_helper.load_external_data_for_model(model, str(mapped.folder))
    for tensor in model.graph.initializer:
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    original = onnx.load(str(heavy))
    for tensor in original.graph.initializer:
        tensor.ClearField("data_location")
    assert model == original


def test_a_weight_whose_file_says_where_it_lies_leaves_the_graph_all_the_same(heavy):
    model = onnx.load(str(heavy))
    model.graph.initializer[0].data_location = TensorProto.DEFAULT  # written out, as quantize_dynamic does
    heavy.write_bytes(model.SerializeToString())
    mapped = onnx.load_from_string(map_graph(heavy).model)
    assert mapped.graph.initializer[0].data_location == TensorProto.EXTERNAL
    open_session(heavy)


def test_a_mapped_graph_computes_bit_for_bit_like_the_file(heavy):
    (expected,) = onnxruntime.InferenceSession(str(heavy)).run(None, {"input": INPUT})
    session, _ = open_session(heavy, threads=1)
    np.testing.assert_array_equal(session.run(None, {"input": INPUT})[0], expected)


def test_a_graph_behind_a_link_is_mapped_from_the_file_it_points_to(heavy, tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    heavy.rename(blobs / "4f2a")
    (snapshot / "model.onnx").symlink_to(blobs / "4f2a")
    assert map_graph(snapshot / "model.onnx").folder == blobs
    session, _ = open_session(snapshot / "model.onnx", threads=1)
    assert session.run(None, {"input": INPUT})[0].shape == (3, WIDTH)


def test_the_tiny_bundle_has_nothing_to_map_and_stays_as_it_is(bundle):
    graph = bundle / "onnx/model.onnx"
    assert onnx.load_from_string(map_graph(graph).model) == onnx.load(str(graph))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x3a\xff\x01", "damaged at byte 0"),
        (b"\x08\x08\x3b", "unknown wire type 3 at byte 3"),
        (b"\x08" + 11 * b"\x80", "truncated varint at byte 1"),
        (b"\x00\x01", "damaged at byte 0"),
        (b"\x0d\x01", "damaged at byte 0"),
    ],
)
def test_a_file_of_something_else_is_refused_where_it_ceases_to_make_sense(tmp_path, content, reason):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        map_graph(path)


@pytest.mark.slow  # writes some hundred files
def test_every_cut_of_a_graph_is_refused_or_read_and_never_breaks_the_reader(heavy, tmp_path, monkeypatch):
    monkeypatch.setattr(wav2edge.inference.sessions.graph_file, "LARGE_BYTES", 64)
    content, path = heavy.read_bytes(), tmp_path / "cut.onnx"
    refused = 0
    for length in range(1, len(content), 997):
        path.write_bytes(content[:length])
        try:
            map_graph(path)
        except ValueError:
            refused += 1
    assert refused > 0.9 * len(range(1, len(content), 997))
