"""An exported bundle: it agrees with the checkpoint it came from, holds what it says, and other tools load it."""

import json
import shutil

import numpy as np
import onnx
import pytest
import soundfile
import torch
from huggingface_hub import ModelCard
from optimum.onnxruntime import ORTModelForAudioClassification, ORTModelForCTC
from transformers import AutoProcessor

import wav2edge
from tests.export.tiny_checkpoints import KINDS, LABELS, SHAPE, VOCABULARY
from wav2edge.bundle.folder import CERTIFICATE
from wav2edge.cli import main
from wav2edge.errors import BundleError
from wav2edge.evaluation.parity.original_record import OriginalRecord
from wav2edge.evaluation.parity.signals import synthetic_signals, voiced
from wav2edge.evaluation.verification import verify
from wav2edge_export.bundle.certification import SilenceCheck, between_silence
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.exporting import export_bundle
from wav2edge_export.quantization.weight_matmuls import weight_matmuls
from wav2edge_train.checkpoint.loading import load_checkpoint
from wav2edge_train.checkpoint.original import load_original
from wav2edge_train.model.complexity import count_macs_per_s

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

EXACT = 1e-4


def padded_batch(checkpoint, clips):
    """What PyTorch gives for clips padded in one batch: normalised one by one, masked as the model wants it."""
    longest = max(map(len, clips))
    values = torch.zeros(len(clips), longest)
    mask = torch.zeros(len(clips), longest, dtype=torch.long)
    for row, clip in enumerate(clips):
        values[row, : len(clip)] = torch.from_numpy((clip - clip.mean()) / np.sqrt(clip.var() + 1e-7))
        mask[row, : len(clip)] = 1
    with torch.inference_mode():
        return checkpoint.model(values, attention_mask=mask)


@pytest.mark.parametrize("kind", KINDS)
def test_the_fp32_graph_of_every_kind_agrees_with_pytorch_on_the_whole_grid(kind, bundles, checkpoints):
    certificate = json.loads((bundles(kind).folder / CERTIFICATE).read_text())["variants"]["fp32"]
    assert certificate["passed"]
    assert len(certificate["signals"]) >= 17
    assert certificate["measured"]["absolute_error"] <= EXACT


@pytest.mark.parametrize("kind", KINDS)
def test_the_bundle_of_every_kind_verifies_with_every_hash_and_golden_output(kind, bundles):
    checks = list(verify(bundles(kind)))
    assert [check.name for check in checks if not check.passed] == []
    assert {"golden int8", "golden fp32", "certificate int8", "onnx/model_quantized.onnx"} <= {c.name for c in checks}


def test_a_clip_alone_in_the_bundle_agrees_with_the_clip_padded_in_a_batch_in_pytorch(bundles, checkpoints):
    checkpoint = load_checkpoint(checkpoints("joint"))
    clips = [voiced(length, seed=length) for length in (16_000, 9_000, 4_321, 719)]
    batch = padded_batch(checkpoint, clips)
    engine = wav2edge.load(bundles("joint").folder, variant="fp32")
    for row, clip in enumerate(clips):
        alone = engine.outputs(clip)
        frames = len(alone["logits"])
        assert np.abs(alone["logits"] - batch.logits[row, :frames].numpy()).max() < EXACT
        assert np.abs(alone["class_logits"] - batch.class_logits[row].numpy()).max() < EXACT


def test_optimum_loads_the_bundle_and_transcribes_as_wav2edge_does(bundles, tmp_path, capsys):
    folder = bundles("joint").folder
    processor = AutoProcessor.from_pretrained(folder)
    for variant, file in (("fp32", "model.onnx"), ("int8", "model_quantized.onnx")):
        model = ORTModelForCTC.from_pretrained(folder, subfolder="onnx", file_name=file)
        for seed in range(3):
            clip = tmp_path / f"{seed}.wav"
            soundfile.write(clip, voiced(20_000, seed=seed), 16_000, subtype="FLOAT")
            samples, _ = soundfile.read(clip, dtype="float32")
            values = processor(samples, sampling_rate=16_000, return_tensors="pt").input_values
            if variant == "int8":  # normalised twice, a near tie of random weights may round otherwise
                values = torch.from_numpy(samples)[None]
            ids = model(input_values=values).logits.argmax(-1)
            assert main(["run", str(folder), str(clip), "--variant", variant]) == 0
            text = capsys.readouterr().out.rstrip("\n").split("\t")[0]
            assert text == processor.batch_decode(ids)[0].replace("[UNK]", "")
            assert len(text) > 3


def test_optimum_loads_a_classification_bundle_and_finds_the_same_class(bundles):
    bundle = bundles("classification")
    model = ORTModelForAudioClassification.from_pretrained(bundle.folder, subfolder="onnx", file_name="model.onnx")
    engine = wav2edge.load(bundle.folder, variant="fp32")
    clip = voiced(16_000, seed=3)
    normalised = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
    logits = model(input_values=torch.from_numpy(normalised)[None]).logits
    assert LABELS[int(logits.argmax())] == engine(clip, rate_hz=16_000).label


def test_a_client_that_normalises_before_the_graph_gets_the_same_logits(bundles):
    engine = wav2edge.load(bundles("joint").folder, variant="fp32")
    clip = voiced(16_000, seed=4)
    twice = ((clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)).astype(np.float32)
    assert np.abs(engine.outputs(clip)["logits"] - engine.outputs(twice)["logits"]).max() < 1e-3


