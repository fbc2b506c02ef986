"""The folder for onnx-asr: its inputs and outputs against PyTorch and the engine, and its text against its own."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch

import wav2edge
from tests.export.tiny_checkpoints import save_checkpoint
from wav2edge.audio.clip import zero_mean_unit_variance
from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.heads import CtcHead
from wav2edge.cli import main
from wav2edge.decoding.ctc import log_softmax
from wav2edge.errors import CheckpointError
from wav2edge.evaluation.parity.signals import voiced
from wav2edge_export.interchange.onnx_asr_layout import vocabulary_lines, write_layout
from wav2edge_train.checkpoint.loading import load_checkpoint

MODELS = Path(__file__).parents[2] / "models"
CLIPS = sorted((MODELS / "clips").glob("*.flac"))
EXACT = 1e-4


@pytest.fixture(autouse=True, scope="module")
def short_signals():
    """Certificates of up to a second: half a minute is for the tests of certificates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wav2edge.evaluation.parity.signals.LENGTHS_S", (0.03, 0.3, 1.0))
        yield


def has_wav2vec2():
    try:
        return importlib.util.find_spec("onnx_asr.models.wav2vec2") is not None
    except ModuleNotFoundError:
        return False


needs_onnx_asr = pytest.mark.skipif(
    not has_wav2vec2(), reason="onnx-asr is not installed, or has no wav2vec2 model: releases up to 0.12.0 lack it"
)


