"""Labels of frames and embeddings: what outputs say, how results of segments are joined, and how they are written."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import praatio.textgrid
import pytest

from wav2edge.audio.clip import Clip
from wav2edge.audio.segmentation import Span
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import EmbeddingHead, FrameClassificationHead, Heads
from wav2edge.errors import AudioError
from wav2edge.evaluation.parity.differences import Prediction, compare_outputs, cosine_distance
from wav2edge.evaluation.parity.signals import synthetic_signals
from wav2edge.inference.interpretation import decide_frames, frame_labels, interpret
from wav2edge.inference.recordings import long_enough, require_length
from wav2edge.output.formats import FORMATS
from wav2edge.output.result import FrameLabel, Result, Segment
from wav2edge.output.writers import Outcome

GEOMETRY = ConvGeometry.of([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2])
SPEAKERS = FrameClassificationHead(output="logits", labels=("a", "b"), exclusive=False)
SOUNDS = FrameClassificationHead(output="logits", labels=("vowel", "consonant", "silence"), exclusive=True)
VOICE = EmbeddingHead(output="embeddings", size=3, fewest_frames=16)
LABELLED = Result(
    duration_s=1.0,
    frame_labels=(
        FrameLabel(label="a", start_s=0.0, end_s=0.5, confidence=0.9),
        FrameLabel(label="b", start_s=0.4, end_s=0.8, confidence=0.75),
        FrameLabel(label="a", start_s=0.7, end_s=1.0, confidence=0.8),
    ),
)


def test_labels_that_exclude_each_other_fill_the_clip_and_the_likeliest_wins():
    logits = np.float32([[3, 1, 0], [2, 1, 0], [0, 0.5, 0], [0, 0, 5]])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = frame_labels(logits, SOUNDS, 0.02)
    assert [(each.label, each.start_s, each.end_s) for each in found] == [
        ("vowel", 0.0, 0.04),
        ("consonant", 0.04, 0.06),
        ("silence", 0.06, 0.08),
    ]
    assert found[0].confidence == pytest.approx(probabilities[:2, 0].mean())


def test_labels_that_do_not_may_overlap_and_may_all_be_absent():
    logits = np.float32([[-1, -2], [2, -1], [3, 1], [-1, 1], [-2, -2]])
    found = frame_labels(logits, SPEAKERS, 0.02)
    assert [(each.label, each.start_s, each.end_s) for each in found] == [("a", 0.02, 0.06), ("b", 0.04, 0.08)]
    assert found[0].confidence == pytest.approx((1 / (1 + np.exp(-np.float64([2, 3])))).mean())
    assert frame_labels(logits[:1], SPEAKERS, 0.02) == frame_labels(logits[:0], SPEAKERS, 0.02) == ()


def test_the_sigmoid_of_huge_logits_does_not_overflow():
    special = pytest.importorskip("scipy.special")
    logits = np.float32([[1e4, -1e4], [0.5, -0.5]])
    with np.errstate(all="raise"):
        probabilities, present = decide_frames(logits, SPEAKERS)
    np.testing.assert_allclose(probabilities, special.expit(logits.astype(np.float64)), atol=1e-15)
    np.testing.assert_array_equal(present, logits > 0)


def test_the_confidence_of_a_clip_is_that_of_its_labels_weighted_by_their_duration():
    logits = np.float32([[4, 0, 0], [4, 0, 0], [0, 1, 0]])
    result = interpret({"logits": logits}, Heads(frame_classification=SOUNDS), GEOMETRY, duration_s=0.07)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert result.confidence == pytest.approx(probabilities.max(axis=1).mean())
    assert (result.text, result.label, result.embedding) == (None, None, None)
    assert result.as_rejected().frame_labels == ()
    silent = interpret({"logits": -logits[:, :2]}, Heads(frame_classification=SPEAKERS), GEOMETRY, duration_s=0.07)
    assert (silent.frame_labels, silent.confidence) == ((), 1.0)


def test_an_embedding_is_numbers_that_json_holds():
    numbers = np.float32([1 / 3, -2e-9, 1234.5678])
    result = interpret({"embeddings": numbers}, Heads(embedding=VOICE), GEOMETRY, duration_s=1.0)
    assert (result.embedding, result.confidence) == (tuple(numbers.tolist()), 1.0)
    written = json.loads(json.dumps(result.to_dict()))["embedding"]
    np.testing.assert_allclose(written, numbers, rtol=1e-6)


def test_segments_are_on_the_clock_of_their_recording_and_its_embedding_is_their_mean():
    first = LABELLED.as_segment(2.0, 3.0)
    assert first.frame_labels[1] == FrameLabel(label="b", start_s=2.4, end_s=2.8, confidence=0.75)
    joined = Result.of_segments([first, LABELLED.as_segment(5.0, 6.0)], duration_s=9.0)
    assert [each.start_s for each in joined.frame_labels] == pytest.approx([2.0, 2.4, 2.7, 5.0, 5.4, 5.7])
    voices = [Segment(start_s=0, end_s=1, embedding=(1.0, 0.0)), Segment(start_s=1, end_s=4, embedding=(0.0, 2.0))]
    assert Result.of_segments(voices, duration_s=4.0).embedding == (0.25, 1.5)


def written(name: str, result: Result) -> str:
    stream = io.StringIO()
    writer = FORMATS[name](stream, many=False)
    writer.add(Outcome(name="clip.wav", result=result))
    writer.close()
    return stream.getvalue()


def test_each_stretch_of_a_label_has_a_line_a_row_and_a_cue():
    lines = ["00:00.000\t00:00.500\ta", "00:00.400\t00:00.800\tb", "00:00.700\t00:01.000\ta"]
    assert written("text", LABELLED).splitlines() == lines
    rows = list(csv.DictReader(io.StringIO(written("csv", LABELLED))))
    assert [(row["start_s"], row["end_s"], row["label"], row["confidence"]) for row in rows] == [
        ("0.000", "0.500", "a", "0.900000"),
        ("0.400", "0.800", "b", "0.750000"),
        ("0.700", "1.000", "a", "0.800000"),
    ]
    assert written("srt", LABELLED).count(" --> ") == 3
    assert "00:00:00.400 --> 00:00:00.800\nb\n" in written("vtt", LABELLED)
    assert "labels,400,800,b,clip.wav" in written("elan", LABELLED)
    assert json.loads(written("json", LABELLED))["frame_labels"][1] == {
        "label": "b",
        "start_s": 0.4,
        "end_s": 0.8,
        "confidence": 0.75,
    }


def test_labels_that_overlap_have_a_tier_each(tmp_path):
    path = tmp_path / "clip.TextGrid"
    path.write_text(written("textgrid", LABELLED), encoding="utf-8")
    grid = praatio.textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    tiers = {name: [tuple(entry) for entry in grid.getTier(name).entries] for name in grid.tierNames}
    assert tiers == {"a": [(0.0, 0.5, "a"), (0.7, 1.0, "a")], "b": [(0.4, 0.8, "b")]}


def test_an_embedding_is_written_as_numbers_and_a_rejected_clip_as_its_row():
    embedded = Result(duration_s=1.0, embedding=(0.5, -1.25))
    assert written("text", embedded) == "0.5 -1.25\n"
    assert json.loads(written("jsonl", embedded))["embedding"] == [0.5, -1.25]
    (row,) = csv.DictReader(io.StringIO(written("csv", LABELLED.as_rejected())))
    assert (row["label"], row["rejected"]) == ("", "true")


def test_predictions_survive_json_and_are_compared_by_labels_and_by_the_cosine():
    prediction = Prediction.of(LABELLED)
    assert Prediction.from_dict(json.loads(json.dumps(prediction.to_dict()))) == prediction
    voice = Prediction.of(Result(duration_s=1.0, embedding=(0.5, -1.25)))
    assert Prediction.from_dict(json.loads(json.dumps(voice.to_dict()))) == voice
    assert Prediction(text="a", label=None).to_dict() == {"text": "a", "label": None}
    distance = pytest.importorskip("scipy.spatial.distance")
    first, second = np.random.default_rng(0).standard_normal((2, 24))
    assert cosine_distance(first, second) == pytest.approx(distance.cosine(first, second))
    assert cosine_distance(first, 3 * first) == pytest.approx(0, abs=1e-12)
    assert cosine_distance(first, np.zeros(24)) == float("inf")


def test_frames_agree_where_all_their_labels_do():
    original = {"logits": np.float32([[1, -1], [2, 2], [-1, 3]])}
    variant = {"logits": np.float32([[5, -5], [2, -2], [-1, 1]])}
    found = compare_outputs(original, variant, Heads(frame_classification=SPEAKERS))
    assert (found.frame_agreement, found.absolute_error) == (pytest.approx(2 / 3), 4)


def test_of_an_embedding_the_errors_are_over_its_largest_number():
    original, variant = {"embeddings": np.float32([100, -200, 0])}, {"embeddings": np.float32([100, -199, 0])}
    found = compare_outputs(original, variant, Heads(embedding=VOICE))
    assert found.absolute_error == found.relative_error == pytest.approx(0.005)
    assert found.frame_agreement is None


def test_the_signals_of_a_certificate_are_no_shorter_than_the_model_needs():
    samples = {len(each.samples) for each in synthetic_signals(GEOMETRY, fewest_frames=16)}
    assert (min(samples), GEOMETRY.frames(min(samples))) == (400 + 15 * 320, 16)
    assert {5_200, 5_201, 5_519, 5_520, 16_000} <= samples


def test_a_clip_that_is_too_short_is_refused_and_such_a_stretch_of_speech_left_out():
    require_length(Clip(samples=np.zeros(5_200, np.float32)), "a.wav", 5_200)
    with pytest.raises(AudioError, match=r"^a.wav: 0\.32 s long, and this model needs 0\.33 s at least; give a longer"):
        require_length(Clip(samples=np.zeros(5_199, np.float32)), "a.wav", 5_200)
    spans = [Span(start=0, samples=np.zeros(size, np.float32)) for size in (5_200, 100, 6_000, 200)]
    warnings: list[str] = []
    assert list(long_enough(spans, 5_200, warnings)) == spans[::2]
    assert warnings == ["speech of less than 0.33 s is left out: this model needs more"]


@pytest.mark.parametrize("heads", [Heads(frame_classification=SPEAKERS), Heads(embedding=VOICE)])
def test_heads_survive_the_manifest(heads):
    assert Heads.from_dict(json.loads(json.dumps(heads.to_dict()))) == heads


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: FrameClassificationHead(output="logits", labels=("a", "a"), exclusive=True), "non-empty and unique"),
        (lambda: EmbeddingHead(output="embeddings", size=0, fewest_frames=1), "both are at least 1"),
        (lambda: Heads.from_dict({"embedding": {"output": "embeddings", "size": 3}}), "'fewest_frames' is missing"),
        (lambda: Heads.from_dict({"frame_classification": {"output": "x", "labels": ["a"]}}), "'exclusive' is missing"),
    ],
)
def test_impossible_heads_are_refused(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()
