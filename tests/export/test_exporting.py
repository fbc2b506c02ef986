"""One export: what it writes and certifies, what it refuses, and what it leaves behind."""

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import torch
from transformers import Wav2Vec2ForCTC

import wav2edge
from tests.export.tiny_checkpoints import save_checkpoint
from wav2edge.bundle.folder import Bundle
from wav2edge.cli import main
from wav2edge.errors import ParityError, UsageError
from wav2edge.evaluation.dataset import read_dataset
from wav2edge.evaluation.parity.differences import Budget
from wav2edge.evaluation.parity.repetition import plan_repetition
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.evaluation.verification import verify
from wav2edge_export.bundle.certification import choose_evaluation_clips
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.exporting import export_bundle
from wav2edge_export.quantization import recipes
from wav2edge_export.quantization.recipes import RECIPES

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

EXACT = 1e-4


def test_standard_operators_make_a_graph_of_plain_onnx(checkpoints, tmp_path):
    options = ExportOptions(
        checkpoint=str(checkpoints("joint")), output=tmp_path / "b", precisions=("fp32",), operators="standard"
    )
    folder = export_bundle(options).bundle.folder
    graph = onnx.load(str(folder / "onnx/model.onnx"))
    assert {node.domain for node in graph.graph.node} == {""}


def test_a_variant_over_its_budget_is_refused_with_the_figure_and_the_others_are_written(
    checkpoints, tmp_path, monkeypatch, capsys
):
    impossible = dataclasses.replace(RECIPES["int8"], budget=Budget(relative_error=1e-9))
    monkeypatch.setitem(recipes.RECIPES, "int8", impossible)
    output = tmp_path / "bundle"
    code = main(["export", str(checkpoints("joint")), "--output", str(output), "--precision", "int8,fp32"])
    assert code == 1
    assert "int8 refused, not written: relative error" in capsys.readouterr().err
    bundle = Bundle.open(output)
    assert list(bundle.manifest.variants) == [bundle.manifest.default_variant] == ["fp32"]
    assert not (output / "onnx/model_quantized.onnx").exists()


def test_a_decoder_is_stored_with_its_language_model_and_is_the_bundles_default(checkpoints, tmp_path):
    arpa = "\\data\\\nngram 1=3\n\n\\1-grams:\n-1.0 <s>\n-1.0 </s>\n-0.5 ab\n\n\\end\\\n"
    (tmp_path / "words.arpa").write_text(arpa)
    (tmp_path / "decoder.json").write_text('{"beam": {"width": 4, "lm": "words.arpa"}}')
    options = ExportOptions(
        checkpoint=str(checkpoints("joint")),
        output=tmp_path / "bundle",
        precisions=("fp32",),
        decoder=tmp_path / "decoder.json",
    )
    bundle = export_bundle(options).bundle
    assert bundle.manifest.decoder == {"beam": {"width": 4, "lm": "lm.arpa"}}
    assert (bundle.folder / "lm.arpa").read_text() == arpa
    assert "lm.arpa" in bundle.manifest.files
    assert wav2edge.load(bundle.folder).decoder.width == 4
    assert all(check.passed for check in verify(bundle))


@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        ("ctc", "{", "decoder.json: "),
        ("ctc", '{"beam": {"width": 0}}', "width is 0"),
        ("ctc", '{"grammar": {"phrases": ["@"]}}', "the vocabulary has no '@'"),
        ("classification", '{"beam": {}}', "does not transcribe"),
    ],
)
def test_a_decoder_that_the_model_cannot_be_decoded_with_is_refused(checkpoints, tmp_path, kind, content, reason):
    (tmp_path / "decoder.json").write_text(content)
    options = ExportOptions(
        checkpoint=str(checkpoints(kind)), output=tmp_path / "bundle", decoder=tmp_path / "decoder.json"
    )
    with pytest.raises(UsageError, match=reason):
        export_bundle(options)
    assert not (tmp_path / "bundle").exists()


def test_nothing_is_written_when_every_variant_is_over_budget(checkpoints, tmp_path, monkeypatch):
    monkeypatch.setitem(
        recipes.RECIPES, "int8", dataclasses.replace(RECIPES["int8"], budget=Budget(relative_error=1e-9))
    )
    with pytest.raises(ParityError, match=r"1e-09 allowed.*try --precision fp32"):
        export_bundle(ExportOptions(checkpoint=str(checkpoints("ctc")), output=tmp_path / "bundle"))
    assert list(tmp_path.iterdir()) == []


def test_an_export_killed_half_way_leaves_the_old_bundle_working(checkpoints, tmp_path):
    output = tmp_path / "bundle"
    export_bundle(ExportOptions(checkpoint=str(checkpoints("joint")), output=output, precisions=("fp32",)))
    before = wav2edge.load(output)(voiced(16_000), rate_hz=16_000)
    command = [sys.executable, "-m", "wav2edge", "export", str(checkpoints("joint")), "--output", str(output)]
    writer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while "certifying" not in writer.stderr.readline():
        pass
    time.sleep(0.1)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert [path.name for path in tmp_path.glob(".bundle.tmp-*")] != []
    assert all(check.passed for check in verify(Bundle.open(output)))
    assert wav2edge.load(output)(voiced(16_000), rate_hz=16_000) == before


