"""The verdict on a variant follows from what was measured, and from nothing else."""

import dataclasses
import hashlib
import json

import jiwer
import numpy as np
import pytest
import scipy.stats
import soundfile

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import ClassificationHead, CtcHead, Heads
from wav2edge.evaluation.dataset import Utterance
from wav2edge.evaluation.parity.certificate import (
    Certificate,
    certified_up_to_s,
    certify,
    confidence_temperature,
    word_times_borne_out,
)
from wav2edge.evaluation.parity.differences import Budget, CachedModel, Prediction, compare_outputs
from wav2edge.evaluation.parity.original_record import record_original
from wav2edge.evaluation.parity.signals import synthetic_signals, voiced
from wav2edge.evaluation.rates import paired_rate, share_interval

GEOMETRY = ConvGeometry.of((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))
DIGEST_OF_THE_SIGNALS = "2b45f34e0e2a9f2c68643dad7b7e58c0452ad391b9dea976fc3fb07f814c2d27"
HEADS = Heads(
    ctc=CtcHead(output="logits", vocabulary=("a", "b", "|", "_"), blank_id=3),
    classification=ClassificationHead(output="class_logits", labels=("0", "1")),
)


def model(shift=0.0, tokens=(0, 2, 1), best_class=0):
    """A stand-in for a network: the same tokens for every clip, the logits moved by ``shift``."""

    def outputs(samples):
        logits = np.full((GEOMETRY.frames(len(samples)), 4), -5.0) + shift
        logits[:, 3] = 0.0
        for frame, token in enumerate(tokens[: len(logits)]):
            logits[frame, token] = 5.0 + shift
        return {"logits": logits, "class_logits": np.eye(2)[best_class] + shift}

    return outputs


@pytest.fixture
def utterances(tmp_path):
    rows = []
    for number in range(12):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, voiced(8000, seed=number), 16_000)
        text = "a b" if number % 3 else "b b"
        rows.append(Utterance(path=path, where=f"row {number}", transcription=text, label=str(number % 2)))
    return rows


def certificate_of(variant, budget, utterances=(), timed=()):
    signals = list(synthetic_signals(GEOMETRY, longest_s=1.0))
    return certify(
        "int8",
        budget,
        original=model(),
        variant=variant,
        heads=HEADS,
        geometry=GEOMETRY,
        signals=signals,
        utterances=utterances,
        timed=timed,
    )


def test_the_signals_are_one_frame_to_half_a_minute_long_and_include_the_hard_ones():
    signals = {each.name: each.samples for each in synthetic_signals(GEOMETRY)}
    lengths = {len(samples) for samples in signals.values()}
    assert {400, 401, 719, 720, 16_000, 480_000} <= lengths
    assert not signals["silence"].any()
    assert np.abs(signals["tiny amplitude"]).max() < 1e-3
    assert np.mean(np.abs(signals["clipping"]) == 1.0) > 0.01
    assert all(samples.dtype == np.float32 and np.isfinite(samples).all() for samples in signals.values())


def test_the_signals_are_the_same_to_the_last_bit_on_every_processor_and_with_every_numpy():
    digests = "".join(each.sha256 for each in synthetic_signals(GEOMETRY))
    assert hashlib.sha256(digests.encode()).hexdigest() == DIGEST_OF_THE_SIGNALS


def test_a_variant_with_equal_outputs_passes_the_strictest_budget(utterances):
    certificate = certificate_of(model(), Budget(absolute_error=0.0, changed_results=0.0, wer_increase=0.0), utterances)
    assert certificate.passed
    assert certificate.measured()["absolute_error"] == 0.0


def test_a_logit_error_over_budget_is_refused_with_its_figure():
    certificate = certificate_of(model(shift=0.5), Budget(absolute_error=0.1))
    assert not certificate.passed
    assert "absolute error 0.5, 0.1 allowed" in certificate.summary


def test_logits_that_are_not_numbers_are_over_every_budget():
    assert not certificate_of(model(shift=float("nan")), Budget(absolute_error=1e9)).passed


def test_outputs_of_another_shape_have_an_infinite_error():
    assert compare_outputs(
        {"logits": np.zeros((3, 4)), "class_logits": np.zeros(2)},
        {"logits": np.zeros((2, 4)), "class_logits": np.zeros(2)},
        HEADS,
    ).absolute_error == float("inf")


def test_changed_transcripts_and_their_word_errors_are_counted_as_jiwer_counts_them(utterances):
    certificate = certificate_of(model(tokens=(1, 2, 1)), Budget(wer_increase=0.0), utterances)
    references = [row.transcription for row in utterances]
    assert certificate.clips.changed_transcripts == len(utterances)
    assert certificate.clips.changed_classes == 0
    assert certificate.clips.wer.original == pytest.approx(jiwer.wer(references, ["a b"] * len(references)))
    assert certificate.clips.wer.variant == pytest.approx(jiwer.wer(references, ["b b"] * len(references)))
    assert not certificate.passed


