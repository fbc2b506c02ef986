"""A sample of what ``make fuzz`` runs, and that it sees a crash, a hang, a traceback and a wrong answer."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.conftest import MODELS
from tests.faults.fuzz import __main__ as fuzzing
from tests.faults.fuzz.bundle_mutants import CHANGES as BUNDLE_CHANGES
from tests.faults.fuzz.bundle_mutants import alter
from tests.faults.fuzz.judged_cases import ANSWERED, FAULTS, REFUSED, Case, run_cases
from tests.faults.fuzz.wav_mutants import CHANGES, CUT, good_files, wav_mutant
from tests.runtime import tiny_bundle

ROOT = Path(__file__).parents[2]
SEED = 5
RECORD = json.loads((ROOT / "benchmarks/results/fuzz.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_sample_of_fifty_has_no_fault(tmp_path):
    found = tmp_path / "fuzz.json"
    options = ["--models", MODELS, "--seed", SEED, "--wav", 30, "--bundles", 20, "--result", found]
    assert fuzzing.main(list(map(str, options))) == 0
    record = json.loads(found.read_text())
    assert {kind: record[kind]["mutants"] for kind in fuzzing.KINDS} == {"wav": 30, "bundles": 20}
    assert all(record[kind]["faults"] == [] for kind in fuzzing.KINDS)
    assert all(record[kind]["verdicts"][REFUSED] > 5 for kind in fuzzing.KINDS)
    assert record["wav"]["verdicts"][ANSWERED] > 5


def test_the_record_is_of_two_thousand_clips_and_five_hundred_bundles_without_a_fault():
    assert {kind: RECORD[kind]["mutants"] for kind in fuzzing.KINDS} == {"wav": 2_000, "bundles": 500}
    for kind in fuzzing.KINDS:
        assert RECORD[kind]["faults"] == []
        assert sum(RECORD[kind]["verdicts"].values()) == RECORD[kind]["mutants"]


# What a child may do, by the words of a case

CHILD = """
import json, os, sys, time
for line in sys.stdin:
    case = json.loads(line)
    print(json.dumps({"begins": case["number"]}), flush=True)
    (word,), = case["commands"]
    if word == "crash":
        os.abort()
    if word == "leave":
        os._exit(0)
    if word == "hang":
        time.sleep(60)
    answer = {"code": 0, "out": "", "err": "", "words": [word]}
    if word == "traceback":
        answer["traceback"] = "ZeroDivisionError"
    if word == "unexpected":
        answer |= {"code": 1, "err": "wav2edge: unexpected ZeroDivisionError: 1; run again with --debug and report it"}
    print(json.dumps({"ends": case["number"], "answers": [answer]}), flush=True)
"""
EXPECTED = {
    "good": "answered",
    "crash": "crash",
    "leave": "crash",
    "hang": "hang",
    "traceback": "traceback",
    "unexpected": "traceback",
    "wrong": "wrong answer",
}


def test_what_a_child_dies_of_is_counted_and_the_cases_behind_it_are_run():
    words = ["good", "crash", "good", "hang", "leave", "traceback", "unexpected", "wrong", "good"]
    cases = [
        Case(number=number, change="", commands=[[word]], judge=lambda answers: EXPECTED[answers[0]["words"][0]])
        for number, word in enumerate(words)
    ]
    found = list(run_cases(cases, child=[sys.executable, "-c", CHILD], limit_s=1.0))
    assert [outcome.case.number for outcome in found] == list(range(len(words)))
    assert [outcome.verdict for outcome in found] == [EXPECTED[word] for word in words]
    assert found[1].detail == "SIGABRT"
    assert [outcome.detail is not None for outcome in found] == [outcome.verdict in FAULTS for outcome in found]


def answered(code: int, out: str = "", err: str = "") -> dict[str, object]:
    return {"code": code, "out": out, "err": err}


@pytest.mark.parametrize(
    ("found", "is_cut", "verdict"),
    [
        (answered(0, '{"text": ""}'), False, ANSWERED),
        (answered(0, '{"text": ""}'), True, "wrong answer"),
        (answered(1, "", "wav2edge: a.wav: silent\n"), True, REFUSED),
        (answered(1, "", "one\ntwo\n"), False, "wrong answer"),
        (answered(3, "", "wav2edge: a.wav: silent\n"), False, "wrong answer"),
    ],
)
def test_a_clip_is_answered_or_refused_and_one_that_was_cut_is_never_answered(found, is_cut, verdict):
    assert fuzzing.judge_wav([found], is_cut=is_cut) == verdict


REFUSAL = answered(3, "", "wav2edge: bundle: damaged\n")


@pytest.mark.parametrize(
    ("run", "verify", "changed", "verdict"),
    [
        (REFUSAL, REFUSAL, "manifest.json", REFUSED),
        (answered(0, "text"), REFUSAL, "README.md", ANSWERED),
        (answered(0, "text"), REFUSAL, "manifest.json", "wrong answer"),
        (answered(0, "other"), REFUSAL, "README.md", "wrong answer"),
        (REFUSAL, answered(0), "README.md", "wrong answer"),
        (answered(1), REFUSAL, "manifest.json", "wrong answer"),
    ],
)
def test_an_altered_bundle_never_verifies_and_answers_with_intact_files_only(run, verify, changed, verdict):
    facts = {"changed": changed, "used": frozenset({"manifest.json"}), "expected": "text"}
    assert fuzzing.judge_bundle([run, verify], **facts) == verdict


# The mutants


def test_a_mutant_is_the_same_for_the_same_seed_and_number_and_every_change_is_made():
    files = good_files(tiny_bundle.noise(4_000))
    once = [wav_mutant(files, seed=1, number=number) for number in range(300)]
    assert once == [wav_mutant(files, seed=1, number=number) for number in range(300)]
    assert Counter(change for change, _ in once).keys() == CHANGES.keys()
    assert len({content for _, content in once}) > 290
    assert all(len(content) < 200_000 for _, content in once)
    originals = {len(content) for content in files}
    assert all(len(content) < max(originals) for change, content in once if change == CUT)


def test_every_mutant_of_a_bundle_differs_from_it_in_one_file(tmp_path, bundle):
    import shutil

    before = {path.relative_to(bundle): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    seen = set()
    for number in [each for each in range(160) if each % 4]:  # the tiny bundle has not all that is edited
        copy = tmp_path / str(number)
        shutil.copytree(bundle, copy)
        change, changed = alter(copy, MODELS / "words", seed=1, number=number)
        after = {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
        differing = {path.as_posix() for path in before if before[path] != after.get(path)}
        assert differing == {changed}
        seen.add(change)
    assert seen == set(BUNDLE_CHANGES)
