"""What becomes a shard, and what its file of results is called."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from wav2edge.errors import AudioError, UsageError
from wav2edge.inference.feeding.archives.shards import plan

pytest.importorskip("pyarrow", reason="the extra archives is not installed")


@pytest.fixture
def archive(recordings, make_tar, make_parquet):
    """A folder with clips, a tar and a Parquet file."""
    make_tar("clips/b.tar", {"a.wav": b"sound"})
    make_parquet("clips/c.parquet", {"path": ["a.wav"]})
    (recordings / "notes.txt").touch()
    return str(recordings)


def test_each_archive_is_a_shard_and_clips_are_shared_out(archive):
    shards = plan([archive], clips_in_a_shard=3)
    assert [(each.kind, len(each.clips)) for each in shards] == [
        ("tar", 0),
        ("parquet", 0),
        ("clips", 3),
        ("clips", 3),
        ("clips", 2),
    ]
    assert [each.name for each in shards[:2]] == [f"{archive}/b.tar", f"{archive}/c.parquet"]
    assert shards[2].name == f"{archive}/0.wav and 2 more"


def test_results_have_the_same_names_in_every_run_and_no_two_shards_share_one(archive, make_tar):
    make_tar("b.tar", {"a.wav": b"sound"})
    names = [archive, archive.replace("clips", "b.tar")]
    shards = plan(names, clips_in_a_shard=3)
    assert plan(names, clips_in_a_shard=3) == shards
    assert len({each.output for each in shards}) == len(shards)
    assert all(each.output.startswith(("b-", "c-", "clips-0000")) for each in shards)


def test_other_clips_make_other_names(recordings):
    before = {each.output for each in plan([str(recordings)], clips_in_a_shard=3)}
    (recordings / "0.wav").unlink()
    assert before.isdisjoint(each.output for each in plan([str(recordings)], clips_in_a_shard=3))


def test_a_folder_of_archives_alone_needs_no_clips(tmp_path, make_tar):
    (tmp_path / "tars").mkdir()
    make_tar("tars/a.tar.gz", {}, "w:gz")
    assert [each.kind for each in plan([str(tmp_path / "tars")])] == ["tar"]


def test_addresses_name_the_same_archives(archive):
    shards = plan([f"file://{archive}"], clips_in_a_shard=100)
    assert [each.name for each in shards[:2]] == [f"file://{archive}/b.tar", f"file://{archive}/c.parquet"]
    assert len(shards[2].clips) == 8
    assert shards[0].size_bytes == plan([archive])[0].size_bytes > 0


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_link_that_leads_round_in_a_circle_repeats_nothing(archive, prefix):
    before = plan([prefix + archive])
    os.symlink(archive, os.path.join(archive, "round"))
    assert plan([prefix + archive]) == before


@pytest.mark.skipif(sys.platform != "linux", reason="names are text here")
def test_names_that_are_no_text_are_names_like_any(recordings):
    (recordings / "\udcff.tar").write_bytes(b"tar")
    (recordings / "\udcff.wav").touch()
    tar, clips = plan([str(recordings)])
    assert (tar.name, tar.size_bytes) == (str(recordings / "\udcff.tar"), 3)
    assert str(recordings / "\udcff.wav") in [each.name for each in clips.clips]


def test_results_of_the_run_are_none_of_its_inputs(archive, make_parquet):
    before = plan([archive])
    Path(archive, "results").mkdir()
    make_parquet("clips/results/a.parquet", {"path": ["a.wav"]})
    assert plan([archive], results=f"{archive}/results") == before
    assert len(plan([archive])) == len(before) + 1


def test_a_file_that_gives_no_clip_has_its_reason_in_its_place(recordings):
    (recordings / "0.mp4").touch()
    (shard,) = plan([str(recordings)])
    assert [each.name for each in shard.clips if each.error is not None] == [str(recordings / "0.mp4")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gone.wav", "no such file"), ("*.ogg", "matches no file"), ("empty", "no audio in this folder")],
)
def test_a_name_that_gives_nothing_is_refused(recordings, name, reason):
    (recordings / "empty").mkdir()
    with pytest.raises(AudioError, match=f"{name}: {reason}" if name[0] != "*" else reason):
        plan([str(recordings / "0.wav"), str(recordings / name)])


def test_an_archive_that_is_named_twice_is_refused(make_tar):
    tar = str(make_tar("a.tar", {"a.wav": b"sound"}))
    with pytest.raises(UsageError, match="stands among the inputs twice"):
        plan([tar, tar])


@pytest.mark.parametrize(
    ("names", "clips", "reason"),
    [
        (["-"], 1, "standard input cannot be shared out"),
        (["a.wav"], 0, "at least 1 is needed"),
        (["nowhere://bucket/key"], 1, "give a path, or an address such as s3://BUCKET/KEY"),
    ],
    ids=["standard input", "no clips", "no such address"],
)
def test_what_cannot_be_shared_out_is_refused(names, clips, reason):
    with pytest.raises(UsageError, match=reason):
        plan(names, clips_in_a_shard=clips)
