from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.runtime.test_segmentation import joined
from wav2edge.audio import silero
from wav2edge.audio.segmentation import Segmentation, Segmenter
from wav2edge.audio.silero import CONTEXT, STATE_SHAPE, SileroDetector
from wav2edge.errors import MissingDependencyError, UsageError


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> str:
    """A graph with Silero's inputs and outputs: twenty times the mean absolute sample; its state counts steps."""
    nodes = [
        helper.make_node("Abs", ["input"], ["absolute"]),
        helper.make_node("ReduceMean", ["absolute"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "twenty"], ["output"]),
        helper.make_node("Add", ["state", "one"], ["stateN"]),
    ]
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, None]),
        helper.make_tensor_value_info("state", TensorProto.FLOAT, list(STATE_SHAPE)),
        helper.make_tensor_value_info("sr", TensorProto.INT64, []),
    ]
    outputs = [
        helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1]),
        helper.make_tensor_value_info("stateN", TensorProto.FLOAT, list(STATE_SHAPE)),
    ]
    constants = [
        helper.make_tensor("twenty", TensorProto.FLOAT, [], [20.0]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "like Silero's", inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    path = tmp_path_factory.mktemp("silero") / "silero_vad.onnx"
    onnx.save(model, str(path))
    return str(path)


@pytest.mark.parametrize("block", [100, 512, 5_000])
def test_each_step_is_scored_once_with_the_samples_before_it(graph, block):
    samples = np.random.default_rng(0).standard_normal(5_000).astype(np.float32)
    detector = SileroDetector(graph)
    parts = [detector.feed(samples[start : start + block]) for start in range(0, len(samples), block)]
    scores = np.concatenate([*parts, detector.finish()])
    padded = np.concatenate([np.zeros(CONTEXT), samples, np.zeros(-len(samples) % 512)])
    windows = [padded[step * 512 :][: CONTEXT + 512] for step in range(10)]
    assert scores == pytest.approx([20 * np.abs(window).mean() for window in windows], rel=1e-4)


def test_the_state_is_carried_from_step_to_step_and_starts_anew_with_a_recording(graph):
    detector = SileroDetector(graph)
    detector.feed(np.zeros(3 * 512, np.float32))
    assert (detector._state == 3).all()
    detector.finish()
    assert (detector._state == 0).all()


def test_spans_are_cut_by_the_network_that_the_options_name(graph):
    samples, places = joined(snr_db=None)
    segmenter = Segmenter(Segmentation(vad=graph), hop=320)
    spans = [*segmenter.feed(samples), *segmenter.finish()]
    assert len(spans) == len(places)
    for span, (start, end) in zip(spans, places, strict=True):
        assert span.start <= start + 800
        assert span.end >= end - 800


def test_the_installed_package_is_found_without_importing_it(monkeypatch, tmp_path):
    monkeypatch.setattr(silero, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    assert silero.installed_graph() == tmp_path / "data/silero_vad.onnx"
    monkeypatch.setattr(silero, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install --no-deps silero-vad"):
        SileroDetector("silero")
    assert "silero_vad" not in sys.modules


def test_another_graph_or_none_is_refused(bundle):
    with pytest.raises(UsageError, match="not Silero's graph, whose inputs are input, sr, state"):
        SileroDetector(str(Path(bundle) / "onnx/model.onnx"))
    with pytest.raises(UsageError, match=r"missing\.onnx: no such file"):
        SileroDetector("missing.onnx")
