"""Heads of every kind, and bundles in several languages, are read in JavaScript as they are in Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wav2edge
from tests.js.same_answers import assert_same
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import ClassificationHead, CtcHead, EmbeddingHead, FrameClassificationHead, Heads
from wav2edge.errors import Wav2EdgeError
from wav2edge.inference.interpretation import interpret

pytestmark = pytest.mark.slow

WORDS = Path(__file__).parents[2] / "models" / "words"
GEOMETRY = ConvGeometry(kernels=(10, 3, 3, 3, 3, 2, 2), strides=(5, 2, 2, 2, 2, 2, 2))
CLIP = WORDS.parent / "clips" / "fu-dan-3.flac"
RATE_HZ = 16_000
LAST_DIGIT = 1.1e-6
"""Of the numbers in a result."""
LETTERS = ("<pad>", "|", "A", "B", ".", "'S", "N'T", "İ", "\N{MATHEMATICAL SCRIPT CAPITAL A}")
CTC = {"output": "logits", "vocabulary": LETTERS, "blank_id": 0}
HEADS = {
    "letters": Heads(ctc=CtcHead(**CTC)),
    "small letters": Heads(ctc=CtcHead(**CTC, lower_case=True)),
    "cleaned up": Heads(ctc=CtcHead(**CTC, lower_case=True, clean_up_spaces=True)),
    "other words": Heads(ctc=CtcHead(**CTC, delimiter_text="-")),
    "no space between words": Heads(ctc=CtcHead(**CTC, delimiter_text="")),
    "phonemes": Heads(ctc=CtcHead(**CTC, silent_ids=frozenset({1}), token_separator=" ")),
    "phonemes in words": Heads(ctc=CtcHead(**CTC, token_separator="_", clean_up_spaces=True)),
    "letters and classes": Heads(ctc=CtcHead(**CTC), classification=ClassificationHead(output="a", labels=("x", "y"))),
    "speakers": Heads(
        frame_classification=FrameClassificationHead(output="logits", labels=LETTERS, exclusive=False),
        embedding=EmbeddingHead(output="a", size=2, fewest_frames=3),
    ),
    "one of them": Heads(frame_classification=FrameClassificationHead(output="logits", labels=LETTERS, exclusive=True)),
}


def test_outputs_of_every_kind_are_read_as_python_reads_them(run_script):
    noise = np.random.default_rng(7)
    questions, expected = [], []
    for heads in HEADS.values():
        for temperatures in (None, {"ctc": 1.3, "classification": 2.1}):
            for frames in (0, 1, 25, 60):
                outputs = {"logits": (4 * noise.standard_normal((frames, len(LETTERS)))).astype(np.float32)}
                outputs["a"] = noise.standard_normal(2).astype(np.float32)
                if frames == 0 and heads.frame_classification is not None:
                    continue
                lists = {name: values.tolist() for name, values in outputs.items() if name in heads.outputs}
                questions.append({"heads": heads.to_dict(), "outputs": lists, "temperatures": temperatures})
                result = interpret(
                    outputs, heads, GEOMETRY, duration_s=1.5, warnings=("a warning",), temperatures=temperatures
                )
                expected.append(result.to_dict())
    assert_same(run_script("interpret.mjs", questions), expected, LAST_DIGIT)
    assert any(len(result.get("text", "").split()) > 5 for result in expected)
    assert any(len(result.get("frame_labels", ())) > 5 for result in expected)


def speakers(document: dict[str, Any]) -> None:
    """The two outputs of the shipped graph as labels of frames and as an embedding."""
    labels = document["heads"]["ctc"]["vocabulary"]
    document["heads"] = {
        "frame_classification": {"output": "logits", "labels": labels, "exclusive": True},
        "embedding": {"output": "class_logits", "size": 4, "fewest_frames": 30},
    }


def test_labels_of_frames_and_embeddings_of_clips_and_recordings_are_those_of_python(rewritten, tmp_path, run_script):
    bundle = rewritten(speakers)
    noise = np.random.default_rng(3)
    # The sound in the middle is too short for the embedding.
    burst, pause = 0.3 * noise.standard_normal(16_000), 1e-3 * noise.standard_normal(20_000)
    recording = np.concatenate([pause, burst, pause, burst[:4_000], pause, burst, pause]).astype(np.float32)
    engine = wav2edge.load(bundle, threads=1)
    clips, expected = [], []
    for name, samples in {"long": recording, "short": recording[20_000:24_000], "clip": recording[:36_000]}.items():
        samples.tofile(tmp_path / name)
        clips.append({"path": str(tmp_path / name), "rateHz": RATE_HZ})
        try:
            expected.append(engine(samples, rate_hz=RATE_HZ).to_dict())
        except Wav2EdgeError as error:
            told = {"name": type(error).__name__, "message": str(error), "exitCode": error.exit_code}
            expected.append({"error": told})
    found = run_script(
        "answers.mjs", {"bundle": str(bundle), "options": {"device": "cpu", "threads": 1}, "clips": clips}
    )
    assert "needs 0.60 s at least" in expected[1]["error"]["message"]
    assert len(expected[0]["segments"]) == 2
    assert "left out" in expected[0]["warnings"][0]
    assert_same(found, expected, 1e-3)


def languages(document: dict[str, Any]) -> None:
    """The shipped graph in two languages, of which the second writes capitals."""
    heads = json.loads(json.dumps(document["heads"]))
    heads["ctc"]["vocabulary"] = [token.upper() for token in heads["ctc"]["vocabulary"]]
    own = document["variants"]["int8"]
    document["variants"] = {"int8": {**own, "language": "cmn"}, "int8-yue": {**own, "language": "yue", "heads": heads}}


@pytest.mark.parametrize("options", [{}, {"language": "yue"}, {"language": "cmn"}, {"variant": "int8-yue"}])
def test_a_language_has_its_own_variants(options, rewritten, tmp_path, run_script):
    bundle = rewritten(languages)
    samples = load_clip(CLIP).samples
    samples.tofile(tmp_path / "clip")
    clips = [{"path": str(tmp_path / "clip"), "rateHz": RATE_HZ}]
    asked = {"bundle": str(bundle), "options": {"device": "cpu", "threads": 1, **options}, "clips": clips}
    (found,) = run_script("answers.mjs", asked)
    expected = wav2edge.load(bundle, threads=1, **options)(samples, rate_hz=RATE_HZ)
    assert found["text"] == expected.text == ("FU DAN" if "yue" in str(options) else "fu dan")


@pytest.mark.parametrize(
    "options", [{"language": "deu"}, {"language": "yue", "variant": "fp32"}, {"language": "cmn", "variant": "int8-yue"}]
)
def test_what_a_language_lacks_is_refused_with_the_words_of_python(options, rewritten, run_script):
    bundle = rewritten(languages)
    (found,) = run_script("load.mjs", [{"bundle": str(bundle), "options": {"device": "cpu", **options}}])
    with pytest.raises(Wav2EdgeError) as caught:
        wav2edge.load(bundle, **options)
    told = {"name": type(caught.value).__name__, "message": str(caught.value), "exitCode": caught.value.exit_code}
    assert found == {"error": told}
