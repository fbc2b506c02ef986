"""The corpus of the shipped model: real rows keep their splits, no synthetic voice is in training and evaluation."""

import json

import pytest

from benchmarks.records.accuracy import shipped_model
from benchmarks.records.accuracy.shipped_model import SPOKEN, Row, publish, real_rows, spoken_rows
from wav2edge.audio.clip import load_clip
from wav2edge.evaluation.dataset import read_dataset

pytest.importorskip("espeakng_loader", reason="the voices come from espeak-ng: pip install 'wav2edge[demo]'")


@pytest.fixture
def few_voices(monkeypatch):
    monkeypatch.setattr(shipped_model.Synthesizer, "voices", lambda self: ("f2", "m1", "m3", "m7"))
    words = dict(list(shipped_model.WORDS.items())[:2])
    monkeypatch.setattr(shipped_model, "WORDS", words)


def test_real_rows_keep_split_speaker_and_labels(tmp_path):
    (tmp_path / "metadata.csv").write_text(
        "file_name,transcription,label,speaker,split\na.flac,bei jing,0,s1,train\nb.flac,shu zi,3,s2,test\n"
    )
    first, second = real_rows(tmp_path)
    assert (first.text, first.label, first.speaker, first.split) == ("bei jing", "0", "s1", "train")
    assert (second.audio_filepath, second.split) == (str(tmp_path / "b.flac"), "test")


def test_a_voice_is_in_training_or_evaluation_and_speaks_every_word(few_voices, tmp_path):
    rows = list(spoken_rows(tmp_path))
    splits = {row.speaker: {other.split for other in rows if other.speaker == row.speaker} for row in rows}
    assert sorted(len(each) for each in splits.values()) == [1, 1, 1, 1]
    assert list(splits.values()).count({SPOKEN}) == 1
    assert [(row.text, row.label) for row in rows[:2]] == [("bei jing", "0"), ("bei jing", "2")]
    clip = load_clip(tmp_path / "f2-00.flac")
    assert 0.4 < clip.duration_s < 2.5


def test_a_spoken_row_tells_when_both_syllables_begin_also_where_espeak_takes_them_for_one_word(few_voices, tmp_path):
    for row in spoken_rows(tmp_path):
        first_s, second_s = map(float, (row.word_starts_s or "").split())
        assert 0.05 < first_s < second_s - 0.1
        assert second_s < load_clip(row.audio_filepath).duration_s - 0.1


def test_the_same_seed_gives_the_same_clips(few_voices, tmp_path):
    for name in "ab":
        list(spoken_rows(tmp_path / name))
    assert (tmp_path / "a/m3-01.flac").read_bytes() == (tmp_path / "b/m3-01.flac").read_bytes()


def test_a_row_is_a_line_of_a_manifest():
    row = Row(audio_filepath="/a.flac", text="shu zi", label="3", speaker="f2", split="train")
    assert json.loads(row.line())["text"] == "shu zi"


def test_the_bundle_and_a_clip_of_each_word_by_unseen_voices_are_published(few_voices, tmp_path):
    rows = list(spoken_rows(tmp_path / "spoken"))
    bundle = tmp_path / "words"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}")
    publish(bundle, rows, tmp_path / "models")
    assert (tmp_path / "models/words/manifest.json").read_text() == "{}"
    published = read_dataset(tmp_path / "models/clips")
    assert [(row.transcription, row.label) for row in published] == [("bei jing", "0"), ("bei jing", "2")]
    assert {row.speaker for row in published} == {row.speaker for row in rows if row.split == SPOKEN}
    assert all(row.path.is_file() for row in published)
