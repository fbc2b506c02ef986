"""The batched flavour: a padded batch gives for each of its clips what PyTorch gives for that clip alone."""

import json
from functools import partial

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile

from tests.export.tiny_checkpoints import ALONE, KINDS, NO_GPU_RULES, save_checkpoint
from wav2edge.bundle.folder import CERTIFICATE, Bundle
from wav2edge.cli import main
from wav2edge.errors import CheckpointError
from wav2edge.evaluation.parity.certificate import PADDED
from wav2edge.evaluation.parity.repetition import plan_repetition
from wav2edge.evaluation.parity.signals import synthetic_signals, voiced
from wav2edge.evaluation.verification import verify
from wav2edge.inference.engine import Engine
from wav2edge.inference.many_clips import pad_together
from wav2edge.inference.sessions.graph_session import MASK_TYPES
from wav2edge_export.bundle import certification
from wav2edge_export.quantization.recipes import RECIPES, build_graph
from wav2edge_export.rewrite import OPERATORS
from wav2edge_export.rewrite.onnx_export import export_graph
from wav2edge_train.checkpoint.loading import load_checkpoint
from wav2edge_train.checkpoint.original import Original, load_original

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

EXACT = 1e-4
LENGTHS = (16_000, 400, 719, 720, 48_000, 5_000, 16_319)
AMPLITUDES = (0.3, 1e-3, 0.9, 0.3, 1.0, 0.01, 0.3)


@pytest.fixture(scope="module")
def clips():
    return [voiced(length, seed=length, amplitude=loud) for length, loud in zip(LENGTHS, AMPLITUDES, strict=True)]


def assert_each_clip_as_alone(path, checkpoint, clips, padding):
    """Hold one run over all clips against PyTorch on each of them, with some value where padding is."""
    clips = [checkpoint.geometry.pad_to_frame(clip) for clip in clips]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    types = {each.name: each.type for each in session.get_inputs()}
    feeds = pad_together(clips, MASK_TYPES[types["attention_mask"]])
    feeds["input_values"][feeds["attention_mask"] == 0] = padding
    names = checkpoint.heads.outputs
    for clip, *found in zip(clips, *session.run(names, feeds), strict=True):
        for name, values in zip(names, found, strict=True):
            expected = Original(checkpoint).outputs(clip)[name]
            own = values[: len(expected)] if expected.ndim == 2 else values
            assert np.abs(own - expected).max() < EXACT, (name, len(clip))


@pytest.mark.parametrize("operators", OPERATORS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ALONE])
def test_a_clip_in_a_padded_batch_agrees_with_pytorch_on_it_alone(kind, operators, checkpoints, clips, tmp_path):
    checkpoint = load_checkpoint(checkpoints(kind))
    if operators == "gpu" and kind in NO_GPU_RULES:
        with pytest.raises(CheckpointError, match=r"no graph for GPUs, since .* export with --batched alone"):
            export_graph(checkpoint, tmp_path / "model.onnx", operators=operators, batched=True)
        return
    export_graph(checkpoint, tmp_path / "model.onnx", operators=operators, batched=True)
    assert_each_clip_as_alone(tmp_path / "model.onnx", checkpoint, clips, padding=3.0)
    domains = {node.domain for node in onnx.load(str(tmp_path / "model.onnx")).graph.node}
    assert domains == ({""} if operators == "standard" else {"", "com.microsoft"})


def test_a_batched_graph_without_normalisation_is_as_exact(clips, tmp_path):
    folder = save_checkpoint(tmp_path / "raw", "group-norm ctc")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "do_normalize": False}))
    checkpoint = load_checkpoint(folder)
    export_graph(checkpoint, tmp_path / "model.onnx", operators="fused", batched=True)
    assert_each_clip_as_alone(tmp_path / "model.onnx", checkpoint, clips, padding=0.0)


