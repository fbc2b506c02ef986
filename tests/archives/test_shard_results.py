"""The file of results: every field comes back, and there is no half of one."""

from __future__ import annotations

import errno
import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from wav2edge import AudioError, FrameLabel, Result, Segment, UsageError, Word, read_archive
from wav2edge.inference.feeding.archives import shard_results, storage
from wav2edge.inference.feeding.archives.archive import Archive
from wav2edge.inference.feeding.archives.shard_results import as_row, documents, new_results, read_metadata
from wav2edge.inference.feeding.archives.shard_worker import EngineRecipe, ShardWorker
from wav2edge.inference.feeding.archives.shards import plan
from wav2edge.output.documents import strict_json
from wav2edge.output.writers import Outcome

pytest.importorskip("pyarrow", reason="the extra archives is not installed")

WORDS = (Word(text="fu", start_s=0.1, end_s=0.25, confidence=0.5),)
LABELS = (FrameLabel(label="speech", start_s=0.0, end_s=1 / 3, confidence=0.75),)
SEGMENT = Segment(start_s=0.5, end_s=1.0, text="fu", words=WORDS, scores={"3": 0.75, "1": 0.25}, confidence=0.5)
RESULTS = {
    "transcript": Result(duration_s=1 / 3, text="fu", words=WORDS, confidence=0.123456),
    "empty transcript": Result(duration_s=1.0, text="", words=(), warnings=("no speech found",)),
    "class": Result(duration_s=1.0, scores={"3": 0.75, "1": 0.25}, confidence=0.75),
    "rejected": Result(duration_s=1.0, text="fu", words=WORDS, scores={"1": 1.0}, confidence=0.1).as_rejected(),
    "frames": Result(duration_s=1.0, frame_labels=LABELS),
    "voice": Result(duration_s=1.0, embedding=(0.1, -1e-9, 3.0)),
    "recording": Result.of_segments([SEGMENT, replace(SEGMENT, text="").as_rejected()], duration_s=2.0),
    "error": AudioError("clip.wav: silent"),
}


def write(folder, *outcomes, metadata=None):
    with new_results(str(folder), "a.parquet", metadata or {}, "run") as results:
        for row, outcome in enumerate(outcomes):
            results.add(as_row(outcome, source="a.tar", row=row, path=f"{row}.wav"))
    return results


@pytest.mark.parametrize("name", RESULTS)
def test_a_row_comes_back_as_the_line_that_a_run_writes(tmp_path, name):
    write(tmp_path, RESULTS[name])
    (found,) = documents(str(tmp_path), "a.parquet")
    assert (found.pop("source"), found.pop("row")) == ("a.tar", 0)
    expected = Outcome(name="0.wav", result=RESULTS[name]).to_dict()
    assert strict_json(found, indent=None) == strict_json(expected, indent=None)


def test_rows_keep_their_order_over_many_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_results, "ROWS_TOGETHER", 3)
    write(tmp_path, *RESULTS.values())
    assert [each["row"] for each in documents(str(tmp_path), "a.parquet")] == list(range(len(RESULTS)))


def test_the_file_says_what_it_was_made_with_and_what_it_counts(tmp_path):
    write(tmp_path, *RESULTS.values(), metadata={shard_results.BUNDLE: b"digest"})
    metadata = read_metadata(str(tmp_path), "a.parquet")
    assert metadata[shard_results.BUNDLE] == b"digest"
    assert json.loads(metadata[shard_results.COUNTS]) == {"recordings": 8, "failed": 1, "speech_s": 7.3333}


def test_other_tools_read_the_columns(tmp_path):
    from pyarrow import parquet

    write(tmp_path, RESULTS["transcript"], RESULTS["error"])
    table = parquet.read_table(tmp_path / "a.parquet", columns=["path", "text", "error"])
    assert table.to_pydict() == {
        "path": ["0.wav", "1.wav"],
        "text": ["fu", None],
        "error": [None, "clip.wav: silent"],
    }