def test_changed_classes_cost_accuracy(utterances):
    certificate = certificate_of(model(best_class=1), Budget(accuracy_drop=0.005), utterances[:7])
    assert certificate.clips.changed_classes == 7
    assert (certificate.clips.accuracy.original, certificate.clips.accuracy.variant) == (4 / 7, 3 / 7)
    assert not certificate.passed


@pytest.mark.parametrize(
    ("lost", "allowed_changes", "passes"), [(0, 0, True), (1, 0, False), (1, 1, True), (2, 1, False), (2, 2, True)]
)
def test_a_change_of_one_clip_among_few_may_be_allowed(lost, allowed_changes, passes):
    budget = Budget(accuracy_drop=0.003, allowed_changes=allowed_changes)
    violations = budget.violations({"accuracy_drop": lost / 240}, {"accuracy_drop": 1 / 240})
    assert (violations == []) == passes


def test_among_many_clips_the_bound_of_the_rate_is_what_counts():
    budget = Budget(wer_increase=0.003, allowed_changes=1)
    assert budget.violations({"wer_increase": 0.003}, {"wer_increase": 1e-4}) == []
    assert budget.violations({"wer_increase": 0.0031}, {"wer_increase": 1e-4}) == ["wer increase 0.0031, 0.003 allowed"]


def test_the_allowed_changes_are_counted_in_words_and_in_clips(utterances):
    fair = Budget(wer_increase=0.0, accuracy_drop=0.0, allowed_changes=12)  # twelve clips, twenty-four words
    assert certificate_of(model(best_class=1), fair, utterances).passed
    assert certificate_of(model(tokens=(1, 2, 1)), fair, utterances).passed
    assert not certificate_of(model(tokens=(3, 2, 3)), fair, utterances).passed
    summary = certificate_of(model(tokens=(1, 2, 1)), fair, utterances).summary
    assert "WER 0.1667 -> 0.3333 (by -0.0833 to +0.4167 at 95 %)" in summary


def test_a_clip_that_cannot_be_read_is_counted_as_unreadable(utterances):
    utterances[0].path.write_bytes(b"")
    clips = certificate_of(model(), Budget(), utterances).clips
    assert (clips.clips, clips.unreadable) == (11, 1)


def test_the_written_certificate_is_strict_json_with_the_verdict(utterances):
    written = json.loads(json.dumps(certificate_of(model(shift=0.1), Budget(), utterances).to_dict(), allow_nan=False))
    assert written["passed"] is True
    assert written["clips"]["wer"]["difference"] == 0.0
    assert written["signals"]["silence"]["absolute_error"] == pytest.approx(0.1)


@pytest.mark.parametrize(("events", "trials"), [(0, 97), (1, 97), (5, 10), (300, 300)])
def test_the_interval_of_a_share_is_that_of_scipy(events, trials):
    expected = scipy.stats.binomtest(events, trials).proportion_ci(method="wilson")
    assert share_interval(events, trials) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_the_summary_and_the_written_certificate_show_the_intervals(utterances):
    certificate = certificate_of(model(tokens=(1, 2, 1)), Budget(), utterances)
    low, high = certificate.clips.wer.interval
    assert f"WER 0.1667 -> 0.3333 (by {low:+.4f} to {high:+.4f} at 95 %)" in certificate.summary
    assert "12 of 12 transcripts changed (75.8% to 100.0% at 95 %)" in certificate.summary
    assert "0 of 12 classes changed (0.0% to 24.2% at 95 %)" in certificate.summary
    intervals = certificate.to_dict()["intervals"]
    assert intervals["wer_increase"] == [low, high]
    assert intervals["changed_results"][1] == 1.0


def test_a_drop_of_accuracy_has_the_interval_of_the_drop(utterances):
    certificate = certificate_of(model(best_class=1), Budget(), utterances[:7])
    low, high = certificate.clips.accuracy.interval
    assert certificate.intervals()["accuracy_drop"] == (-high, -low)
    assert -high <= certificate.measured()["accuracy_drop"] <= -low


def test_nan_is_written_as_null():
    written = certificate_of(model(shift=float("nan")), Budget()).to_dict()
    assert written["signals"]["silence"]["absolute_error"] is None
    json.dumps(written, allow_nan=False)


def test_the_original_is_recorded_once_per_signal_and_once_per_clip(utterances):
    utterances[0].path.write_bytes(b"")
    record = record_original(
        model(), HEADS, GEOMETRY, signals=synthetic_signals(GEOMETRY, longest_s=1.0), utterances=utterances
    )
    assert set(record.clips.values()) == {Prediction(text="a b", label="0")}
    assert set(record.clips) == {hashlib.sha256(row.path.read_bytes()).hexdigest() for row in utterances[1:]}
    assert record.signals["silence"].outputs["logits"].shape == (49, 4)
    assert record.signals["silence"].outputs["logits"].dtype == np.float32