def recognizer(folder, quantization=None):
    """The model as onnx-asr itself loads it."""
    import onnx_asr

    providers = ["CPUExecutionProvider"]
    return onnx_asr.load_model("wav2vec2-ctc", folder, quantization=quantization, providers=providers)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The shipped bundle, laid out."""
    folder = tmp_path_factory.mktemp("shipped")
    write_layout(Bundle.open(MODELS / "words"), folder)
    return folder


@pytest.fixture(scope="module")
def padded(checkpoints, tmp_path_factory):
    """A function from a kind to the layout that takes padded batches, exported once."""
    made = {}

    def layout(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("layouts") / "folder"
            words = ["export", str(checkpoints(kind)), "--output", str(made[kind]), "--layout", "onnx-asr"]
            assert main([*words, "--batched", "--precision", "fp32"]) == 0
        return made[kind]

    return layout


def run(folder, clips, name="model.onnx"):
    """Log probabilities for clips padded together, `[batch, frames, vocabulary]`."""
    lengths = np.array([len(clip) for clip in clips], np.int64)
    batch = np.zeros((len(clips), lengths.max()), np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    session = onnxruntime.InferenceSession(str(folder / name), providers=["CPUExecutionProvider"])
    (found,) = session.run(["logprobs"], {"input_values": batch, "input_lengths": lengths})
    return found


def test_the_folder_has_the_names_that_onnx_asr_looks_for(shipped):
    assert {path.name for path in shipped.iterdir()} == {
        "certificate.json",
        "config.json",
        "model.int8.onnx",
        "vocab.txt",
    }
    assert json.loads((shipped / "config.json").read_text()) == {
        "model_type": "wav2vec2-ctc",
        "subsampling_factor": 320,
    }
    lines = (shipped / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[1], lines[-2:]) == ("▁ 0", "a 1", [" 16", "<blk> 17"])


def test_the_graph_gives_the_log_probabilities_of_the_bundle(shipped):
    engine = wav2edge.load(MODELS / "words", threads=1)
    for path in CLIPS[:3]:
        samples, _ = soundfile.read(path, dtype="float32")
        (found,) = run(shipped, [samples], "model.int8.onnx")
        assert np.abs(found - log_softmax(engine.outputs(samples)["logits"])).max() < EXACT


def test_a_graph_without_a_mask_refuses_clips_that_are_padded_together(shipped):
    with pytest.raises(Exception, match="input_values"):
        run(shipped, [voiced(16_000), voiced(8_000)], "model.int8.onnx")


@needs_onnx_asr
def test_onnx_asr_transcribes_the_shipped_clips_as_wav2edge_does(shipped):
    model, engine = recognizer(shipped, "int8"), wav2edge.load(MODELS / "words", threads=1)
    assert len(CLIPS) == 12
    for path in CLIPS:
        samples, rate_hz = soundfile.read(path, dtype="float32")
        assert model.recognize(samples, sample_rate=rate_hz) == engine(path).text


LENGTHS = (16_000, 8_000, 9_999, 401, 100)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ctc", "group-norm ctc"])
def test_in_a_padded_batch_each_clip_gets_the_log_probabilities_of_pytorch_and_then_blanks(padded, checkpoints, kind):
    original, clips = load_checkpoint(checkpoints(kind)), [voiced(length, seed=length) for length in LENGTHS]
    found = run(padded(kind), clips)
    for clip, rows in zip(clips, found, strict=True):
        alone = zero_mean_unit_variance(np.pad(clip, (0, max(0, 400 - len(clip)))))
        with torch.inference_mode():
            wanted = original.model(torch.from_numpy(alone)[None]).logits[0].log_softmax(-1).numpy()
        assert np.abs(rows[: len(wanted)] - wanted).max() < EXACT
        assert (rows[len(wanted) :].argmax(-1) == original.heads.ctc.blank_id).all()
        assert np.isfinite(rows).all()


@pytest.mark.slow
@needs_onnx_asr
def test_onnx_asr_transcribes_a_batch_like_its_clips(padded):
    model = recognizer(padded("ctc"))
    clips = [voiced(length, seed=length) for length in (16_000, 8_000, 9_999)]
    assert model.recognize(clips, sample_rate=16_000) == [model.recognize(clip, sample_rate=16_000) for clip in clips]


@pytest.mark.slow
def test_a_layout_is_certified_and_replaces_only_another_layout(padded, checkpoints, tmp_path, capsys):
    folder = padded("ctc")
    certificates = json.loads((folder / "certificate.json").read_text())["variants"]
    assert certificates["fp32"]["passed"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "certificate.json",
        "config.json",
        "model.onnx",
        "vocab.txt",
    ]
    words = ["export", str(checkpoints("ctc")), "--layout", "onnx-asr", "--batched", "--precision", "fp32", "--output"]
    assert main([*words, str(folder)]) == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other/vocab.txt").write_text("a 0\n")
    assert main([*words, str(tmp_path / "other")]) == 2
    assert "exists and is not of this layout" in capsys.readouterr().err


def test_the_vocabulary_spells_what_the_tokenizer_writes():
    head = CtcHead(
        output="logits",
        vocabulary=("[PAD]", "|", "A", "NG", "[UNK]"),
        blank_id=0,
        silent_ids=frozenset({4}),
        lower_case=True,
    )
    assert vocabulary_lines(head) == "<blk> 0\n▁ 1\na 2\nng 3\n 4\n"
    spaced = CtcHead(output="logits", vocabulary=("_", "a b"), blank_id=0)
    with pytest.raises(CheckpointError, match="the token 'a b' has a space"):
        vocabulary_lines(spaced)


@pytest.mark.parametrize(
    "words", [["--format", "ort"], ["--stream", "160"], ["--language", "swh,eng"], ["--push-to-hub", "owner/name"]]
)
def test_what_only_bundles_have_is_refused(tmp_path, capsys, words):
    asked = ["export", "nowhere", "--output", str(tmp_path / "folder"), "--layout", "onnx-asr", *words]
    assert main(asked) == 2
    assert "--layout onnx-asr" in capsys.readouterr().err


@pytest.mark.slow
def test_a_classifier_is_refused(tmp_path, capsys):
    folder = save_checkpoint(tmp_path / "classifier", "classification")
    words = ["export", str(folder), "--output", str(tmp_path / "out"), "--layout", "onnx-asr", "--precision", "fp32"]
    assert main(words) == 3
    assert "does not transcribe" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
