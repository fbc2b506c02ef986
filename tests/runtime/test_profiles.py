"""Profiles: where they are kept, when they are used, and what becomes of a file that is damaged."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import wav2edge
from wav2edge.bundle.folder import Bundle
from wav2edge.errors import UsageError
from wav2edge.inference import load
from wav2edge.inference.sessions.profiles import profile_cache
from wav2edge.inference.sessions.profiles.profile_cache import AUTO, KeptProfiles, cache_folder, find_profile
from wav2edge.inference.sessions.profiles.run_profile import AIMS, Machine, RunProfile, RunSettings

SETTINGS = RunSettings(variant="int8", threads=1, arena=False)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of this test's own."""
    monkeypatch.setenv("WAV2EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def opened(bundle):
    return Bundle.open(bundle)


def profile(aim="latency", settings=SETTINGS, **changes):
    facts = {"clip_s": 1.0, "per_clip": 0.002, "unit": "s", "of_defaults": 0.8, "tuned_on": "2026-11-28"}
    return RunProfile(aim=aim, settings=settings, machine=replace(Machine.here(), **changes), **facts)


def keep(opened, *profiles):
    for each in profiles:
        KeptProfiles.of(opened).keep(each, opened)
    return KeptProfiles.of(opened).path


def test_the_names_of_load_are_those_of_the_aims():
    assert (AUTO, *AIMS) == load.PROFILES


def test_a_profile_is_read_as_it_was_written(opened):
    keep(opened, profile(), profile("energy"))
    assert KeptProfiles.of(opened).profiles == (profile(), profile("energy"))


def test_auto_is_the_profile_made_last_and_an_aim_has_its_own(opened):
    keep(opened, profile(), profile("energy", replace(SETTINGS, threads=2)))
    assert find_profile(opened, "auto")[0].aim == "energy"
    assert find_profile(opened, "latency")[0].aim == "latency"
    keep(opened, profile())
    assert find_profile(opened, "auto")[0].aim == "latency"
    assert len(KeptProfiles.of(opened).profiles) == 2


def test_an_engine_runs_with_the_settings_of_its_profile(bundle, opened, second):
    keep(opened, profile())
    engine = wav2edge.load(bundle, profile="auto")
    assert (engine.profile, engine.precision) == ("latency", "int8")
    options = engine._session._session.get_session_options()
    assert (options.intra_op_num_threads, options.enable_cpu_mem_arena) == (1, False)
    assert engine(second, rate_hz=16_000) == wav2edge.load(bundle, variant="int8")(second, rate_hz=16_000)


def test_a_long_clip_is_answered_without_an_arena_which_has_nothing_to_give_back(bundle, opened, second):
    engine = wav2edge.load(bundle, arena=False, threads=1)
    assert engine(np.tile(second, 16), rate_hz=16_000, segments=False).duration_s == 16


def test_arguments_win_over_the_profile(bundle, opened):
    keep(opened, profile(settings=replace(SETTINGS, threads=2, spinning=True)))
    engine = wav2edge.load(bundle, profile="auto", variant="fp32", threads=1, spinning=False, arena=True)
    options = engine._session._session.get_session_options()
    assert (engine.precision, options.intra_op_num_threads, options.enable_cpu_mem_arena) == ("fp32", 1, True)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_map_takes_batches_and_workers_from_the_profile_where_the_graph_can(batched_bundle, bundle):
    settings = RunSettings(variant="fp32", threads=1, workers=3, batch_size=4)
    for folder, batch_size in ((batched_bundle, 4), (bundle, 1)):
        keep(Bundle.open(folder), profile("throughput", settings))
        engine = wav2edge.load(folder, profile="throughput")
        assert (engine.workers, engine.batch_size) == (3, batch_size)


def test_without_a_profile_the_defaults_are_taken_and_said(bundle, opened):
    assert wav2edge.load(bundle, profile="auto").profile is None
    _, reason = find_profile(opened, "auto")
    assert reason == (f"{bundle}: no profile on this machine, so the defaults are taken; run: wav2edge tune {bundle}")


def test_a_profile_that_is_asked_for_by_its_aim_must_be_there(bundle, opened):
    keep(opened, profile())
    with pytest.raises(UsageError, match=r"no profile for energy on this machine; run: wav2edge tune .* --for energy"):
        wav2edge.load(bundle, profile="energy")
    with pytest.raises(UsageError, match="no profile 'best'; choose auto, latency, throughput, energy"):
        wav2edge.load(bundle, profile="best")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"processor": "Another"}, "the processor changed from Another to "),
        ({"cores": 999}, "the number of cores changed from 999 to "),
        ({"logical_cores": 999}, "the number of logical cores changed from 999 to "),
        ({"cpu_quota": 0.25}, "the quota of processors changed from 0.25 to "),
        ({"onnxruntime": "onnxruntime 1.2.3"}, "ONNX Runtime changed from onnxruntime 1.2.3 to "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_profile_of_another_machine_is_not_used(opened, change, said):
    keep(opened, profile(**change))
    found, reason = find_profile(opened, "auto")
    assert found is None
    assert said in reason
    keep(opened, profile())  # both are kept, as where machines share a home folder
    assert find_profile(opened, "auto")[0] == profile()
    assert len(KeptProfiles.of(opened).profiles) == 2


def test_a_profile_is_of_one_bundle_and_not_of_what_it_was_exported_to_again(opened, own_bundle):
    keep(opened, profile())
    path = own_bundle / "manifest.json"
    assert find_profile(Bundle.open(own_bundle), "auto")[0] == profile()  # the same bundle in another place
    changed = replace(Bundle.open(own_bundle).manifest, name="another")
    path.write_text(changed.to_json(), encoding="utf-8")
    assert find_profile(Bundle.open(own_bundle), "auto")[0] is None


def test_a_profile_is_for_the_processor_and_not_for_a_gpu(opened):
    keep(opened, profile())
    found, reason = find_profile(opened, "auto", device="cuda")
    assert found is None
    assert "profiles are for the device cpu, not for cuda" in reason


def damaged(**changes):
    document = {"format": "wav2edge-profiles", "format_version": 1, "profiles": [profile().to_dict()]}
    return lambda digest: json.dumps({**document, "manifest_sha256": digest, **changes}).encode()


def setting(**changes):
    return damaged(profiles=[{**profile().to_dict(), "settings": {**vars(SETTINGS), **changes}}])


def of_machine(**changes):
    return damaged(profiles=[{**profile().to_dict(), "machine": {**vars(Machine.here()), **changes}}])


DAMAGED = {
    "empty": lambda digest: b"",
    "no text": lambda digest: b"\xff\xfe\x00",
    "cut off": lambda digest: damaged()(digest)[:-20],
    "a list": lambda digest: b"[]",
    "nested": lambda digest: b"[" * 100_000,
    "newer": damaged(format_version=2),
    "another bundle": damaged(manifest_sha256="0" * 64),
    "no settings": damaged(profiles=[{}]),
    "no profile": damaged(profiles=["fast"]),
    "no such variant": setting(variant="int3"),
    "threads of text": setting(threads="2"),
    "no threads": setting(threads=0),
    "too many threads": setting(threads=10**9),
    "true threads": setting(threads=True),
    "spinning 1": setting(spinning=1),
    "an unknown setting": setting(magic=True),
    "an aim that is none": damaged(profiles=[{**profile().to_dict(), "aim": "beauty"}]),
    "a time that is none": damaged(profiles=[{**profile().to_dict(), "per_clip": float("nan")}]),
    "a length beyond all numbers": damaged(profiles=[{**profile().to_dict(), "clip_s": 10**400}]),
    "half a character": damaged(profiles=[{**profile().to_dict(), "tuned_on": "\ud800"}]),
    "a quota that is none": of_machine(cpu_quota=float("nan")),
    "cores of text": of_machine(cores="2"),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_ignored_and_said_in_one_line(opened, bundle, content):
    path = keep(opened, profile())
    path.write_bytes(content(path.stem))
    assert wav2edge.load(bundle, profile="auto").profile is None
    _, reason = find_profile(opened, "auto")
    assert reason.startswith(f"{bundle}: {path} is damaged or of another version (")
    assert "\n" not in reason
    keep(opened, profile())
    assert find_profile(opened, "auto")[0] == profile()


def test_what_cannot_be_read_is_said_and_not_raised(opened, cache):
    cache.write_text("a file where the folder should be")
    _, reason = find_profile(opened, "auto")
    assert "cannot be read" in reason


def test_a_write_that_fails_leaves_the_file_as_it_was(opened, monkeypatch):
    path = keep(opened, profile())
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        KeptProfiles.of(opened).keep(profile("energy"), opened)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, ".cache/wav2edge"),
        ("linux", {"XDG_CACHE_HOME": "/var/fast"}, "/var/fast/wav2edge"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, ".cache/wav2edge"),
        ("darwin", {"XDG_CACHE_HOME": "/var/fast"}, "Library/Caches/wav2edge"),
        ("win32", {}, "AppData/Local/wav2edge"),
        ("win32", {"LOCALAPPDATA": "/c/local"}, "/c/local/wav2edge"),
        ("linux", {"WAV2EDGE_CACHE": "/own"}, "/own"),
    ],
)
def test_the_cache_is_where_each_system_has_it(platform, variables, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("WAV2EDGE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == tmp_path / expected


def test_a_user_without_a_home_folder_has_no_profiles_and_no_traceback(opened, tmp_path, monkeypatch):
    def nobody() -> Path:
        raise RuntimeError

    monkeypatch.delenv("WAV2EDGE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(profile_cache.Path, "home", nobody)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="no home folder; set WAV2EDGE_CACHE"):
        keep(opened, profile())
    assert list(tmp_path.glob("*.json")) == []
    assert "no home folder; set WAV2EDGE_CACHE" in find_profile(opened, "auto")[1]
