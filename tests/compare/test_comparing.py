"""The arithmetic of a comparison, which system takes which checkpoint, and the processes that are talked to."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jiwer
import numpy as np
import pytest
import torch
from scipy import stats

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import ClassificationHead, CtcHead, Heads
from wav2edge.errors import BenchmarkError, CheckpointError, DataError, UsageError
from wav2edge_compare.comparison_options import ComparisonOptions
from wav2edge_compare.measuring.answer_quality import JudgedClip, judge, synthetic_clips
from wav2edge_compare.measuring.processes import start
from wav2edge_compare.measuring.speed import CHILD
from wav2edge_compare.measuring.statistics import median_s, p95_s, ratio_of_medians
from wav2edge_compare.peers.checkpoint_facts import read_facts
from wav2edge_compare.peers.peer_builds import BUILDS, CHECKPOINT, OPTIMUM_RECIPES, optimum_recipe
from wav2edge_compare.peers.runners import RUNNERS
from wav2edge_compare.peers.systems import PEERS, choose_peers

GEOMETRY = ConvGeometry(kernels=(10, 3, 3, 3, 3, 2, 2), strides=(5, 2, 2, 2, 2, 2, 2))
HEADS = Heads(
    ctc=CtcHead(output="logits", vocabulary=("|", "a", "b", "_"), blank_id=3),
    classification=ClassificationHead(output="class_logits", labels=("0", "1")),
)


# Statistics


def test_medians_and_percentiles_are_over_all_answers_of_all_rounds():
    turns = np.random.default_rng(0).random((10, 3))
    assert (median_s(turns), p95_s(turns)) == (np.median(turns), np.percentile(turns, 95))


def test_the_interval_of_a_ratio_is_the_paired_percentile_bootstrap_of_scipy():
    rng = np.random.default_rng(1)
    pace = 1 + 0.3 * rng.random(40)  # both systems share what disturbs a round
    ours, theirs = 0.07 * pace * rng.normal(1, 0.05, 40), 0.1 * pace * rng.normal(1, 0.05, 40)
    found = ratio_of_medians(ours[:, None], theirs[:, None])
    oracle = stats.bootstrap(
        (ours, theirs),
        lambda a, b, axis=-1: np.median(a, axis=axis) / np.median(b, axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
        rng=2,
    ).confidence_interval
    assert found.value == np.median(ours) / np.median(theirs)
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), rel=0.02)


def test_a_disturbance_of_whole_rounds_does_not_widen_the_interval():
    pace = np.repeat([1.0, 5.0], 10)[:, None]
    found = ratio_of_medians(0.2 * pace, 0.4 * pace)
    assert (found.low, found.value, found.high) == pytest.approx((0.5, 0.5, 0.5))


# Answers


def said(text, frames=12):
    """Logits that spell a text, one letter each second frame."""
    logits = np.full((frames, 4), -4.0, np.float32)
    logits[:, 3] = 0.0
    for place, letter in enumerate(text.replace(" ", "|")):
        logits[2 * place, HEADS.ctc.vocabulary.index(letter)] = 4.0
    return logits


def outputs(text, label):
    return {"logits": said(text), "class_logits": np.eye(2, dtype=np.float32)[label]}


def test_errors_of_logits_are_largest_over_largest_and_rms_over_rms():
    rng = np.random.default_rng(3)
    clips = synthetic_clips()[:3]
    originals = [{"logits": rng.normal(size=(9, 4)).astype(np.float32)} for _ in clips]
    answers = [{"logits": each["logits"] + 0.1 * rng.normal(size=(9, 4)).astype(np.float32)} for each in originals]
    quality = judge(clips, originals, answers, heads=HEADS, geometry=GEOMETRY)
    expected, found = (np.concatenate([each["logits"] for each in many]) for many in (originals, answers))
    assert quality.largest_error == pytest.approx(np.abs(found - expected).max() / np.abs(expected).max())
    assert quality.rms_error == pytest.approx(np.linalg.norm(found - expected) / np.linalg.norm(expected), rel=1e-6)
    assert (quality.wer, quality.accuracy) == (None, None)


def test_a_system_that_gives_log_probabilities_is_held_against_those_of_pytorch():
    clips = synthetic_clips()[:1]
    logits = np.random.default_rng(4).normal(size=(9, 4)).astype(np.float32)
    answers = [{"logits": torch.from_numpy(logits).log_softmax(-1).numpy()}]
    quality = judge(clips, [{"logits": logits}], answers, heads=HEADS, geometry=GEOMETRY, log_probabilities=True)
    assert quality.largest_error < 1e-6


def test_wer_and_accuracy_of_a_system_stand_beside_those_of_pytorch():
    texts = ["a b", "ab a", "b"]
    clips = [JudgedClip(samples=np.zeros(4_000, np.float32), transcription=text, label="1") for text in texts]
    originals = [outputs(text, 1) for text in ("a b", "ab b", "b")]
    answers = [outputs("a", 1), outputs("ab b", 0), outputs("b", 1)]
    quality = judge(clips, originals, answers, heads=HEADS, geometry=GEOMETRY)
    assert quality.wer.original == jiwer.wer(texts, ["a b", "ab b", "b"])
    assert quality.wer.variant == jiwer.wer(texts, ["a", "ab b", "b"])
    assert (quality.accuracy.original, quality.accuracy.variant) == (1.0, pytest.approx(2 / 3))
    assert quality.changed_transcripts == 1
    assert quality.wer.interval[0] <= quality.wer.difference <= quality.wer.interval[1]


def test_a_system_without_classes_is_judged_on_its_transcriptions_alone():
    clip = JudgedClip(samples=np.zeros(4_000, np.float32), transcription="a", label="1")
    quality = judge([clip], [outputs("a", 1)], [{"logits": said("a")}], heads=HEADS, geometry=GEOMETRY)
    assert (quality.wer.variant, quality.accuracy) == (0.0, None)


@pytest.mark.parametrize("wrong", [said("a", frames=11), np.full((12, 4), np.nan)], ids=["shape", "not a number"])
def test_logits_that_cannot_be_compared_are_an_error_and_no_small_difference(wrong):
    with pytest.raises(DataError, match="gives logits"):
        judge(synthetic_clips()[:1], [outputs("a", 0)], [{"logits": wrong}], heads=HEADS, geometry=GEOMETRY)


# Systems


def test_every_system_names_a_runner_and_a_build_and_every_build_leads_back_to_the_checkpoint():
    assert {system.runner for system in PEERS.values()} | {"wav2edge"} == set(RUNNERS)
    for system in PEERS.values():
        name = system.model
        while name != CHECKPOINT:
            name = BUILDS[name].source


@pytest.mark.parametrize("against", ["", "all,torch", "torch,torch", "tensorflow"])
def test_a_list_of_systems_that_cannot_be_meant_is_refused_with_the_names(against, tmp_path):
    with pytest.raises(UsageError, match="openvino-int8"):
        ComparisonOptions(bundle=tmp_path, checkpoint=tmp_path, output=tmp_path / "out", against=against)


def test_all_means_every_system():
    assert [system.name for system in choose_peers("all")] == list(PEERS)


@pytest.mark.parametrize(
    "change", [{"durations_s": (0.0,)}, {"durations_s": (1.0, 1.0)}, {"rounds": 0}, {"threads": 0}, {"max_clips": 0}]
)
def test_impossible_options_are_refused(change, tmp_path):
    with pytest.raises(UsageError):
        ComparisonOptions(bundle=tmp_path, checkpoint=tmp_path, output=tmp_path / "out", **change)


@pytest.mark.parametrize(
    ("kind", "refusing"),
    [
        ("joint", {"ctranslate2"}),  # its positional convolution is smaller than the one CTranslate2 is made for
        ("group-norm ctc", {"ctranslate2"}),
        ("hubert ctc", {"ctranslate2"}),
        ("classification", set(PEERS) - {"torch", "torch-compile"}),
    ],
)
def test_what_cannot_take_a_checkpoint_says_why(kind, refusing, checkpoints):
    facts = read_facts(checkpoints(kind))
    reasons = {name: system.refuses(facts) for name, system in PEERS.items()}
    assert {name for name, reason in reasons.items() if reason} == refusing


def test_the_digest_of_a_checkpoint_is_that_of_its_weights_and_settings(checkpoints, tmp_path):
    facts = read_facts(checkpoints("joint"))
    assert facts.digest == read_facts(checkpoints("joint")).digest
    assert facts.digest != read_facts(checkpoints("ctc")).digest
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        read_facts(tmp_path)


def test_a_package_that_is_not_installed_is_named_with_the_extra():
    system = dataclasses.replace(PEERS["ctranslate2"], modules=("no_such_package",))
    assert system.missing == "no_such_package is not installed; run: pip install 'wav2edge[bench]'"


@pytest.mark.parametrize(
    ("features", "recipe"), [([], "avx2"), (["avx2", "avx512f"], "avx512"), (["avx2", "avx_vnni"], "avx512_vnni")]
)
def test_optimum_is_given_the_recipe_for_the_processor(features, recipe, monkeypatch):
    module = sys.modules["wav2edge_compare.peers.peer_builds"]
    monkeypatch.setattr(module, "int8_features", lambda: features)
    assert optimum_recipe() == recipe
    assert recipe in OPTIMUM_RECIPES.values()


# Processes


def test_a_process_that_cannot_load_its_system_says_why_in_one_line(tmp_path):
    np.save(tmp_path / "clip.npy", np.zeros(16_000, np.float32))
    request = {"runner": "wav2edge", "clip": str(tmp_path / "clip.npy")}
    request["arguments"] = {"model": str(tmp_path), "threads": 1, "variant": "int8"}
    with pytest.raises(BenchmarkError, match=r"not a bundle, it has no manifest\.json"):
        start(CHILD, request, log=tmp_path / "log")


def test_a_process_that_dies_leaves_its_last_words(tmp_path):
    with pytest.raises(BenchmarkError, match="No module named"):
        start("wav2edge_compare.nothing", {}, log=tmp_path / "log")


ON_LINUX = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="Linux shows processes in /proc")


@pytest.fixture
def request_for_ours(bundles, tmp_path):
    """What a child is started with to answer with a variant of our bundle."""
    bundle = bundles("ctc")
    np.save(tmp_path / "clip.npy", synthetic_clips()[0].samples)
    arguments = {"model": str(bundle.folder), "threads": 1, "variant": bundle.manifest.default_variant}
    return {"runner": "wav2edge", "clip": str(tmp_path / "clip.npy"), "arguments": arguments}


def state(pid):
    """The letter that Linux has for a process, once a signal has had its effect: T is stopped; None when it is gone."""
    time.sleep(0.1)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


@ON_LINUX
def test_a_paused_process_sleeps_until_it_is_asked(request_for_ours, tmp_path):
    process, ready, cold_start_s = start(CHILD, request_for_ours, log=tmp_path / "log")
    with process:
        assert 0 < ready["load_s"] < ready["first_answer_s"] < cold_start_s
        process.pause()
        assert state(process.pid) == "T"
        assert len(process.ask(time=2)["latencies_s"]) == 2
        assert state(process.pid) != "T"
        assert process.ask(memory=True)["peak_memory_bytes"] > 10e6


@ON_LINUX
def test_a_paused_process_does_not_outlive_a_parent_that_is_killed(request_for_ours, tmp_path):
    parent = f"""
import pathlib, time
from wav2edge_compare.measuring.processes import start
process, _, _ = start({CHILD!r}, {request_for_ours!r}, log=pathlib.Path({str(tmp_path / "log")!r}))
process.pause()
print(process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as killed:
        pid = int(killed.stdout.readline())
        assert state(pid) == "T"
        killed.kill()
    assert state(pid) in (None, "Z")


def test_json_of_a_record_is_strict(tmp_path):
    from wav2edge_compare.reporting.results import Recorder

    with Recorder(tmp_path / "samples.jsonl") as recorder:
        recorder.write("turn", system="torch", latencies_s=[0.1])
        with pytest.raises(ValueError, match="not JSON compliant"):
            recorder.write("turn", system="torch", latencies_s=[float("nan")])
    assert json.loads((tmp_path / "samples.jsonl").read_text()) == {
        "kind": "turn",
        "system": "torch",
        "latencies_s": [0.1],
    }
