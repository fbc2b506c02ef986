"""The table of verbs, and the verbs whose packages may be missing."""

from __future__ import annotations

import importlib

import pytest

from wav2edge.cli.verbs import VERBS, Command, load_command


@pytest.fixture
def export_needs(monkeypatch):
    """Make `wav2edge export` a verb that fails on the import of a module."""

    def install(module: str) -> None:
        def run(options: object) -> int:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)

        command = Command(name="export", summary="does something", add_arguments=lambda parser: None, run=run)
        monkeypatch.setattr(importlib.import_module("wav2edge.cli.main"), "load_command", lambda name: command)

    return install


def test_a_verb_that_finds_its_packages_missing_names_the_extra(cli, export_needs):
    export_needs("torch")
    outcome = cli("export")
    assert outcome.code == 3
    assert outcome.complaint == (
        "wav2edge: `wav2edge export` needs torch, which is not installed; run: pip install 'wav2edge[export]'"
    )


def test_a_missing_module_of_our_own_is_a_fault_and_no_missing_extra(cli, export_needs):
    export_needs("wav2edge_export.nothing")
    outcome = cli("export")
    assert outcome.code == 1
    assert "unexpected ModuleNotFoundError" in outcome.complaint


def test_every_verb_of_the_table_loads_and_is_listed_in_its_order(cli):
    listed = cli("--help").out
    places = [listed.index(f"\n    {name} ") for name in VERBS]
    assert places == sorted(places)
    assert [load_command(name).name for name in VERBS] == list(VERBS)


@pytest.mark.parametrize(
    ("verb", "meaning"),
    [
        ("run", "1    some inputs failed (the rest are answered)"),
        ("doctor", "1    a fault was found"),
        ("verify", "3    a check failed, or nothing can be checked"),
        ("inspect", "3    the bundle or the device cannot be used"),
    ],
)
def test_the_help_says_what_exit_codes_mean_for_this_verb(cli, verb, meaning):
    assert f"\n  {meaning}\n" in cli(verb, "--help").out
