"""The recordings of tars, Parquet files and addresses."""

from __future__ import annotations

import gzip
import os
import tarfile

import pytest

from tests.archives.conftest import sound
from wav2edge.audio.sound_file import open_sound
from wav2edge.errors import AudioError, DataError
from wav2edge.inference.feeding.archives.archived_clips import recordings as recordings_of
from wav2edge.inference.feeding.archives.shard_results import MADE_BY
from wav2edge.inference.feeding.archives.shards import plan

pytest.importorskip("pyarrow", reason="the extra archives is not installed")


def clips(name) -> list:
    (shard,) = plan([str(name)])
    return list(recordings_of(shard))


def contents(name) -> list:
    return [each.source.read() for each in clips(name)]


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")])
def test_the_sound_of_a_tar_is_read_in_order_and_the_rest_passed_over(make_tar, name, mode):
    wav, flac = sound(8_000), sound(4_000, "FLAC")
    members = {"1.json": b"{}", "a/1.wav": wav, "a/._1.wav": b"fork", "2.FLAC": flac, "2.txt": b"fu dan"}
    path = make_tar(name, members, mode)
    found = clips(path)
    assert [(each.path, each.row) for each in found] == [("a/1.wav", 0), ("2.FLAC", 1)]
    assert contents(path) == [wav, flac]
    assert found[0].source.name == f"{path}/a/1.wav"


def test_what_libsndfile_does_not_read_is_an_error_in_its_place(make_tar):
    bad, good = clips(make_tar("a.tar", {"1.m4a": b"?", "2.wav": b"?"}))
    assert "1.m4a: .m4a files cannot be read; convert it first" in str(bad.error)
    assert (good.row, good.error) == (1, None)


@pytest.mark.parametrize("last", ["2.wav", "2.txt"])
def test_a_tar_that_was_cut_off_is_refused(make_tar, last):
    path = make_tar("a.tar", {"1.wav": sound(8_000), last: bytes(50_000)})
    path.write_bytes(path.read_bytes()[:40_000])
    with pytest.raises(DataError, match=r"a\.tar: cannot be read as a tar after 1 recordings .*copy it again"):
        clips(path)


SECOND = 512 + 512 * 16
"""Where the header of a second member begins, after 8,000 bytes of the first."""
HARMED = {
    "cut at a member": lambda tar: tar[:SECOND],
    "cut in a header": lambda tar: tar[: SECOND + 200],
    "a damaged header": lambda tar: tar[:SECOND] + bytes([tar[SECOND] ^ 1]) + tar[SECOND + 1 :],
    "joined": lambda tar: tar + tar,
    "joined, compressed": lambda tar: gzip.compress(tar) * 2,
    "a wrong checksum": lambda tar: gzip.compress(tar)[:-5] + b"?" + gzip.compress(tar)[-4:],
}


@pytest.mark.parametrize("harm", HARMED)
def test_a_harmed_tar_is_refused_and_never_taken_for_its_beginning(make_tar, harm):
    path = make_tar("a.tar", {"1.wav": bytes(8_000), "2.wav": bytes(8_000)})
    path.write_bytes(HARMED[harm](path.read_bytes()))
    with pytest.raises(DataError, match=r"a\.tar: .*pack it again"):
        clips(path)


def test_a_tar_with_a_single_block_of_zeros_at_its_end_is_whole(make_tar):
    path = make_tar("a.tar", {"1.wav": bytes(8_000)})
    path.write_bytes(path.read_bytes()[: SECOND + 512])
    assert len(clips(path)) == 1


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.LNKTYPE, "a link to 1.wav; pack its content"),
        (tarfile.SYMTYPE, "a link to 1.wav; pack its content"),
        (tarfile.FIFOTYPE, "a pipe or a device"),
    ],
    ids=["hard link", "symbolic link", "pipe"],
)
def test_a_member_that_is_named_like_sound_and_holds_none_is_an_error_in_its_place(tmp_path, kind, reason):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("1.wav"))
        member = tarfile.TarInfo("2.wav")
        member.type, member.linkname = kind, "1.wav"
        tar.addfile(member)
    _, found = clips(tmp_path / "a.tar")
    assert (found.path, found.row) == ("2.wav", 1)
    assert f"a.tar/2.wav: {reason}" in str(found.error)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"audio": [1]}, "row 0: int where the bytes of a sound file, its path, or {bytes, path} belong"),
        ({"audio": [[0.5, 0.25]]}, "row 0: list where"),
        ({"audio": [{"bytes": "text", "path": "a.wav"}]}, "row 0: {bytes: str, path: str} where"),
        ({"audio": [{"bytes": None, "path": 7}]}, "row 0: {bytes: NoneType, path: int} where"),
        ({"audio": [{"array": [0.5], "sampling_rate": 16_000}]}, "row 0: {array: list, sampling_rate: int} where"),
        ({"path": ["nowhere://bucket/key"]}, "nowhere://bucket/key: "),
    ],
    ids=lambda value: None if isinstance(value, dict) else value.split(" where")[0].split(": ")[-1],
)
def test_a_value_that_gives_no_sound_is_the_error_of_its_row(make_parquet, bad, reason):
    (found,) = clips(make_parquet("a.parquet", bad))
    assert reason in str(found.error)