def test_the_longest_signals_are_not_recorded_for_a_very_large_vocabulary(monkeypatch):
    monkeypatch.setattr("wav2edge.evaluation.parity.original_record.LARGEST_OUTPUTS_BYTES", 20_000)
    recorded = record_original(model(), HEADS, GEOMETRY, signals=synthetic_signals(GEOMETRY), utterances=()).signals
    assert {"400 samples", "white noise"} < set(recorded)
    assert "480000 samples" not in recorded


def test_the_interval_of_a_paired_difference_covers_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for repeat in range(100):
        events = (rng.random((60, 2)) < [0.3, 0.4]).astype(float)
        low, high = paired_rate(events, np.ones(60), seed=repeat).interval
        covered += low <= 0.1 <= high
    assert covered >= 87


def test_an_interval_without_any_difference_has_no_width():
    rate = paired_rate(np.ones((10, 2)), np.full(10, 2.0))
    assert (rate.original, rate.variant, rate.interval) == (0.5, 0.5, (0.0, 0.0))


def test_a_cached_model_computes_each_input_once():
    lengths = []

    def original(samples):
        lengths.append(len(samples))
        return {"logits": samples * 2}

    cached = CachedModel(original)
    one, other = voiced(500, seed=1), voiced(500, seed=2)
    for _ in range(3):
        assert (cached(one)["logits"] == one * 2).all()
        assert (cached(other)["logits"] == other * 2).all()
    assert lengths == [500, 500]


def test_a_certificate_covers_audio_up_to_its_longest_signal_or_clip(utterances):
    signals_only = certificate_of(model(), Budget())
    assert signals_only.certified_up_to_s == signals_only.longest_signal_s == 16_319 / 16_000
    assert "on signals of up to 1.01994 s" in signals_only.summary
    soundfile.write(utterances[3].path, voiced(40_000), 16_000)
    with_clips = certificate_of(model(), Budget(), utterances)
    assert with_clips.certified_up_to_s == with_clips.clips.longest_s == 2.5
    written = with_clips.to_dict()
    assert (written["certified_up_to_s"], written["clips"]["longest_s"]) == (2.5, 2.5)
    assert written["longest_signal_s"] == 16_319 / 16_000


def test_several_certificates_together_cover_what_each_of_them_covers(utterances):
    short, long = (certificate_of(model(), Budget(), rows) for rows in ([], utterances))
    long = dataclasses.replace(long, longest_signal_s=30.0)
    empty = Certificate(precision="int8", budget=Budget(), signals={})
    assert certified_up_to_s([long, short]) == short.certified_up_to_s
    assert certified_up_to_s([long, empty]) is None
    assert certified_up_to_s([]) is None


def test_word_starts_of_the_variant_are_compared_with_the_true_ones(utterances):
    timed = [
        dataclasses.replace(row, transcription="a b", word_starts_s=(0.01, 0.07)) for row in utterances
    ]  # the stand-in emits them at 0.00 and 0.04 s
    certificate = certificate_of(model(), Budget(), timed=[*timed, utterances[0]])
    assert certificate.word_times_error.words == 24
    assert certificate.word_times_error.median_s == pytest.approx(0.02)
    assert "word start error median 0.020 s, 95th percentile 0.030 s, 24 words" in certificate.summary
    assert certificate.to_dict()["word_times_error"]["p95_s"] == pytest.approx(0.03)


def test_the_confidences_of_the_variant_are_calibrated_where_clips_tell(utterances):
    rows = [
        dataclasses.replace(row, transcription="a b" if place % 4 < 2 else "c d", label=None)
        for place, row in enumerate(utterances)
    ]  # the stand-in says "a b" of each
    certificate = certificate_of(model(), Budget(), rows)
    assert set(certificate.calibration) == {"ctc"}
    found = certificate.calibration["ctc"]
    assert (found.answers, found.clips) == (24, 12)
    assert found.ece_before > 0.4 > found.ece_after
    assert found.temperature > 1
    assert f"calibration error of words {found.ece_before:.4f} -> {found.ece_after:.4f}" in certificate.summary
    assert certificate.to_dict()["calibration"]["ctc"]["bins"] == 15
    assert confidence_temperature([certificate]) == {"ctc": round(found.temperature, 4)}


def test_without_clips_that_tell_no_temperature_is_known(utterances):
    for rows in ([], utterances[:2]):
        certificate = certificate_of(model(), Budget(), rows)
        assert (certificate.calibration, confidence_temperature([certificate])) == (None, None)


def test_word_times_are_borne_out_where_every_variant_has_true_ones(utterances):
    late = [dataclasses.replace(row, transcription="a b", word_starts_s=(0.3, 0.34)) for row in utterances]
    true = [dataclasses.replace(row, transcription="a b", word_starts_s=(0.01, 0.05)) for row in utterances]
    good, bad, unknown, few = (certificate_of(model(), Budget(), timed=timed) for timed in (true, late, (), true[:2]))
    assert word_times_borne_out([good, good]) is True
    assert word_times_borne_out([good, bad]) is False
    assert word_times_borne_out([good, unknown]) is None
    assert word_times_borne_out([few]) is None
    assert word_times_borne_out([]) is None
