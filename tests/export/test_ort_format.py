"""Bundles whose graphs are there in ONNX Runtime's own format too, as its minimal builds need them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.tools.reduced_build_config_parser import parse_config

import wav2edge
from tests.export.tiny_checkpoints import save_checkpoint
from tests.manifest_schema import VALIDATOR
from wav2edge.bundle.folder import CERTIFICATE, GOLDEN, Bundle
from wav2edge.cli import main
from wav2edge.errors import BundleError, UsageError
from wav2edge.evaluation.parity.differences import Budget
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.evaluation.verification import verify
from wav2edge_export.bundle.ort_format import REQUIRED_OPERATORS, save_as_ort, write_required_operators
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.exporting import export_bundle
from wav2edge_export.quantization.recipes import RECIPES

STREAMING = {"chunk_frames": [8], "left_frames": [32], "delay_frames": 5, "normalize": True}
NAMES = ["int8", "fp32", "int8-ort", "fp32-ort"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("ort") / "checkpoint", "joint", streaming=STREAMING)


@pytest.fixture(scope="module")
def bundle(checkpoint, tmp_path_factory):
    output = tmp_path_factory.mktemp("ort") / "bundle"
    words = ["export", str(checkpoint), "--output", str(output), "--precision", "int8,fp32", "--stream", "160"]
    assert main([*words, "--format", "ort"]) == 0
    return Bundle.open(output)


@pytest.mark.slow
def test_each_variant_is_there_in_both_formats_and_the_default_one_is_onnx(bundle):
    variants = bundle.manifest.variants
    assert list(variants) == NAMES
    assert bundle.manifest.default_variant == "int8"
    assert variants["int8-ort"] == replace(
        variants["int8"], file="onnx/model_quantized.ort", precision="int8-ort", operators="fused"
    )
    assert bundle.manifest.stream.files["int8-ort"] == "onnx/model_stream_quantized.ort"
    VALIDATOR.validate(json.loads((bundle.folder / "manifest.json").read_text()))


@pytest.mark.slow
def test_each_graph_has_its_own_certificate_and_golden_outputs_and_a_line_in_the_card(bundle):
    for name in (CERTIFICATE, GOLDEN):
        document = json.loads((bundle.folder / name).read_text())
        assert list(document["variants"]) == NAMES
        assert sorted(document["streams"]) == sorted(NAMES)
    assert "| int8-ort | `onnx/model_quantized.ort` |" in (bundle.folder / "README.md").read_text()
    assert [check.name for check in verify(bundle) if not check.passed] == []


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize("samples", [401, 719, 16_000, 60_001])
def test_both_formats_give_the_same_answers(bundle, precision, samples):
    clip = voiced(samples, seed=samples)
    engines = [wav2edge.load(bundle.folder, variant=name, threads=1) for name in (precision, f"{precision}-ort")]
    outputs, ort_outputs = (engine.outputs(clip) for engine in engines)
    for name, values in outputs.items():
        assert np.abs(ort_outputs[name] - values).max() <= 1e-5 * np.abs(values).max()
    result, ort_result = (engine(clip, rate_hz=16_000) for engine in engines)
    assert ort_result.text == result.text
    assert ort_result.label == result.label


@pytest.mark.slow
def test_a_stream_takes_the_graph_in_the_format_of_its_engine_and_says_the_same(bundle):
    sound, finals = voiced(40_000), {}
    for name in ("int8", "int8-ort"):
        engine = wav2edge.load(bundle.folder, variant=name, threads=1)
        endpointing = wav2edge.Endpointing(vad="none", padding_s=0, blank_s=10)
        with engine.stream(kind="cached", endpointing=endpointing) as stream:
            assert engine.stream_graphs.precision == name
            finals[name] = [*stream.feed(sound), *stream.finish()][-1]
    assert finals["int8-ort"].text == finals["int8"].text
    assert len(finals["int8"].text) > 3


@pytest.mark.slow
def test_every_verb_takes_the_variant_by_its_name(bundle, capsys):
    assert main(["inspect", str(bundle.folder), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["variants"]["int8-ort"]["certificate"]["passed"]
    assert main(["bench", str(bundle.folder), "--variant", "int8-ort", "--threads", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["variant"] == "int8-ort"


@pytest.mark.slow
def test_onnx_runtimes_build_reads_the_list_of_operators_and_it_names_every_one(bundle):
    path = bundle.folder / REQUIRED_OPERATORS
    assert REQUIRED_OPERATORS in bundle.manifest.files
    assert "Operators of model.ort, model_quantized.ort, model_stream.ort" in path.read_text()
    needed, _ = parse_config(str(path))
    assert {"MultiHeadAttention", "DynamicQuantizeMatMul"} <= set(needed["com.microsoft"][1])
    assert set(needed) == {"ai.onnx", "com.microsoft"}  # and not com.microsoft.nchwc: that is for one processor


@pytest.mark.slow
def test_a_damaged_graph_is_refused_and_one_of_another_format_is_named(bundle, tmp_path):
    copy = shutil.copytree(bundle.folder, tmp_path / "copy")
    graph = copy / "onnx/model_quantized.ort"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match=r"model_quantized\.ort: damaged"):
        wav2edge.load(copy, variant="int8-ort")


@pytest.mark.slow
def test_what_is_over_its_budget_in_this_format_is_refused_and_the_rest_is_written(checkpoint, tmp_path, monkeypatch):
    from wav2edge_export.bundle import certification

    def strict_with_ort(precision, budget, **how):
        return certify(precision, Budget(relative_error=1e-12) if "-ort" in precision else budget, **how)

    certify = certification.certify
    monkeypatch.setattr(certification, "certify", strict_with_ort)
    options = ExportOptions(
        checkpoint=str(checkpoint), output=tmp_path / "bundle", graph_format="ort", stream_ms=(160,)
    )
    export = export_bundle(options)
    assert [each.precision for each in export.refused] == ["int8-ort", "int8-ort stream of 160 ms"]
    assert list(export.bundle.manifest.variants) == ["int8"]
    assert list(export.bundle.manifest.stream.files) == ["int8"]
    assert not list(export.bundle.folder.rglob("*.ort"))
    assert REQUIRED_OPERATORS not in export.bundle.manifest.files


def test_convolutions_are_not_laid_out_for_this_processor(tmp_path):
    """The layout that NCHWc kernels want depends on the processor: 16 channels in a block with AVX-512, 8 with AVX."""
    weights = onnx.numpy_helper.from_array(np.ones((32, 32, 3, 3), np.float32), "weights")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["sound", "weights"], ["out"])],
        "convolution",
        [onnx.helper.make_tensor_value_info("sound", onnx.TensorProto.FLOAT, [1, 32, 9, 9])],
        [onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [1, 32, 7, 7])],
        [weights],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "onnx").mkdir()
    onnx.save(model, str(tmp_path / "onnx/model.onnx"))
    save_as_ort(tmp_path / "onnx/model.onnx", tmp_path / "onnx/model.ort")
    write_required_operators(tmp_path)
    needed, _ = parse_config(str(tmp_path / REQUIRED_OPERATORS))
    assert {domain: {opset: list(names) for opset, names in opsets.items()} for domain, opsets in needed.items()} == {
        "ai.onnx": {11: ["Conv"]}
    }
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx/model.ort"), providers=["CPUExecutionProvider"])
    (out,) = session.run(None, {"sound": np.ones((1, 32, 9, 9), np.float32)})
    assert (out == 32 * 9).all()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"graph_format": "tflite"}, "format must be one of onnx, ort; got 'tflite'"),
        ({"graph_format": "ort", "precisions": ("fp16",)}, "there is no variant for CPUs"),
        ({"graph_format": "ort", "precisions": ("fp16", "fp32"), "operators": "gpu"}, "there is no variant for CPUs"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_loaded(options, reason, tmp_path):
    with pytest.raises(UsageError, match=reason):
        ExportOptions(checkpoint="none", output=tmp_path, **options)


def test_fp16_stays_onnx_alone(tmp_path):
    options = ExportOptions(checkpoint="none", output=tmp_path, graph_format="ort", precisions=("int8", "fp16", "int4"))
    assert options.ort_precisions == ("int8", "int4")
    assert set(RECIPES) - {"fp16"} == set(
        ExportOptions(checkpoint="none", output=tmp_path, graph_format="ort", precisions=tuple(RECIPES)).ort_precisions
    )
