"""Models that label frames or give an embedding of a voice, from the checkpoint to the command line."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import soundfile
import torch
from optimum.onnxruntime import ORTModelForAudioFrameClassification
from transformers import AutoFeatureExtractor

import wav2edge
from examples.verify_speaker import similarity, voice
from tests.export.tiny_checkpoints import LABELS, OTHER_HEADS, save_checkpoint
from tests.manifest_schema import VALIDATOR
from wav2edge.bundle.folder import CERTIFICATE
from wav2edge.bundle.heads import EmbeddingHead, FrameClassificationHead, Heads
from wav2edge.cli import main
from wav2edge.errors import DataError, UsageError
from wav2edge.evaluation.dataset import read_dataset
from wav2edge.evaluation.evaluator import evaluate
from wav2edge.evaluation.parity.original_record import OriginalRecord
from wav2edge.evaluation.parity.repetition import plan_repetition
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.evaluation.verification import verify
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.exporting import export_bundle
from wav2edge_export.mixed_precision.sensitivity import divergence

pytestmark = pytest.mark.slow  # exports a model in most of its tests

SHORTEST = 400 + 15 * 320
"""Samples of the sixteen frames that an x-vector needs: windows of five, three and three with dilations 1, 2 and 3 take
fourteen, and a deviation needs two."""
FRAMES = [kind for kind in OTHER_HEADS if "frame" in kind]
VOICES = [kind for kind in OTHER_HEADS if "x-vector" in kind]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Six clips with labels, of which the last is too short for an x-vector."""
    folder = tmp_path_factory.mktemp("data")
    rows = ["file_name,label"]
    for number, samples in enumerate((16_000, 9_000, 12_345, 24_000, SHORTEST, SHORTEST - 1)):
        soundfile.write(folder / f"{number}.wav", voiced(samples, seed=number), 16_000)
        rows.append(f"{number}.wav,{number % len(LABELS)}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


def of_transformers(kind, folder, samples):
    """What transformers' class gives for a clip, by the names of its outputs."""
    model = OTHER_HEADS[kind][0].from_pretrained(folder).eval()
    inputs = AutoFeatureExtractor.from_pretrained(folder)(samples, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        return model(input_values=inputs.input_values)


@pytest.mark.parametrize("kind", OTHER_HEADS)
def test_the_fp32_graph_is_exact_and_the_bundle_verifies_and_matches_the_schema(kind, bundles):
    bundle = bundles(kind)
    certificate = json.loads((bundle.folder / CERTIFICATE).read_text())["variants"]["fp32"]
    assert certificate["passed"]
    assert len(certificate["signals"]) >= 15
    assert certificate["measured"]["absolute_error"] <= 1e-4
    assert [check.name for check in verify(bundle) if not check.passed] == []
    assert list(VALIDATOR.iter_errors(json.loads((bundle.folder / "manifest.json").read_text()))) == []
    assert "Conv" not in {node.op_type for node in onnx.load(str(bundle.folder / "onnx/model.onnx")).graph.node}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("samples", [399, 400, 719, 16_000])
def test_frames_have_the_labels_that_transformers_gives_them(kind, samples, bundles, checkpoints):
    clip = voiced(samples, seed=samples)
    logits = of_transformers(kind, checkpoints(kind), np.pad(clip, (0, max(0, 400 - samples)))).logits[0]
    engine = wav2edge.load(bundles(kind).folder, variant="fp32", threads=1)
    np.testing.assert_allclose(engine.outputs(clip)["logits"], logits, atol=1e-4)
    result = engine(clip, rate_hz=16_000)
    exclusive = "exclusive" in kind
    assert bundles(kind).manifest.heads.frame_classification.exclusive == exclusive
    probabilities = logits.softmax(-1) if exclusive else logits.sigmoid()
    expected = torch.nn.functional.one_hot(logits.argmax(-1), len(LABELS)) if exclusive else probabilities > 0.5
    found = np.zeros((len(logits), len(LABELS)))
    for each in result.frame_labels:
        rows = slice(round(each.start_s / 0.02), round(each.end_s / 0.02))
        column = LABELS.index(each.label)
        found[rows, column] += 1
        assert each.confidence == pytest.approx(float(probabilities[rows, column].mean()), abs=1e-4)
    np.testing.assert_array_equal(found, expected)
    assert [each.start_s for each in result.frame_labels] == sorted(each.start_s for each in result.frame_labels)


@pytest.mark.parametrize("kind", VOICES)
@pytest.mark.parametrize("samples", [SHORTEST, SHORTEST + 320, 31_999])
def test_the_embedding_is_that_of_transformers(kind, samples, bundles, checkpoints):
    clip = voiced(samples, seed=samples)
    expected = of_transformers(kind, checkpoints(kind), clip).embeddings[0].numpy()
    result = wav2edge.load(bundles(kind).folder, variant="fp32", threads=1)(clip, rate_hz=16_000)
    np.testing.assert_allclose(result.embedding, expected, atol=1e-4 * np.abs(expected).max())
    assert (result.text, result.label, result.frame_labels) == (None, None, None)
    assert len(result.to_dict()["embedding"]) == bundles(kind).manifest.heads.embedding.size == 24


def test_a_clip_without_enough_frames_is_refused_in_one_line_wherever_it_comes_in(bundles, data, capsys):
    folder, clip = bundles("x-vector").folder, data / "5.wav"
    assert main(["run", str(folder), str(clip)]) == 1
    line = f"{clip}: 0.32 s long, and this model needs 0.33 s at least; give a longer clip"
    assert capsys.readouterr().err.strip() == f"wav2edge: {line}"
    engine = wav2edge.load(folder)
    assert [str(each) for each in engine.map([clip], errors="return")] == [line]
    assert len(engine(data / "4.wav").embedding) == 24
    assert main(["inspect", str(folder)]) == 0
    assert "clips from 325 ms" in capsys.readouterr().out


def test_the_embedding_of_a_recording_is_the_mean_of_its_segments(bundles):
    engine = wav2edge.load(bundles("x-vector").folder, variant="fp32", threads=1)
    silence = np.zeros(16_000, np.float32)
    parts = [silence, voiced(16_000, seed=1), silence, voiced(20_000, seed=2), silence]
    result = engine(np.concatenate(parts), rate_hz=16_000, segments=True)
    assert len(result.segments) >= 2
    weights = [segment.duration_s for segment in result.segments]
    mean = np.average([segment.embedding for segment in result.segments], axis=0, weights=weights)
    np.testing.assert_allclose(result.embedding, mean)


@pytest.mark.parametrize("kind", ["frame labels", "wavlm x-vector"])
def test_a_batched_graph_gives_each_clip_what_it_gives_alone(kind, checkpoints, tmp_path):
    options = ExportOptions(
        checkpoint=str(checkpoints(kind)), output=tmp_path / "bundle", precisions=("fp32",), batched=True
    )
    bundle = export_bundle(options).bundle
    engine = wav2edge.load(bundle.folder, threads=1)
    clips = [voiced(samples, seed=samples, amplitude=loud) for samples, loud in ((16_000, 0.9), (SHORTEST, 1e-3))]
    for found, clip in zip(engine.batch_outputs(clips), clips, strict=True):
        ((name, expected),) = engine.outputs(clip).items()
        np.testing.assert_allclose(found[name], expected, atol=1e-4 * max(1, np.abs(expected).max()))
    assert [each.duration_s for each in engine.map(clips, rate_hz=16_000, batch_size=2)] == [1.0, SHORTEST / 16_000]


@pytest.mark.parametrize("kind", ["frame labels", "x-vector"])
def test_a_certificate_on_clips_says_what_differs_and_can_be_repeated(kind, checkpoints, data, tmp_path):
    options = ExportOptions(
        checkpoint=str(checkpoints(kind)), output=tmp_path / "bundle", precisions=("fp32", "int8"), data=data
    )
    export = export_bundle(options)
    exact, quantised = export.certificates
    if kind == "x-vector":
        assert (exact.clips.clips, exact.clips.unreadable) == (5, 1)
        assert exact.clips.embedding_distance < 1e-6 < quantised.clips.embedding_distance < 0.02
        assert quantised.measured()["embedding_distance"] == quantised.clips.embedding_distance
        assert "embeddings of 5 clips within a cosine distance of" in quantised.summary
    else:
        assert (exact.clips.changed_frame_labels, exact.clips.frame_agreement) == (0, 1.0)
        assert "of 6 clips' frame labels changed" in quantised.summary
        assert "of the frames alike" in quantised.summary
    assert export.bundle.manifest.trims_silence is None
    recorded = OriginalRecord.read(export.bundle).clips
    assert len(recorded) == exact.clips.clips
    repetition = plan_repetition(export.bundle, signals=True, utterances=read_dataset(data))
    checks = list(verify(export.bundle, repetition=repetition))
    assert [check.name for check in checks if not check.passed] == []
    (figures,) = [check.figures for check in checks if check.name == "fp32 clips"]
    assert figures["embedding_distance"] == (pytest.approx(0, abs=1e-6) if kind == "x-vector" else None)
    assert figures["changed_frame_labels"] == (None if kind == "x-vector" else 0)


@pytest.mark.parametrize("kind", ["frame labels", "x-vector"])
def test_what_such_a_model_cannot_do_is_refused_in_one_line(kind, bundles, data):
    engine = wav2edge.load(bundles(kind).folder, threads=1)
    with pytest.raises(DataError, match=r"nothing to evaluate: the model has \w+, and a data set says nothing of that"):
        evaluate(engine, read_dataset(data))
    with pytest.raises(UsageError, match="has no transcripts or classes to stream; give it whole clips"):
        engine.stream()
    with pytest.raises(UsageError, match="does not transcribe; alignment needs"):
        engine.align(data / "0.wav", "a")


def test_an_x_vector_of_wider_windows_has_a_golden_input_that_is_long_enough(tmp_path):
    wider = {"tdnn_kernel": (9, 5, 3, 1, 1), "tdnn_dilation": (2, 2, 3, 1, 1)}
    folder = save_checkpoint(tmp_path / "wider", "x-vector", **wider)
    options = ExportOptions(checkpoint=str(folder), output=tmp_path / "bundle", precisions=("fp32",))
    bundle = export_bundle(options).bundle
    assert bundle.manifest.heads.embedding.fewest_frames == 8 * 2 + 4 * 2 + 2 * 3 + 2
    assert [check.name for check in verify(bundle) if not check.passed] == []
    assert len(bundle.read_json("golden.json")["pcm_int16"]) == 400 + 31 * 320


def test_layers_are_compared_by_the_cosine_distance_of_embeddings_and_by_labels_that_are_there_or_not():
    first, second = np.random.default_rng(0).standard_normal((2, 7, 4)).astype(np.float32)
    exact, found = torch.from_numpy(first), torch.from_numpy(second)
    head = EmbeddingHead(output="embeddings", size=4, fewest_frames=16)
    angle = torch.nn.functional.cosine_similarity(exact[0], found[0], dim=0)
    distance = divergence({"embeddings": first[0]}, {"embeddings": second[0]}, Heads(embedding=head))
    assert distance == pytest.approx(1 - float(angle), abs=1e-6)
    labels = FrameClassificationHead(output="logits", labels=tuple("abcd"), exclusive=False)
    there = [torch.distributions.Bernoulli(logits=each.double()) for each in (exact, found)]
    expected = torch.distributions.kl_divergence(*there).mean()
    heads = Heads(frame_classification=labels)
    assert divergence({"logits": first}, {"logits": second}, heads) == pytest.approx(float(expected))


def test_optimum_labels_frames_with_the_bundle_as_wav2edge_does(bundles):
    bundle = bundles("frame labels")
    model = ORTModelForAudioFrameClassification.from_pretrained(bundle.folder, subfolder="onnx", file_name="model.onnx")
    clip = voiced(16_000, seed=3)
    engine = wav2edge.load(bundle.folder, variant="fp32", threads=1)
    found = model(input_values=torch.from_numpy(clip)[None]).logits[0]
    np.testing.assert_allclose(found, engine.outputs(clip)["logits"], atol=1e-5)


def test_the_example_compares_voices(bundles, data):
    engine = wav2edge.load(bundles("x-vector").folder, variant="fp32", threads=1)
    alone, both = voice([engine(data / "0.wav")]), voice(engine.map([data / "0.wav", data / "1.wav"]))
    assert np.linalg.norm(both) == pytest.approx(1)
    expected = torch.nn.functional.cosine_similarity(torch.from_numpy(alone), torch.from_numpy(both), dim=0)
    assert similarity(alone, both) == pytest.approx(float(expected))
    assert similarity(alone, alone) == pytest.approx(1)
    with pytest.raises(ValueError, match="gives no embeddings"):
        voice([wav2edge.load(bundles("frame labels").folder)(data / "0.wav")])


@pytest.mark.parametrize(
    ("kind", "says"),
    [("frame labels", "gives labels with their times"), ("x-vector", "gives an embedding of the voice")],
)
def test_the_card_says_what_the_model_gives(kind, says, bundles):
    assert says in (bundles(kind).folder / "README.md").read_text(encoding="utf-8")
