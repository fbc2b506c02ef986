"""Temperatures and expected calibration errors."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import ClassificationHead, CtcHead, Heads
from wav2edge.decoding.ctc import softmax
from wav2edge.evaluation.dataset import Utterance
from wav2edge.evaluation.parity.calibration import Answers, Calibrator, expected_calibration_error
from wav2edge.evaluation.rates import edit_distance, matched
from wav2edge.inference.interpretation import interpret

GEOMETRY = ConvGeometry.of([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2])
HEADS = Heads(
    ctc=CtcHead(output="logits", vocabulary=("_", "|", "a", "b"), blank_id=0),
    classification=ClassificationHead(output="class_logits", labels=("x", "y", "z")),
)


def classes(clips: int, *, overconfident_by: float, seed: int = 0) -> list[tuple[Utterance, dict[str, np.ndarray]]]:
    """Clips whose labels are drawn from the model's own probabilities; its logits are then multiplied."""
    rng = np.random.default_rng(seed)
    found = []
    for logits in 2 * rng.standard_normal((clips, 3)):
        label = "xyz"[rng.choice(3, p=softmax(logits))]
        row = Utterance(path=Path("a.wav"), where="a:1", label=label)
        found.append((row, {"class_logits": overconfident_by * logits}))
    return found


def calibrated(clips: list[tuple[Utterance, dict[str, np.ndarray]]]):
    calibrator = Calibrator(HEADS)
    for row, outputs in clips:
        calibrator.add(row, outputs, outputs)
    return calibrator.calibrations()


def answers_of(clips: list[tuple[Utterance, dict[str, np.ndarray]]]) -> Answers:
    answers = Answers()
    for place, (row, outputs) in enumerate(clips):
        best = int(outputs["class_logits"].argmax())
        answers.add(outputs["class_logits"][None], np.array([best]), right="xyz"[best] == row.label, clip=place)
    return answers


def test_the_error_is_that_of_a_sum_over_bins():
    rng = np.random.default_rng(1)
    confidences = np.r_[rng.random(200), 0.0, 1.0, 1 / 15, 2 / 15]
    right = rng.random(204) < 0.7
    expected = 0.0
    for k in range(15):
        inside = (confidences > k / 15) & (confidences <= (k + 1) / 15) | ((k == 0) & (confidences == 0))
        if inside.any():
            expected += inside.mean() * abs(confidences[inside].mean() - right[inside].mean())
    assert expected_calibration_error(confidences, right) == pytest.approx(expected)
    assert expected_calibration_error(np.zeros(0), np.zeros(0, bool)) == 0.0


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_the_temperature_is_the_one_that_scipy_finds(temperature):
    optimize = pytest.importorskip("scipy.optimize")
    metrics = pytest.importorskip("sklearn.metrics")
    answers = answers_of(classes(400, overconfident_by=temperature))

    def loss(logarithm: float) -> float:
        return metrics.log_loss(answers.right, answers.confidences(np.exp(logarithm)))

    best = optimize.minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded", options={"xatol": 1e-6})
    assert answers.temperature() == pytest.approx(np.exp(best.x), rel=2e-3)


def test_an_honest_source_keeps_its_temperature_and_an_overconfident_one_gets_its_own():
    honest = calibrated(classes(4_000, overconfident_by=1.0))["classification"]
    assert honest.temperature == pytest.approx(1.0, abs=0.1)
    assert honest.ece_before < 0.03
    boastful = calibrated(classes(4_000, overconfident_by=3.0))["classification"]
    assert boastful.temperature == pytest.approx(3.0, rel=0.1)
    assert boastful.ece_before > 0.1
    assert boastful.ece_after < 0.03


def test_every_second_clip_is_measured_with_the_temperature_of_the_others():
    clips = classes(200, overconfident_by=2.0)
    even, odd = answers_of(clips[::2]), answers_of(clips[1::2])
    confidences = np.r_[even.confidences(odd.temperature()), odd.confidences(even.temperature())]
    found = calibrated(clips)["classification"]
    assert found.ece_after == pytest.approx(
        expected_calibration_error(confidences, np.array([*even.right, *odd.right], bool))
    )
    assert found.temperature == pytest.approx(answers_of(clips).temperature())
    assert (found.answers, found.clips, found.bins) == (200, 200, 15)


def test_the_confidences_that_are_measured_are_those_that_a_result_reports():
    rng = np.random.default_rng(3)
    answers, reported = Calibrator(HEADS), []
    for _ in range(30):
        logits = rng.standard_normal((40, 4)) * 2
        outputs = {"logits": logits, "class_logits": np.zeros(3)}
        answers.add(Utterance(path=Path("a.wav"), where="a:1", transcription="a b"), outputs, outputs)
        result = interpret(outputs, HEADS, GEOMETRY, duration_s=1.0, temperatures={"ctc": 1.4})
        reported += [word.confidence for word in result.words]
    assert answers._variant["ctc"].confidences(1.4) == pytest.approx(reported)


def test_too_few_right_or_wrong_answers_give_no_temperature():
    clips = classes(400, overconfident_by=1.0)
    wrong = [each for each in clips if each[0].label != "xyz"[int(each[1]["class_logits"].argmax())]]
    assert calibrated(wrong) is None
    assert calibrated(clips[:12]) is None
    assert calibrated([]) is None


def test_the_words_that_are_right_are_those_of_an_alignment_with_fewest_edits():
    for reference in itertools.product("ab", repeat=3):
        for size in range(5):
            for hypothesis in itertools.product("abc", repeat=size):
                right = matched(reference, hypothesis)
                kept = [word for word, good in zip(hypothesis, right, strict=True) if good]
                assert len(right) == size
                assert _is_subsequence(kept, reference)
                # Every wrong word and every missing one is an edit, and a wrong one may stand for a missing one.
                assert max(size, len(reference)) - len(kept) <= edit_distance(reference, hypothesis)
    assert matched(["a", "b", "c"], ["a", "x", "c", "d"]) == [True, False, True, False]
    assert matched([], ["a"]) == [False]


def _is_subsequence(part: list[str], whole: tuple[str, ...]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)
