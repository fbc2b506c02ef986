"""A folder of results belongs to one run, and a run to one set of settings."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from wav2edge.audio.segmentation import Segmentation
from wav2edge.decoding.beam import Beam
from wav2edge.decoding.grammar import Grammar
from wav2edge.errors import UsageError
from wav2edge.inference.feeding.archives.archive import Archive
from wav2edge.inference.feeding.archives.folder_lock import LOCK
from wav2edge.inference.feeding.archives.shard_worker import EngineRecipe

pytest.importorskip("pyarrow", reason="the extra archives is not installed")

ARPA = "\\data\\\nngram 1=4\n\n\\1-grams:\n{} <s>\n-1 </s>\n-2 <unk>\n-1 fu\n\n\\end\\\n"


@pytest.fixture
def opened(bundle, recordings, tmp_path):
    """Open the archive of the recordings."""
    return lambda **options: Archive.open([str(recordings)], bundle, str(tmp_path / "results"), **options)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
def test_a_second_run_is_refused_in_one_line_and_deletes_nothing(opened, tmp_path):
    first = opened()
    part = tmp_path / "results/.a.parquet.1234.part"
    part.touch()
    holder = f"process {os.getpid()} on {socket.gethostname()} writes results there; wait for it"
    with pytest.raises(UsageError, match=holder):
        opened(resume=True)
    assert part.exists()
    first.lock.release()
    opened().lock.release()
    assert list((tmp_path / "results").iterdir()) == []


def test_the_lock_of_a_run_that_died_is_no_obstacle(opened, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / LOCK).write_text("process 1 on there", encoding="utf-8")
    lock = opened().lock
    assert lock.held
    lock.release()


def test_a_folder_for_results_that_cannot_be_made_is_one_line(opened, tmp_path):
    (tmp_path / "results").touch()
    with pytest.raises(UsageError, match=r"results: no folder for results \(.*\); give another one as --output-dir"):
        opened()


def test_what_is_behind_a_name_is_one_of_the_settings(bundle, tmp_path):
    def settings(weight, graph):
        (tmp_path / "lm.arpa").write_text(ARPA.format(weight), encoding="utf-8")
        (tmp_path / "vad.onnx").write_bytes(graph)
        decoder, vad = Beam(lm=tmp_path / "lm.arpa"), Segmentation(vad=str(tmp_path / "vad.onnx"))
        return EngineRecipe.of(bundle, decoder=decoder, segmentation=vad).settings

    before = settings(-1.0, b"graph")
    assert settings(-1.0, b"graph") == before
    assert [name for name, value in settings(-2.0, b"graph").items() if value != before[name]] == ["language_models"]
    assert [name for name, value in settings(-1.0, b"other").items() if value != before[name]] == ["vad"]


@pytest.mark.parametrize(
    ("first", "second", "setting"),
    [
        ({"decoder": Beam(hotwords={"fu": 1.0})}, {"decoder": Beam(hotwords={"fu": 2.0})}, "decoder"),
        ({"decoder": Grammar(["fu", "dan"])}, {"decoder": Grammar(["fu"])}, "decoder"),
        ({"segmentation": Segmentation()}, {"segmentation": Segmentation(longest_s=9.0)}, "segmentation"),
        ({"segments": True}, {"segments": False}, "segments"),
        ({"reject_below": 0.1}, {"reject_below": 0.2}, "reject_below"),
    ],
    ids=["hotwords", "phrases", "segmentation", "segments", "reject"],
)
def test_whatever_changes_answers_is_one_of_the_settings(bundle, first, second, setting):
    before, after = EngineRecipe.of(bundle, **first).settings, EngineRecipe.of(bundle, **second).settings
    assert [name for name in before if before[name] != after[name]] == [setting]


@pytest.mark.parametrize("wrong", [{"varaint": "int8"}, {"recognising": {"reject_below": 0.99}}], ids=list)
def test_an_option_that_there_is_not_is_refused_and_not_ignored(opened, tmp_path, wrong):
    with pytest.raises(TypeError, match=f"no option {next(iter(wrong))}; choose variant, language"):
        opened(**wrong)
    with pytest.raises(UsageError, match="0 threads; at least 1 is needed"):
        opened(threads=0)
    assert not (tmp_path / "results").exists()