def write_data(folder, *, clips):
    """A test split of this many clips of a voice."""
    folder.mkdir()
    rows = ["file_name,transcription,label,split"]
    for number in range(clips):
        soundfile.write(folder / f"{number}.wav", voiced(12_000, seed=number), 16_000)
        rows.append(f"{number}.wav,pa ta,{number % 4},test")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


def test_real_clips_are_certified_and_their_rates_are_in_the_certificate(checkpoints, tmp_path):
    data = write_data(tmp_path / "data", clips=6)
    options = ExportOptions(
        checkpoint=str(checkpoints("joint")), output=tmp_path / "b", precisions=("fp32",), data=data, max_clips=5
    )
    (certificate,) = export_bundle(options).certificates
    assert certificate.clips.clips == 5
    assert certificate.clips.changed_transcripts == certificate.clips.changed_classes == 0
    assert certificate.clips.wer.original == certificate.clips.wer.variant > 0


def test_word_starts_are_compared_on_clips_of_any_split_but_the_trainings(tmp_path):
    table = "file_name,transcription,split,word_starts_s\n"
    rows = ("a.wav,ba,test,", "b.wav,ba,validation,0.1", "c.wav,ba,train,0.1", "d.wav,ba,spoken,0.2")
    (tmp_path / "metadata.csv").write_text(table + "\n".join(rows))
    clips = choose_evaluation_clips(tmp_path)
    assert [row.path.name for row in clips.utterances] == ["a.wav"]
    assert [row.path.name for row in clips.timed] == ["b.wav", "d.wav"]


def test_an_exported_certificate_repeats_without_pytorch_as_it_was_measured_with_it(checkpoints, tmp_path):
    data = write_data(tmp_path / "data", clips=6)
    options = ExportOptions(
        checkpoint=str(checkpoints("joint")),
        output=tmp_path / "b",
        precisions=("fp32",),
        data=data,
        max_clips=5,
    )
    bundle = export_bundle(options).bundle
    repetition = plan_repetition(bundle, signals=True, utterances=read_dataset(data))
    checks = {check.name: check for check in verify(bundle, repetition=repetition)}
    assert all(check.passed for check in checks.values())
    figures = checks["fp32 absolute error"].figures
    assert 0 < figures["measured"] <= figures["allowed"]
    assert figures["measured"] == pytest.approx(figures["certified"], rel=0.2)
    assert (checks["fp32 clips"].figures["clips"], repetition.unknown) == (5, 1)
    assert checks["fp32 clips"].figures["wer"]["original"] > 0


def test_a_checkpoint_without_normalisation_gets_none_in_its_graph(tmp_path):
    folder = save_checkpoint(tmp_path / "raw", "ctc")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "do_normalize": False}))
    output = tmp_path / "bundle"
    export_bundle(ExportOptions(checkpoint=str(folder), output=output, precisions=("fp32",)))
    model = Wav2Vec2ForCTC.from_pretrained(folder).eval()
    clip = voiced(8_000, amplitude=0.9)
    with torch.inference_mode():
        expected = model(torch.from_numpy(clip)[None]).logits[0].numpy()
    assert np.abs(wav2edge.load(output).outputs(clip)["logits"] - expected).max() < EXACT


@pytest.mark.parametrize("words", [("--split", "test"), ("--max-clips", "3")])
def test_what_chooses_clips_needs_a_data_set(words, checkpoints, tmp_path, capsys):
    command = ["export", str(checkpoints("joint")), "--output", str(tmp_path / "b"), *words]
    assert main(command) == 2
    assert "--split and --max-clips choose from a data set; name it with --data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precisions": ("int3",)}, "fp32, int8"),
        ({"precisions": ()}, "unique"),
        ({"precisions": ("int8", "int8")}, "unique"),
        ({"operators": "magic"}, "fused, standard"),
        ({"target": "z80"}, "vnni, avx2, exact, native"),
        ({"prefer": "cheap"}, "fast, small"),
        ({"prefer": "small"}, "add auto to --precision"),
        ({"max_clips": 0}, "at least 1"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_loaded(changes, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        ExportOptions(checkpoint="nowhere", output=tmp_path, **changes)


@pytest.mark.parametrize("missing", ["nowhere", "owner/model"])
def test_a_checkpoint_that_is_nowhere_is_one_line_and_leaves_nothing(missing, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["export", missing, "--output", str(tmp_path / "bundle")]) == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("wav2edge: loading")]
    assert len(lines) == 1
    assert missing in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_each_graph_is_hashed_once(checkpoints, tmp_path, monkeypatch):
    hashed, digest = [], hashlib.file_digest

    def counted(file, name):
        hashed.append(Path(file.name).name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    options = ExportOptions(checkpoint=str(checkpoints("ctc")), output=tmp_path / "b", precisions=("int8", "fp32"))
    export_bundle(options)
    assert sorted(name for name in hashed if name.endswith(".onnx")) == ["model.onnx", "model_quantized.onnx"]