def test_names_that_are_no_text_are_written_with_backslashes(tmp_path):
    with new_results(str(tmp_path), "a.parquet", {}, "run") as results:
        results.add(as_row(RESULTS["error"], source=None, row=0, path="caf\udce9.wav"))
    (found,) = documents(str(tmp_path), "a.parquet")
    assert found["path"] == r"caf\udce9.wav"


def test_nothing_is_left_of_a_shard_that_ended_early(tmp_path):
    def end_early():
        with new_results(str(tmp_path), "a.parquet", {}, "run") as results:
            results.add(as_row(RESULTS["class"], source=None, row=0, path="a"))
            assert [path.name.endswith(shard_results.PART) for path in tmp_path.iterdir()] == [True]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        end_early()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_worker_left_is_removed_and_results_stay(tmp_path):
    write(tmp_path, RESULTS["class"])
    (tmp_path / f".b.parquet.1234{shard_results.PART}").touch()
    shard_results.remove_parts(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_unfinished_files_of_another_run_are_left_alone(tmp_path):
    parts = [tmp_path / f".b.parquet.1234.{run}{shard_results.PART}" for run in ("this", "that")]
    for part in parts:
        part.touch()
    shard_results.remove_parts(str(tmp_path), "this")
    assert list(tmp_path.iterdir()) == parts[1:]


@pytest.mark.parametrize(("settings", "refused"), [(b"others", True), (b"the same", False)])
def test_a_file_that_another_run_has_finished_meanwhile_is_never_replaced(tmp_path, settings, refused):
    metadata = {shard_results.BUNDLE: b"digest", shard_results.SETTINGS: b"the same"}
    write(tmp_path, RESULTS["class"], metadata={**metadata, shard_results.SETTINGS: settings})
    before = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(UsageError, match="another run has written other results") if refused else nullcontext():
        write(tmp_path, RESULTS["voice"], metadata=metadata)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.parquet": before}


def test_an_object_store_is_read_and_written_like_the_disk(tmp_path, monkeypatch, bundle, recordings):
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    store = storage.Store(SubTreeFileSystem(str(tmp_path), LocalFileSystem()))
    monkeypatch.setattr(storage, "opened_place", lambda name: (store, name.removeprefix("s3://")))
    recipe = EngineRecipe.of(bundle)
    archive = Archive.open(["s3://clips"], bundle, "s3://results/new")
    assert (archive.done, archive.lock.held, len(archive.shards[0].clips)) == (set(), False, 8)
    report = ShardWorker(recipe, "s3://results/new").answer(archive.shards[0])
    assert (report.recordings, report.failed) == (8, 1)
    assert len(list(read_archive("s3://results/new"))) == 8
    (tmp_path / "results/new/.b.parquet.1234.part").touch()
    again = Archive.open(["s3://clips"], bundle, "s3://results/new", resume=True)
    assert again.done == {report.output}
    assert list(again.reports("local", 1, print)) == []
    assert {path.name for path in (tmp_path / "results/new").iterdir()} == {report.output, ".b.parquet.1234.part"}


@pytest.mark.parametrize("content", [b"", b"PAR1 is what it begins with"])
def test_a_file_that_is_no_result_is_refused(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(UsageError, match="not a result of an archive; delete it"):
        read_metadata(str(tmp_path), "a.parquet")


def test_a_full_disk_is_the_error_of_the_run(tmp_path, monkeypatch, bundle, recordings):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    worker = ShardWorker(EngineRecipe.of(bundle), str(tmp_path))
    monkeypatch.setattr(shard_results.ShardResults, "finish", full)
    (shard,) = plan([str(recordings)])
    found = worker.answer(shard)
    assert isinstance(found, OSError)
    assert found.errno == errno.ENOSPC
    assert not list(tmp_path.glob("*.parquet"))
