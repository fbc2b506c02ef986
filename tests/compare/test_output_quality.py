"""Logit error, WER and accuracy of a system's outputs."""

import jiwer
import numpy as np
import pytest
import torch

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import ClassificationHead, CtcHead, Heads
from wav2edge.errors import DataError
from wav2edge_compare.measuring.clip_sets import EvaluationClip, synthetic_clips
from wav2edge_compare.measuring.output_quality import evaluate

GEOMETRY = ConvGeometry(kernels=(10, 3, 3, 3, 3, 2, 2), strides=(5, 2, 2, 2, 2, 2, 2))
HEADS = Heads(
    ctc=CtcHead(output="logits", vocabulary=("|", "a", "b", "_"), blank_id=3),
    classification=ClassificationHead(output="class_logits", labels=("0", "1")),
)


def spelled(text, frames=12):
    """Logits that spell a text, one letter every second frame."""
    logits = np.full((frames, 4), -4.0, np.float32)
    logits[:, 3] = 0.0
    for place, letter in enumerate(text.replace(" ", "|")):
        logits[2 * place, HEADS.ctc.vocabulary.index(letter)] = 4.0
    return logits


def outputs(text, label):
    return {"logits": spelled(text), "class_logits": np.eye(2, dtype=np.float32)[label]}


def test_errors_of_logits_are_largest_over_largest_and_rms_over_rms():
    rng = np.random.default_rng(3)
    clips = synthetic_clips()[:3]
    originals = [{"logits": rng.normal(size=(9, 4)).astype(np.float32)} for _ in clips]
    found = [{"logits": each["logits"] + 0.1 * rng.normal(size=(9, 4)).astype(np.float32)} for each in originals]
    quality = evaluate(clips, originals, found, heads=HEADS, geometry=GEOMETRY)
    expected, actual = (np.concatenate([each["logits"] for each in many]) for many in (originals, found))
    assert quality.largest_error == pytest.approx(np.abs(actual - expected).max() / np.abs(expected).max())
    assert quality.rms_error == pytest.approx(np.linalg.norm(actual - expected) / np.linalg.norm(expected), rel=1e-6)
    assert (quality.wer, quality.accuracy) == (None, None)


def test_a_system_with_log_probabilities_is_compared_with_those_of_pytorch():
    clips = synthetic_clips()[:1]
    logits = np.random.default_rng(4).normal(size=(9, 4)).astype(np.float32)
    found = [{"logits": torch.from_numpy(logits).log_softmax(-1).numpy()}]
    quality = evaluate(clips, [{"logits": logits}], found, heads=HEADS, geometry=GEOMETRY, log_probabilities=True)
    assert quality.largest_error < 1e-6


def test_wer_and_accuracy_are_those_of_the_system_and_of_pytorch():
    texts = ["a b", "ab a", "b"]
    clips = [EvaluationClip(samples=np.zeros(4_000, np.float32), transcription=text, label="1") for text in texts]
    originals = [outputs(text, 1) for text in ("a b", "ab b", "b")]
    found = [outputs("a", 1), outputs("ab b", 0), outputs("b", 1)]
    quality = evaluate(clips, originals, found, heads=HEADS, geometry=GEOMETRY)
    assert quality.wer.original == jiwer.wer(texts, ["a b", "ab b", "b"])
    assert quality.wer.variant == jiwer.wer(texts, ["a", "ab b", "b"])
    assert (quality.accuracy.original, quality.accuracy.variant) == (1.0, pytest.approx(2 / 3))
    assert quality.changed_transcripts == 1
    assert quality.wer.interval[0] <= quality.wer.difference <= quality.wer.interval[1]


def test_a_system_without_classes_is_evaluated_on_its_transcripts_alone():
    clip = EvaluationClip(samples=np.zeros(4_000, np.float32), transcription="a", label="1")
    quality = evaluate([clip], [outputs("a", 1)], [{"logits": spelled("a")}], heads=HEADS, geometry=GEOMETRY)
    assert (quality.wer.variant, quality.accuracy) == (0.0, None)


@pytest.mark.parametrize("wrong", [spelled("a", frames=11), np.full((12, 4), np.nan)], ids=["shape", "not finite"])
def test_logits_that_cannot_be_compared_are_an_error(wrong):
    with pytest.raises(DataError, match="gives logits"):
        evaluate(synthetic_clips()[:1], [outputs("a", 0)], [{"logits": wrong}], heads=HEADS, geometry=GEOMETRY)
