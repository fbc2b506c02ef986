from __future__ import annotations

import json
import random

import pytest

from tests.runtime.tiny_bundle import noise
from wav2edge.errors import UsageError
from wav2edge.output.resume import prepare


@pytest.fixture
def folder(save):
    paths = [save(f"clips/{place:02d}.wav", noise(8_000 + 100 * place, seed=place)) for place in range(12)]
    return paths[0].parent


def test_a_run_that_was_cut_anywhere_ends_with_the_bytes_of_an_unbroken_one(cli, bundle, folder, tmp_path):
    words = ("run", bundle, folder, "--format", "jsonl", "--output")
    assert cli(*words, tmp_path / "whole.jsonl").code == 0
    whole = (tmp_path / "whole.jsonl").read_bytes()
    assert whole.count(b"\n") == 12
    cut = tmp_path / "cut.jsonl"
    for seed in range(10):
        (tmp_path / "cut.jsonl.settings.json").write_bytes((tmp_path / "whole.jsonl.settings.json").read_bytes())
        cut.write_bytes(whole[: random.Random(seed).randrange(len(whole))])
        assert cli(*words, cut, "--resume").code == 0
        assert cut.read_bytes() == whole


def test_a_finished_run_resumes_to_the_same(cli, bundle, folder, tmp_path):
    words = ("run", bundle, folder, "--format", "jsonl", "--output", tmp_path / "lines.jsonl")
    cli(*words)
    before = (tmp_path / "lines.jsonl").read_bytes()
    assert cli(*words, "--resume").code == 0
    assert (tmp_path / "lines.jsonl").read_bytes() == before


def test_results_that_are_there_are_not_overwritten(cli, bundle, folder, tmp_path):
    words = ("run", bundle, folder, "--format", "jsonl", "--output", tmp_path / "lines.jsonl")
    cli(*words)
    outcome = cli(*words)
    assert outcome.code == 2
    assert "lines.jsonl: exists; resume JSON lines with --resume" in outcome.complaint


@pytest.mark.parametrize("words", [(), ("--resume",)], ids=["anew", "resumed"])
def test_lines_that_no_run_wrote_there_itself_cannot_be_resumed(cli, bundle, folder, tmp_path, words):
    path = tmp_path / "lines.jsonl"
    path.write_text(cli("run", bundle, folder, "--format", "jsonl").out)
    outcome = cli("run", bundle, folder, "--format", "jsonl", "--output", path, *words)
    complaint = f"wav2edge: {path}: exists, and was not written by --output; give another --output"
    assert (outcome.code, outcome.complaint) == (2, complaint)


def test_inputs_that_changed_are_refused(cli, bundle, folder, tmp_path):
    words = ("run", bundle, folder, "--format", "jsonl", "--output", tmp_path / "lines.jsonl")
    cli(*words)
    (folder / "00.wav").unlink()
    outcome = cli(*words, "--resume")
    assert outcome.code == 2
    assert "00.wav, which is not input 1 of this run" in outcome.complaint


def test_resuming_needs_json_lines_in_a_file(cli, bundle, folder):
    outcome = cli("run", bundle, folder, "--resume")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--resume needs --output FILE and --format jsonl" in outcome.complaint


def test_other_settings_are_refused_with_what_differs(tmp_path):
    assert prepare(tmp_path / "lines.jsonl", {"bundle": "a", "variant": "int8"}, resume=False) == []
    with pytest.raises(UsageError, match="bundle was a and is b"):
        prepare(tmp_path / "lines.jsonl", {"bundle": "b", "variant": "int8"}, resume=True)


def test_another_decoder_is_refused(cli, bundle, folder, tmp_path):
    words = ("run", bundle, folder, "--format", "jsonl", "--output", tmp_path / "lines.jsonl")
    cli(*words)
    outcome = cli(*words, "--resume", "--beam", "4")
    assert outcome.code == 2
    assert "decoder was None and is Beam(width=4" in outcome.complaint


@pytest.mark.parametrize("settings", ["[1]", "null", "3", "{"])
def test_settings_that_cannot_be_read_are_refused(tmp_path, settings):
    prepare(tmp_path / "lines.jsonl", {}, resume=True)
    (tmp_path / "lines.jsonl.settings.json").write_text(settings)
    with pytest.raises(UsageError, match="nothing can be resumed"):
        prepare(tmp_path / "lines.jsonl", {}, resume=True)


def test_a_line_that_is_cut_short_is_taken_back(tmp_path):
    lines = tmp_path / "lines.jsonl"
    prepare(lines, {}, resume=True)
    lines.write_bytes(b'{"path": "a.wav"}\n{"path": "b.w')
    assert prepare(lines, {}, resume=True) == ["a.wav"]
    assert lines.read_bytes() == b'{"path": "a.wav"}\n'


@pytest.mark.parametrize("line", ["text", "[]", json.dumps({"name": "a"})])
def test_a_file_of_something_else_is_refused(tmp_path, line):
    lines = tmp_path / "lines.jsonl"
    prepare(lines, {}, resume=True)
    lines.write_text(f"{line}\n")
    with pytest.raises(UsageError, match=r"lines\.jsonl:1: not a result"):
        prepare(lines, {}, resume=True)
