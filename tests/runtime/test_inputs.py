from __future__ import annotations

import os

import pytest

from wav2edge.audio.inputs import Input, expand_inputs, gives_many


@pytest.fixture
def folder(tmp_path):
    for name in ("b.wav", "a.FLAC", "deep/c.mp3", "notes.txt", "deep/more/d.opus", "e.wav.part"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "f.wav").mkdir()
    return tmp_path


def names(*given: object) -> list[str]:
    found = list(expand_inputs(map(str, given)))
    assert [each.error for each in found if each.error is not None] == []
    return [each.name for each in found]


def complaint(name: object) -> str:
    (found,) = expand_inputs([str(name)])
    assert found.name == str(name)
    return str(found.error)


def test_a_folder_gives_its_audio_in_alphabetical_order(folder):
    inside = [os.path.relpath(name, folder) for name in names(folder)]
    assert inside == ["a.FLAC", "b.wav", "deep/c.mp3", "deep/more/d.opus"]


def test_hidden_files_and_folders_are_skipped(folder):
    for name in ("._b.wav", ".c.wav", ".cache/d.wav", "__MACOSX/._b.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert len(names(folder)) == 4
    assert names(folder / ".cache") == [str(folder / ".cache/d.wav")]


@pytest.mark.parametrize("name", ["talk.m4a", "TALK.MP4", "a.webm", "a.aac", "a.wma"])
def test_audio_and_video_that_cannot_be_read_is_an_error_in_its_place(folder, name):
    (folder / "deep" / name).touch()
    (failed,) = (each for each in expand_inputs([str(folder)]) if each.error is not None)
    assert failed.name == str(folder / "deep" / name)
    assert str(failed.error) == (
        f"{failed.name}: {os.path.splitext(name)[1].lower()} files cannot be read; convert it first:"
        " ffmpeg -i IN -ar 16000 -ac 1 OUT.wav"
    )


@pytest.mark.parametrize("name", ["gone.txt", "gone.json"])
def test_a_broken_link_to_another_file_is_ignored_like_the_file(folder, name):
    (folder / name).symlink_to("nowhere")
    assert len(names(folder)) == 4


@pytest.mark.parametrize("name", ["gone.wav", "session"])
def test_a_broken_link_is_left_for_the_engine_to_refuse(folder, name):
    (folder / name).symlink_to("nowhere")
    assert str(folder / name) in names(folder)
    assert names(f"{folder}/{name[:-1]}?") == [str(folder / name)]


def test_a_folder_that_may_not_be_entered_is_an_error_and_its_siblings_are_not(folder, monkeypatch):
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = {os.path.relpath(each.name, folder): each.error for each in expand_inputs([str(folder)])}
    assert str(found.pop("deep")) == f"{folder / 'deep'}: Permission denied; check the permissions"
    assert found == {"a.FLAC": None, "b.wav": None}


@pytest.mark.parametrize(
    ("given", "many"),
    [((".",), True), (("*.wav",), True), (("a.wav", "b.wav"), True), (("a.wav",), False), (("-",), False)],
)
def test_folders_patterns_and_several_names_may_give_many_clips(given, many):
    assert gives_many(given) is many


def test_a_pattern_gives_files_only(folder):
    assert [os.path.relpath(name, folder) for name in names(folder / "*.wav")] == ["b.wav"]
    assert [os.path.relpath(name, folder) for name in names(folder / "**/*.mp3")] == ["deep/c.mp3"]


def test_a_file_named_outright_may_be_called_anything(folder):
    assert names(folder / "notes.txt") == [str(folder / "notes.txt")]


def test_a_file_whose_name_looks_like_a_pattern_is_taken_by_its_name(tmp_path):
    path = tmp_path / "take[1].wav"
    path.touch()
    assert names(path) == [str(path)]


def test_inputs_keep_the_order_they_were_named_in(folder):
    assert names("z.wav", "-", folder / "b.wav", "a.wav") == ["z.wav", "-", str(folder / "b.wav"), "a.wav"]


def test_a_missing_file_is_left_for_the_engine_to_refuse():
    assert list(expand_inputs(["gone.wav"])) == [Input(name="gone.wav")]


def test_a_folder_without_audio_is_an_error_in_its_place(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert complaint(tmp_path).startswith(f"{tmp_path}: no audio in this folder")


@pytest.mark.parametrize("pattern", ["*.ogg", "f.w?v", "none/**/*.wav"])
def test_a_pattern_without_a_file_is_an_error_in_its_place(folder, pattern):
    assert complaint(folder / pattern) == f"{folder / pattern}: matches no file; check the pattern"


def test_a_colon_in_the_name_does_not_cut_it(tmp_path):
    folder = tmp_path / "12:30"
    folder.mkdir()
    assert complaint(folder).startswith(f"{folder}: ")


def test_a_name_that_may_not_even_be_looked_at_is_left_for_the_engine_to_refuse(tmp_path):
    name = str(tmp_path / ("x" * 300))
    assert names(name) == [name]
