"""Checkpoints whose fp32 graph is larger than an ONNX file may be; the limit is lowered, the files are as at 2 GB."""

import numpy as np
import pytest

import wav2edge
from wav2edge.bundle.folder import Bundle
from wav2edge.cli import main
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.evaluation.verification import verify
from wav2edge_export.quantization import recipes

pytestmark = pytest.mark.slow  # exports a model


@pytest.fixture
def usual(bundles):
    """The bundle of the same checkpoint from a graph in one file."""
    return bundles("ctc")


@pytest.fixture
def small_files(monkeypatch):
    """Graphs above a kilobyte are too large for a file, and Optimum puts their weights into another one."""
    monkeypatch.setattr("wav2edge_export.rewrite.onnx_export.LARGEST_GRAPH_BYTES", 1024)
    monkeypatch.setattr("wav2edge.evaluation.parity.signals.LENGTHS_S", (0.03, 0.3, 1.0))
    monkeypatch.setenv("FORCE_ONNX_EXTERNAL_DATA", "1")


def test_int8_and_int4_are_made_of_a_graph_in_several_files_of_which_none_is_left(
    usual, small_files, checkpoints, tmp_path, monkeypatch
):
    seen, build = [], recipes.build_graph

    def watched(recipe, source, path, **options):
        seen.append({each.name for each in source.parent.iterdir()})
        build(recipe, source, path, **options)

    monkeypatch.setattr(recipes, "build_graph", watched)
    words = ["export", str(checkpoints("ctc")), "--output", str(tmp_path / "b"), "--precision", "int8,int4"]
    assert main(words) == 0
    assert seen[0] == {"model.onnx", "model.onnx_data"}
    bundle = Bundle.open(tmp_path / "b")
    assert {path.name for path in (bundle.folder / "onnx").iterdir()} == {"model_quantized.onnx", "model_q4.onnx"}
    assert all(check.passed for check in verify(bundle))
    engines = [wav2edge.load(each.folder, variant="int8", threads=1) for each in (usual, bundle)]
    one, other = (engine.outputs(voiced(16_000))["logits"] for engine in engines)
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "int8,fp16", "auto"])
def test_what_needs_all_weights_in_one_file_is_refused(small_files, checkpoints, tmp_path, capsys, precision):
    words = ["export", str(checkpoints("ctc")), "--output", str(tmp_path / "b"), "--precision", precision]
    assert main(words) == 3
    assert "do not fit one ONNX file of 2 GB; export it in int8 or int4 alone" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