def test_heads_vocabulary_and_labels_come_from_the_checkpoint(bundles):
    heads = bundles("joint").manifest.heads
    assert heads.ctc.vocabulary == VOCABULARY
    assert VOCABULARY[heads.ctc.blank_id] == "[PAD]"
    assert heads.classification.labels == LABELS
    assert bundles("classification").manifest.heads.ctc is None
    assert bundles("ctc").manifest.heads.classification is None


def test_every_graph_is_one_self_contained_file_with_the_ecosystems_names(bundles):
    graph = onnx.load(str(bundles("joint").folder / "onnx/model_quantized.onnx"), load_external_data=False).graph
    assert [value.name for value in graph.input] == ["input_values"]
    assert [value.name for value in graph.output] == ["logits", "class_logits"]
    assert all(tensor.data_location != onnx.TensorProto.EXTERNAL for tensor in graph.initializer)


def test_the_int8_graph_quantises_every_weight_matmul_and_no_convolution_is_left(bundles):
    folder = bundles("joint").folder
    counts = [node.op_type for node in onnx.load(str(folder / "onnx/model_quantized.onnx")).graph.node]
    assert counts.count("MatMulInteger") == len(weight_matmuls(folder / "onnx/model.onnx"))
    assert "Conv" not in counts


def test_the_recorded_outputs_are_those_of_pytorch_and_no_clip_is_stored(bundles, checkpoints):
    bundle = bundles("joint")
    original = load_original(checkpoints("joint"))
    recorded = OriginalRecord.read(bundle)
    for case in synthetic_signals(bundle.manifest.geometry, longest_s=1.0):
        outputs = recorded.signals[case.name].outputs
        assert (outputs["logits"] == original.outputs(case.samples)["logits"]).all()
        assert outputs["class_logits"].dtype == np.float32
    assert len(recorded.signals) == 18
    assert sum(outputs.nbytes for case in recorded.signals.values() for outputs in case.outputs.values()) < 100_000


def test_a_flipped_bit_in_a_graph_is_noticed_at_load(bundles, tmp_path):
    folder = shutil.copytree(bundles("ctc").folder, tmp_path / "bundle")
    graph = folder / "onnx/model_quantized.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    with pytest.raises(BundleError, match=r"model_quantized\.onnx: damaged"):
        wav2edge.load(folder)


def test_the_grid_of_a_certificate_holds_the_lengths_where_frames_begin_and_half_a_minute(bundles):
    lengths = {len(case.samples) for case in synthetic_signals(bundles("joint").manifest.geometry)}
    assert {400, 401, 719, 720, 16_000, 16_319, 480_000} <= lengths


def test_macs_are_those_of_the_layers(checkpoints):
    checkpoint = load_checkpoint(checkpoints("joint"))
    macs = count_macs_per_s(checkpoint.model)
    frames, width = 49, SHAPE["hidden_size"]
    attention_and_feed_forward = 2 * frames * (4 * width**2 + 2 * width * 96)
    assert macs > attention_and_feed_forward
    strides, kernels, dims = (5, 2, 2, 2, 2, 2, 2), (10, 3, 3, 3, 3, 2, 2), (1, 16, 16, 32, 32, 32, 32, 32)
    samples, convolutions = 16_000, 0
    for layer, (kernel, stride) in enumerate(zip(kernels, strides, strict=True)):
        samples = (samples - kernel) // stride + 1
        convolutions += samples * kernel * dims[layer] * dims[layer + 1]
    positional = (frames + 1) * 16 * width * width // 4
    heads = frames * width * len(VOCABULARY) + width * len(LABELS)
    assert macs == attention_and_feed_forward + convolutions + positional + heads + frames * 32 * width


def test_the_card_has_metadata_that_the_hub_reads_and_the_license_of_the_checkpoint(checkpoints, bundles, tmp_path):
    open_license = ModelCard.load(bundles("joint").folder / "README.md").data
    assert open_license.license is None
    assert (open_license.library_name, open_license.pipeline_tag) == ("wav2edge", "automatic-speech-recognition")
    assert open_license.tags == ["wav2vec2", "onnx", "wav2edge", "ctc", "classification"]

    licensed = tmp_path / "licensed"
    shutil.copytree(checkpoints("classification"), licensed)
    (licensed / "README.md").write_text("---\nlicense: mit\n---\n")
    options = ExportOptions(checkpoint=str(licensed), output=tmp_path / "bundle", precisions=("fp32",))
    card = ModelCard.load(export_bundle(options).bundle.folder / "README.md").data
    assert (card.license, card.pipeline_tag) == ("mit", "audio-classification")


def test_the_manifest_and_the_card_say_up_to_which_length_the_bundle_is_certified(bundles):
    bundle = bundles("joint")
    assert bundle.manifest.certified_up_to_s == 30.0
    card = (bundle.folder / "README.md").read_text()
    assert "Certified for audio of up to 30 s" in card
    assert "which here is the CTC head" in card
    assert "which here is the CTC head" not in (bundles("ctc").folder / "README.md").read_text()


def test_silence_is_left_out_where_the_clips_lose_nothing_and_the_certificate_says_what_was_counted():
    assert SilenceCheck(clips=3, errors_with=4, errors_without=4).loses_nothing
    assert not SilenceCheck(clips=3, errors_with=4, errors_without=5).loses_nothing
    clip = voiced(8_000, seed=1)
    quiet = between_silence(clip)
    assert len(quiet) == len(clip) + 16_000
    np.testing.assert_array_equal(quiet[8_000:-8_000], clip)
    assert 0 < np.abs(quiet[:8_000]).max() < 0.01 * np.abs(clip).max()