@pytest.fixture(scope="module")
def exported(checkpoints, tmp_path_factory):
    """What the command line makes of the joint checkpoint with ``--batched`` and nothing said about the precision."""
    folder = tmp_path_factory.mktemp("batched")
    rows = ["file_name,transcription,label"]
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", voiced(9_000, seed=number), 16_000)
        rows.append(f"{number}.wav,pa ta,{number}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    command = ["export", checkpoints("joint"), "--output", folder / "b", "--batched", "--data", folder]
    assert main([str(word) for word in command]) == 0
    return folder / "b"


def test_a_batched_export_is_fp32_and_says_so_in_its_manifest(exported):
    manifest = json.loads((exported / "manifest.json").read_text())
    assert {name: variant["batched"] for name, variant in manifest["variants"].items()} == {"fp32": True}
    graph = onnx.load(str(exported / "onnx/model.onnx")).graph
    axes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert axes["input_values"] == axes["attention_mask"] == ["batch", "samples"]
    assert axes["logits"][:2] == ["batch", "frames"]
    assert axes["class_logits"][0] == "batch"
    types = {value.name: value.type.tensor_type.elem_type for value in graph.input}
    assert types == {"input_values": onnx.TensorProto.FLOAT, "attention_mask": onnx.TensorProto.INT64}


def test_its_certificate_holds_every_signal_alone_and_padded(exported):
    certificate = json.loads((exported / CERTIFICATE).read_text())["variants"]["fp32"]
    padded = [name for name in certificate["signals"] if name.endswith(PADDED)]
    assert len(certificate["signals"]) == 2 * len(padded) >= 34
    assert max(certificate["signals"][name]["absolute_error"] for name in padded) <= EXACT
    assert certificate["clips"]["clips"] == 3
    assert certificate["clips"]["changed_transcripts"] == certificate["clips"]["changed_classes"] == 0
    assert certificate["passed"]


def test_it_verifies_and_its_results_in_batches_are_those_of_pytorch_on_each_clip(exported, checkpoints, clips):
    bundle = Bundle.open(exported)
    engine = Engine.from_bundle(bundle)
    checks = list(verify(bundle, repetition=plan_repetition(bundle, signals=True)))
    assert [check.name for check in checks if not check.passed] == []
    (signals,) = [check.figures for check in checks if check.name == "fp32 signals"]
    assert len([name for name in signals if name.endswith(PADDED)]) == len(signals) / 2 >= 17
    original = load_original(checkpoints("joint"))
    for found, clip in zip(engine.map(clips, rate_hz=16_000, batch_size=3), clips, strict=True):
        expected = original(clip, rate_hz=16_000)
        assert (found.text, found.label) == (expected.text, expected.label)


def test_the_certificate_refuses_a_graph_that_lets_padding_through(checkpoints, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(certification, "synthetic_signals", partial(synthetic_signals, longest_s=0.3))
    monkeypatch.setattr(
        "wav2edge_export.rewrite.convolutions.feature_encoder.inside", lambda counts, length: counts[:, None] > -1
    )
    command = ["export", str(checkpoints("group-norm ctc")), "--output", str(tmp_path / "b"), "--batched"]
    assert main(command) == 1
    assert "fp32 is over its budget (absolute error" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("precision", ["int8", "auto"])
def test_precisions_of_8_bit_matmuls_are_refused_for_batches_before_anything_is_loaded(precision, tmp_path, capsys):
    command = ["export", "nowhere", "--output", str(tmp_path / "b"), "--batched", "--precision", f"fp32,{precision}"]
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"wav2edge: {precision} scales the activations of a whole batch together")
    assert "with --batched, precisions must be among fp32, int4, fp16" in line


@pytest.mark.parametrize("precision", ["int8", "int4", "auto"])
def test_what_is_quantised_for_cpus_is_refused_with_operators_for_gpus(precision, tmp_path, capsys):
    command = ["export", "nowhere", "--output", str(tmp_path / "b"), "--operators", "gpu", "--precision", precision]
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"wav2edge: {precision} is quantised for CPUs; with --operators gpu give fp16, fp32 or both"


@pytest.mark.parametrize("precision", ["int4", "fp16"])
@pytest.mark.parametrize("kind", ["joint", "group-norm ctc"])
def test_what_quantises_each_frame_by_itself_may_be_batched(kind, precision, checkpoints, clips, tmp_path):
    export_graph(load_checkpoint(checkpoints(kind)), tmp_path / "fp32.onnx", operators="fused", batched=True)
    recipe = RECIPES[precision]
    for parts in recipe.attempts_for(batched=True):
        build_graph(recipe, tmp_path / "fp32.onnx", tmp_path / "model.onnx", parts=parts, target="vnni")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    together = session.run(["logits"], pad_together(clips))[0]
    for clip, found in zip(clips, together, strict=True):
        alone = session.run(["logits"], pad_together([clip]))[0][0]
        assert np.abs(found[: len(alone)] - alone).max() < 0.01 * np.abs(alone).max()
