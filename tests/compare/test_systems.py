"""The table of systems: what each one is built from, run by, and which checkpoints it refuses."""

import dataclasses

import pytest

from wav2edge_compare.peers.checkpoint_facts import read_facts
from wav2edge_compare.peers.peer_builds import BUILDS, CHECKPOINT
from wav2edge_compare.peers.runners import RUNNERS
from wav2edge_compare.peers.systems import PEERS, choose_peers


def test_every_system_names_a_runner_and_a_build_that_starts_from_the_checkpoint():
    assert {system.runner for system in PEERS.values()} | {"wav2edge"} == set(RUNNERS)
    for system in PEERS.values():
        name = system.model
        while name != CHECKPOINT:
            name = BUILDS[name].source


def test_all_means_every_system():
    assert [system.name for system in choose_peers("all")] == list(PEERS)


@pytest.mark.parametrize(
    ("kind", "refusing"),
    [
        ("joint", {"ctranslate2"}),  # its positional convolution is smaller than the one CTranslate2 is made for
        ("group-norm ctc", {"ctranslate2"}),
        ("hubert ctc", {"ctranslate2"}),
        ("classification", set(PEERS) - {"torch", "torch-compile"}),
    ],
)
def test_a_system_that_cannot_load_a_checkpoint_gives_the_reason(kind, refusing, checkpoints):
    facts = read_facts(checkpoints(kind))
    reasons = {name: system.refuses(facts) for name, system in PEERS.items()}
    assert {name for name, reason in reasons.items() if reason} == refusing


def test_a_package_that_is_not_installed_is_named_with_the_extra():
    system = dataclasses.replace(PEERS["ctranslate2"], modules=("no_such_package",))
    assert system.missing == "no_such_package is not installed; run: pip install 'wav2edge[compare]'"