def test_a_path_that_is_no_text_is_the_name_of_its_sound(make_parquet):
    (found,) = clips(make_parquet("a.parquet", {"audio": [{"bytes": sound(4_000), "path": 7}]}))
    assert (found.path, found.error) == ("7", None)


def test_a_path_with_a_zero_byte_is_refused_like_any_that_is_not_there(make_parquet):
    (found,) = clips(make_parquet("a.parquet", {"path": ["a\0b.wav"]}))
    with pytest.raises(AudioError, match="no file can have such a name"):
        open_sound(found.source)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_named_pipes_are_refused_before_anything_waits_for_them(tmp_path):
    os.mkfifo(tmp_path / "a.tar")
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(DataError, match=r"a\.tar: a named pipe.*copy it into a file"):
        clips(tmp_path / "a.tar")
    (found,) = clips(tmp_path / "a.wav")
    assert "a.wav: a named pipe" in str(found.error)


def test_a_column_of_sound_is_read_row_by_row(make_parquet):
    sounds = [sound(4_000 + number) for number in range(20)]
    path = make_parquet("a.parquet", {"text": ["a"] * 20, "audio": sounds})
    assert contents(path) == sounds
    assert [(each.path, each.row) for each in clips(path)] == [(str(row), row) for row in range(20)]


def test_audio_of_hugging_face_datasets_is_sound_or_a_path(make_parquet, recordings):
    values = [
        {"bytes": sound(4_000), "path": "given.wav"},
        {"bytes": None, "path": "clips/0.wav"},
        {"bytes": sound(5_000), "path": None},
        None,
    ]
    path = make_parquet("a.parquet", {"audio": values})
    first, second, third, missing = clips(path)
    assert (first.path, first.source.read()) == ("given.wav", sound(4_000))
    assert (second.path, second.source) == ("clips/0.wav", str(recordings / "0.wav"))
    assert (third.path, third.source.name) == ("2", f"{path}, row 2")
    assert str(missing.error) == f"{path}, row 3: no audio; leave the row out"


def test_paths_are_seen_from_the_folder_of_their_file(make_parquet, recordings):
    path = make_parquet("a.parquet", {"path": ["clips/0.wav", str(recordings / "1.wav")]})
    assert [each.source for each in clips(path)] == [str(recordings / "0.wav"), str(recordings / "1.wav")]


def test_paths_of_an_address_are_fetched(make_parquet, recordings):
    path = make_parquet("a.parquet", {"path": ["clips/0.wav", "clips/none.wav"]})
    found, missing = clips(f"file://{path}")
    assert found.source.read() == (recordings / "0.wav").read_bytes()
    assert f"file://{path.parent}/clips/none.wav" in str(missing.error)


def test_clips_at_an_address_are_fetched(recordings):
    found = clips(f"file://{recordings}")
    assert [each.source.read() for each in found] == [path.read_bytes() for path in sorted(recordings.iterdir())]


def test_other_columns_are_named(make_parquet):
    with pytest.raises(DataError, match="no column audio or path among sentence, speech"):
        clips(make_parquet("a.parquet", {"sentence": ["a"], "speech": [b"?"]}))


def test_results_are_no_recordings(make_parquet, tmp_path):
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "results.parquet"
    parquet.write_table(pyarrow.table({"path": ["a"]}).replace_schema_metadata({MADE_BY: "0"}), path)
    with pytest.raises(DataError, match="results of an archive, not its recordings"):
        clips(path)


def test_a_file_that_is_no_parquet_is_said_so(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"no Parquet")
    with pytest.raises(DataError, match=r"a\.parquet: .*copy it again"):
        clips(tmp_path / "a.parquet")
