"""`wav2edge tune`, from the command to the profile that other commands take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wav2edge
from wav2edge.bundle.folder import Bundle
from wav2edge.cli.commands import tune as tune_command
from wav2edge.inference.sessions.profiles.profile_cache import KeptProfiles

WORDS = Path(__file__).parents[2] / "models/words"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of this test's own."""
    monkeypatch.setenv("WAV2EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_profile_is_found_kept_shown_and_used(cli, clip, cache):
    tuned = cli("tune", WORDS, "--limit", 1.5, "--json")
    assert tuned.code == 0
    report = tuned.json
    (path,) = (cache / "profiles").iterdir()
    assert report["kept_in"] == str(path)
    assert path.stem == Bundle.open(WORDS).manifest_sha256()
    assert report["chosen"] in [each["settings"] for each in report["tried"]]
    shown = cli("inspect", WORDS, "--json").json
    assert [each["settings"] for each in shown["profiles"]] == [report["chosen"]]
    assert "tuned       for latency" in cli("inspect", WORDS).out
    assert wav2edge.load(WORDS, profile="auto").profile == "latency"
    ran = cli("run", WORDS, clip, "--profile", "auto")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == cli("run", WORDS, clip).out


@pytest.mark.parametrize("aim", ["latency", "throughput", "energy"])
def test_every_aim_gives_a_table_with_the_usual_settings_and_the_choice(cli, bundle, aim):
    tuned = cli("tune", bundle, "--for", aim, "--limit", 0.6, "--seconds", 0.2, "--variants", "all")
    assert tuned.code == 0
    assert tuned.out.startswith(f"{aim}, clips of 0.2 s")
    assert "(defaults)" in tuned.out
    assert "\nchosen: " in tuned.out
    assert [each.aim for each in KeptProfiles.of(Bundle.open(bundle)).profiles] == [aim]


def test_what_was_kept_is_forgotten_on_request(cli, bundle):
    cli("tune", bundle, "--limit", 0.3)
    assert cli("tune", bundle, "--forget").complaint.startswith("wav2edge: removed ")
    assert cli("tune", bundle, "--forget").complaint == f"wav2edge: nothing was kept of {bundle}"
    assert cli("inspect", bundle, "--json").json["profiles"] == []


def test_a_run_without_a_profile_says_so_and_answers(cli, bundle, clip):
    ran = cli("run", bundle, clip, "--profile", "auto")
    assert ran.code == 0
    assert "no profile on this machine, so the defaults are taken; run: wav2edge tune" in ran.complaint
    named = cli("run", bundle, clip, "--profile", "energy")
    assert (named.code, named.out) == (2, "")


def test_a_cache_that_cannot_be_written_costs_the_profile_and_not_the_answer(cli, bundle, cache):
    cache.write_text("a file where the folder should be")
    tuned = cli("tune", bundle, "--limit", 0.3)
    assert tuned.code == 1
    assert "chosen: " in tuned.out
    assert any("so the profile is not kept; set WAV2EDGE_CACHE" in line for line in tuned.complaints)


def test_a_damaged_profile_is_said_by_every_command_and_written_anew_by_tune(cli, bundle, clip):
    cli("tune", bundle, "--limit", 0.3)
    path = KeptProfiles.of(Bundle.open(bundle)).path
    path.write_text("{")
    assert "is damaged or of another version" in cli("run", bundle, clip, "--profile", "auto").complaint
    assert "is damaged or of another version" in cli("inspect", bundle).out
    assert any("written anew" in line for line in cli("tune", bundle, "--limit", 0.3).complaints)
    assert json.loads(path.read_text())["bundle"] == "tiny"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--limit", 0), "a limit of 0.0 s; give more than 0"),
        (("--seconds", "nan"), "clips of nan s; give more than 0"),
        (("--seconds", 0.001), "answers to clips from 0.025 s on"),
        (("--forget", "--json"), "--forget prints nothing"),
    ],
    ids=str,
)
def test_wrong_usage_is_one_line(cli, bundle, words, said):
    wrong = cli("tune", bundle, *words)
    assert wrong.code == 2
    assert said in wrong.complaint


def test_a_variant_that_is_not_there_is_named(cli, bundle):
    wrong = cli("tune", bundle, "--variants", "int3")
    assert wrong.code == 3
    assert "no variant 'int3'; it has: fp32, int8" in wrong.complaint


def test_the_help_names_what_an_aim_means():
    assert "--for throughput" in tune_command.COMMAND.examples
