"""Graphs that other exporters wrote, as bundles: what they expect is found out, and they are held against PyTorch."""

import json
import re

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from optimum.exporters.onnx import main_export

import wav2edge
from tests.export.tiny_checkpoints import save_checkpoint
from wav2edge.audio.clip import zero_mean_unit_variance
from wav2edge.bundle.folder import Bundle
from wav2edge.cli import main
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.evaluation.verification import verify
from wav2edge_export.rewrite.inputs.waveform_normalization import ZeroMeanUnitVariance
from wav2edge_train.checkpoint.library_logging import quiet_exporters
from wav2edge_train.checkpoint.loading import load_checkpoint

pytestmark = pytest.mark.slow  # exports or runs a graph of PyTorch in most of its tests

EXACT = 1e-4
CLIPS = (voiced(16_000, seed=1, amplitude=0.03), voiced(24_000, seed=2, amplitude=0.9), voiced(5_000, seed=3))


@pytest.fixture(autouse=True, scope="module")
def short_signals():
    """Certificates of up to a second: half a minute is for the tests of certificates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wav2edge.evaluation.parity.signals.LENGTHS_S", (0.03, 0.3, 1.0))
        yield


class Traced(torch.nn.Module):
    """A checkpoint as somebody may trace it: with the normalisation inside or not, with a mask or not."""

    def __init__(self, model, *, inside=False, masked=False):
        super().__init__()
        self.model, self.masked = model, masked
        self.normalize = ZeroMeanUnitVariance() if inside else torch.nn.Identity()

    def forward(self, audio, mask=None):
        given = {"attention_mask": mask} if self.masked else {}
        return self.model(self.normalize(audio), **given).logits


@pytest.fixture(scope="module")
def trace(checkpoints, tmp_path_factory):
    """Trace a checkpoint with torch.onnx; gives the file."""

    def traced(kind, *, samples_axis=True, external=False, opset=17, **how):
        path = tmp_path_factory.mktemp("traced") / "model.onnx"
        names = ["audio", "mask"] if how.get("masked") else ["audio"]
        inputs = (torch.randn(1, 16_000), torch.ones(1, 16_000, dtype=torch.int64))[: len(names)]
        axes = {name: {0: "batch", 1: "time"} for name in names} | {"scores": {0: "batch", 1: "frames"}}
        with quiet_exporters():
            torch.onnx.export(
                Traced(load_checkpoint(checkpoints(kind)).model, **how).eval(),
                inputs,
                str(path),
                input_names=names,
                output_names=["scores"],
                dynamic_axes=axes if samples_axis else None,
                opset_version=opset,
                dynamo=False,
            )
        if external:
            onnx.save(
                onnx.load(str(path)), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
            )
        return path

    return traced


@pytest.fixture(scope="module")
def by_optimum(checkpoints, tmp_path_factory):
    """A folder with the plain export of Optimum, as ``optimum-cli export onnx`` makes it."""
    folder = tmp_path_factory.mktemp("optimum")
    with quiet_exporters():
        main_export(str(checkpoints("ctc")), folder, task="automatic-speech-recognition", do_validation=False)
    return folder


def answers_like_pytorch(bundle, checkpoint):
    """Whether the bundle gives the logits of the checkpoint for raw waveforms of any loudness."""
    engine, original = wav2edge.load(bundle, threads=1), load_checkpoint(checkpoint)
    for clip in CLIPS:
        waveform = zero_mean_unit_variance(clip) if original.normalize else clip
        with torch.inference_mode():
            wanted = original.model(torch.from_numpy(waveform)[None]).logits[0].numpy()
        if np.abs(engine.outputs(clip)["logits"] - wanted).max() > EXACT:
            return False
    return True


def run_import(graph, checkpoint, output, *words):
    return main(["import", str(graph), "--like", str(checkpoint), "--output", str(output), *words])


def test_what_optimum_exports_becomes_a_verified_bundle_that_takes_raw_waveforms(
    by_optimum, checkpoints, tmp_path, capsys
):
    assert run_import(by_optimum / "model.onnx", checkpoints("ctc"), tmp_path / "bundle") == 0
    assert "fp32, expects normalised waveforms, which it now gets inside" in capsys.readouterr().err
    bundle = Bundle.open(tmp_path / "bundle")
    assert all(check.passed for check in verify(bundle))
    assert answers_like_pytorch(bundle.folder, checkpoints("ctc"))
    certificate = json.loads((bundle.folder / "certificate.json").read_text())["variants"]["fp32"]
    assert (certificate["passed"], certificate["note"]) == (True, "imported from model.onnx")
    assert certificate["measured"]["absolute_error"] < EXACT


def test_what_optimum_quantises_is_an_int8_bundle_by_default_next_to_the_file(
    by_optimum, checkpoints, tmp_path, capsys
):
    from optimum.onnxruntime import AutoQuantizationConfig, ORTQuantizer

    recipe = AutoQuantizationConfig.avx2(is_static=False, operators_to_quantize=["MatMul"])
    with quiet_exporters():
        ORTQuantizer.from_pretrained(by_optimum, file_name="model.onnx").quantize(recipe, tmp_path / "int8")
    (graph,) = (tmp_path / "int8").glob("*.onnx")
    assert main(["import", str(graph), "--like", str(checkpoints("ctc"))]) == 0
    bundle = Bundle.open(graph.with_suffix(""))
    assert list(bundle.manifest.variants) == ["int8"]
    assert bundle.manifest.variants["int8"].file == "onnx/model_quantized.onnx"
    assert all(check.passed for check in verify(bundle))


@pytest.mark.parametrize(
    ("kind", "how", "finding"),
    [
        ("ctc", {"inside": True}, "takes raw waveforms"),
        ("ctc", {"masked": True, "opset": 14}, "expects normalised waveforms"),
        ("hubert ctc", {"external": True, "opset": 18}, "expects normalised waveforms"),
    ],
)
def test_graphs_of_torch_onnx_are_made_to_take_raw_waveforms(trace, checkpoints, tmp_path, capsys, kind, how, finding):
    assert run_import(trace(kind, **how), checkpoints(kind), tmp_path / "bundle") == 0
    assert f"fp32, {finding}" in capsys.readouterr().err
    assert answers_like_pytorch(tmp_path / "bundle", checkpoints(kind))


def test_a_checkpoint_without_normalisation_gets_none(trace, checkpoints, tmp_path, capsys):
    folder = save_checkpoint(tmp_path / "raw", "ctc")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "do_normalize": False}))
    assert run_import(trace("ctc"), folder, tmp_path / "bundle") == 0
    assert "takes raw waveforms" in capsys.readouterr().err
    assert answers_like_pytorch(tmp_path / "bundle", folder)


def test_the_graph_of_another_checkpoint_is_refused_with_the_figures(trace, tmp_path, capsys):
    other = save_checkpoint(tmp_path / "other", "ctc", initializer_range=0.03)
    assert run_import(trace("ctc"), other, tmp_path / "bundle") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "does not answer like" in line
    assert "absolute error" in line
    assert re.search(r"0\.000\d+ allowed", line)
    assert not (tmp_path / "bundle").exists()


def test_scores_with_the_frames_before_the_batch_are_refused(trace, checkpoints, tmp_path, capsys):
    graph = onnx.load(str(trace("ctc")))
    graph.graph.node.append(onnx.helper.make_node("Transpose", ["scores"], ["time_first"], perm=[1, 0, 2]))
    graph.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("time_first", 1, ["frames", "batch", None]))
    onnx.save(graph, str(tmp_path / "model.onnx"))
    assert run_import(tmp_path / "model.onnx", checkpoints("ctc"), tmp_path / "bundle") == 3
    assert "an output has no batch in front" in capsys.readouterr().err


def test_a_graph_of_one_length_is_refused(trace, checkpoints, tmp_path, capsys):
    assert run_import(trace("ctc", samples_axis=False), checkpoints("ctc"), tmp_path / "bundle") == 3
    assert "takes 1 clips of 16000 samples and no others" in capsys.readouterr().err


def test_a_mask_of_floats_in_front_and_an_opset_under_both_names_are_imported(trace, checkpoints, tmp_path):
    path = trace("ctc")
    model = onnx.load(str(path))
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.FLOAT, ["batch", "time"])
    inputs = [mask, *model.graph.input]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.opset_import.append(helper.make_opsetid("ai.onnx", 17))
    onnx.save(model, str(path))
    assert run_import(path, checkpoints("ctc"), tmp_path / "bundle") == 0


def write_graph(path, inputs, outputs, *, opset=17):
    """A graph that only has a shape."""
    kinds = {"float": TensorProto.FLOAT, "int64": TensorProto.INT64}
    values = [
        [helper.make_tensor_value_info(name, kinds.get(kind, kind), shape) for name, kind, shape in each]
        for each in (inputs, outputs)
    ]
    node = helper.make_node("Identity", [inputs[0][0]], [outputs[0][0]])
    graph = helper.make_graph([node], "shape", *values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize(
    ("inputs", "outputs", "opset", "reason"),
    [
        (
            [("x", "float", ["b", 80, "t"])],
            [("y", "float", ["b", "f", 7])],
            17,
            r"its inputs are x \[\?, 80, \?\] float",
        ),
        (
            [("x", "float", ["b", "t"]), ("lengths", "int64", ["b"])],
            [("y", "float", ["b", "f", 7])],
            17,
            "and nothing else but a mask of them",
        ),
        (
            [("x", "float", ["b", "t"]), ("z", 99, ["b", "t"])],
            [("y", "float", ["b", "f", 7])],
            17,
            r"z \[\?, \?\] of type 99",
        ),
        ([("x", "float", ["b", "t"])], [("y", "float", ["b", "f", 32])], 17, r"\[batch, frames, 7\] float32 is needed"),
        ([("x", "float", ["b", "t"])], [("y", "float", ["b", "f", 7])], 11, "made for opset 11"),
        ([("x", "float", ["b", "t"])], [("y", "float", ["b", "f", 7])], 17, "cannot be run|none of its outputs"),
    ],
)
def test_what_is_no_graph_from_waveforms_to_ctc_scores_is_refused(
    checkpoints, tmp_path, capsys, inputs, outputs, opset, reason
):
    graph = write_graph(tmp_path / "other.onnx", inputs, outputs, opset=opset)
    assert run_import(graph, checkpoints("ctc"), tmp_path / "bundle") == 3
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.search(reason, line), line
    assert not (tmp_path / "bundle").exists()


def test_a_file_that_is_no_onnx_and_a_checkpoint_that_only_classifies_are_refused(checkpoints, tmp_path, capsys):
    (tmp_path / "text.onnx").write_text("not a graph")
    assert run_import(tmp_path / "text.onnx", checkpoints("ctc"), tmp_path / "bundle") == 3
    assert "no ONNX file that can be read" in capsys.readouterr().err
    assert run_import(tmp_path / "text.onnx", checkpoints("classification"), tmp_path / "bundle") == 3
    assert "does not transcribe" in capsys.readouterr().err


def test_a_graph_is_not_imported_over_the_folder_that_it_lies_in(bundles, checkpoints, capsys):
    bundle = bundles("ctc").folder
    before = sorted(bundle.rglob("*"))
    assert run_import(bundle / "onnx/model.onnx", checkpoints("ctc"), bundle) == 2
    assert f"lies in {bundle}, which would be replaced; give another --output" in capsys.readouterr().err
    assert sorted(bundle.rglob("*")) == before


def test_a_file_without_a_suffix_needs_an_output(tmp_path, capsys):
    assert main(["import", str(tmp_path / "model"), "--like", "nowhere"]) == 2
    assert "has no suffix to leave out; give --output BUNDLE" in capsys.readouterr().err
