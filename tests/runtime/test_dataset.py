from __future__ import annotations

import json

import pytest

from wav2edge import DataError
from wav2edge.evaluation.dataset import label_order, read_dataset, select_split

ROW = {"file_name": "a.wav", "transcription": "ba da", "label": "1"}


@pytest.fixture
def write(tmp_path):
    def save(name: str, content: str, *, encoding: str = "utf-8"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding=encoding)
        return tmp_path

    return save


def refusal(root) -> str:
    with pytest.raises(DataError) as caught:
        read_dataset(root)
    return str(caught.value)


def test_metadata_csv_gives_one_row_per_clip(write):
    root = write("metadata.csv", "file_name,transcription,label,split,speaker\na.wav,ba  da,1,dev,s1\n")
    (row,) = read_dataset(root)
    assert (row.path, row.where) == (root / "a.wav", f"{root / 'metadata.csv'}:2")
    assert (row.transcription, row.label, row.split, row.speaker) == ("ba da", "1", "validation", "s1")


def test_metadata_jsonl_gives_the_same_row(write):
    root = write("metadata.jsonl", json.dumps(ROW) + "\n\n")
    (row,) = read_dataset(root)
    assert (row.path.name, row.transcription, row.label, row.split) == ("a.wav", "ba da", "1", None)


def test_a_nemo_manifest_is_read_by_its_own_keys(write):
    root = write("set.jsonl", json.dumps({"audio_filepath": "x/a.wav", "text": "ba", "command": "go", "duration": 1}))
    (row,) = read_dataset(root / "set.jsonl")
    assert (row.path, row.transcription, row.label) == (root / "x/a.wav", "ba", "go")


def test_a_csv_file_may_be_named_itself(write):
    root = write("metadata.csv", "file_name,label\na.wav,1\n")
    assert read_dataset(root / "metadata.csv") == read_dataset(root)


def test_split_folders_say_the_split(write):
    write("train/metadata.csv", "file_name,label\na.wav,1\n")
    root = write("dev/metadata.csv", "file_name,label\nb.wav,1\n")
    assert [(row.path.name, row.split) for row in read_dataset(root)] == [("b.wav", "validation"), ("a.wav", "train")]


def test_file_names_may_say_the_split_as_audiofolder_has_it(write):
    root = write("metadata.csv", "file_name,label\ntest/a.wav,1\nother/b.wav,1\n")
    assert [row.split for row in read_dataset(root)] == ["test", None]


def test_a_byte_order_mark_is_not_part_of_the_first_column(write):
    (row,) = read_dataset(write("metadata.csv", "file_name,label\na.wav,1\n", encoding="utf-8-sig"))
    assert row.path.name == "a.wav"


def test_word_starts_are_seconds_apart_by_spaces_or_a_list_of_them(write):
    table = "file_name,transcription,word_starts_s\na.wav,ba da,0.12 0.4\nb.wav,ba da,\n"
    told, untold = read_dataset(write("metadata.csv", table))
    assert (told.word_starts_s, untold.word_starts_s) == ((0.12, 0.4), None)
    root = write("set.jsonl", json.dumps({"audio_filepath": "a.wav", "text": "ba da", "word_starts_s": [0.12, 0.4]}))
    (listed,) = read_dataset(root / "set.jsonl")
    assert listed.word_starts_s == (0.12, 0.4)


@pytest.mark.parametrize(
    ("starts", "complaint"),
    [
        ("0.12", "1 word_starts_s for 2 words; give one for each word, or none"),
        ("0.12 soon", "word_starts_s is '0.12 soon'; write seconds apart by spaces"),
        ("0.4 0.12", "the seconds must rise from 0 on"),
        ("-1 0.12", "the seconds must rise from 0 on"),
        ("0.1 nan", "the seconds must rise from 0 on"),
    ],
)
def test_word_starts_that_cannot_be_true_are_refused_with_their_line(write, starts, complaint):
    message = refusal(write("metadata.csv", f"file_name,transcription,word_starts_s\na.wav,ba da,{starts}\n"))
    assert "metadata.csv:2: " in message
    assert complaint in message


def test_an_empty_cell_means_no_label_and_no_speaker(write):
    (row,) = read_dataset(write("metadata.csv", "file_name,transcription,label,speaker\na.wav,ba,,\n"))
    assert (row.label, row.speaker) == (None, None)


def test_an_empty_transcription_is_kept_as_one(write):
    (row,) = read_dataset(write("metadata.jsonl", json.dumps({**ROW, "transcription": ""})))
    assert row.transcription == ""


def test_a_label_written_as_a_number_is_a_name(write):
    (row,) = read_dataset(write("metadata.jsonl", json.dumps({**ROW, "label": 0})))
    assert row.label == "0"


def test_a_line_number_counts_lines_and_not_rows(write):
    root = write("metadata.csv", 'file_name,transcription\na.wav,"two\nlines"\n,ba\n')
    assert refusal(root).startswith(f"{root / 'metadata.csv'}:4: no file_name")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("metadata.jsonl", "{}", ":1: no file_name"),
        ("metadata.jsonl", "{", ":1: not JSON"),
        ("metadata.jsonl", "[1]", ":1: not a JSON object"),
        ("metadata.jsonl", "", ": holds no rows"),
        ("metadata.csv", "file_name,label\n", ": holds no rows"),
        ("metadata.csv", "", ": holds no rows"),
        ("metadata.csv", 'file_name,text\na.wav,pa\nb.wav,"ta\nc.wav,ka\n', ":3: not CSV"),
        ("metadata.csv", 'file_name,text\na.wav,"ta\nb.wav,"ka"\n', ":2: not CSV"),
        ("metadata.csv", "file_name,text\na.wav,pa, ta\n", ":2: more fields than the header has"),
        ("metadata.csv", "file_name,text,text\na.wav,pa,ta\n", ":1: the column 'text' is there twice"),
        ("metadata.jsonl", '{"file_name": "a.wav", "text": "pa", "text": "ta"}', ":1: the key 'text' is there twice"),
        ("metadata.csv", "file_name,text\na.wav,pa\n./a.wav,ta\n", ":3: the transcription of a.wav is 'ta', and at"),
        ("metadata.csv", "file_name,label\na.wav,1\na.wav,2\n", ":3: the label of a.wav is '2', and at"),
        ("metadata.jsonl", json.dumps({**ROW, "offset": 0.5}), ":1: a clip with an offset"),
        ("metadata.jsonl", json.dumps({**ROW, "offset": "later"}), ":1: a clip with an offset"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(write, name, content, words):
    root = write(name, content)
    assert refusal(root).startswith(f"{root / name}{words}")
    assert "\n" not in refusal(root)


def test_a_clip_may_stand_in_two_rows_that_agree(write):
    assert len(read_dataset(write("metadata.csv", "file_name,text,label\na.wav,pa,\na.wav,pa,1\n"))) == 2


def test_an_offset_of_zero_is_accepted(write):
    assert len(read_dataset(write("metadata.jsonl", json.dumps({**ROW, "offset": 0.0})))) == 1


def test_a_table_that_is_not_utf_8_is_refused(write):
    root = write("metadata.csv", "file_name,transcription\na.wav,bä\n", encoding="latin-1")
    assert "not UTF-8 at byte" in refusal(root)


def test_a_folder_without_a_table_is_refused(tmp_path):
    (tmp_path / "stray.txt").touch()
    assert refusal(tmp_path).startswith(f"{tmp_path}: no metadata.csv")


def test_a_data_set_that_is_not_there_is_refused(tmp_path):
    assert refusal(tmp_path / "gone").startswith(f"{tmp_path / 'gone'}: no such data set")


def test_a_split_is_chosen_by_any_of_its_names(write):
    rows = read_dataset(write("metadata.csv", "file_name,split\na.wav,val\nb.wav,train\nc.wav,mine\n"))
    assert [row.path.name for row in select_split(rows, "dev")] == ["a.wav"]
    assert [row.path.name for row in select_split(rows, "mine")] == ["c.wav"]


def test_a_split_without_rows_is_refused_with_those_that_are_there(write):
    rows = read_dataset(write("metadata.csv", "file_name,split\na.wav,val\nb.wav,\n"))
    with pytest.raises(DataError, match=r"no row belongs to the split 'test'; .*: \(none\), validation; write test"):
        select_split(rows, "test")


def test_a_split_of_a_data_set_without_splits_is_refused_with_a_remedy(write):
    rows = read_dataset(write("metadata.csv", "file_name\na.wav\n"))
    with pytest.raises(DataError, match=r"since no row names a split; add a column `split` .* folders of these names$"):
        select_split(rows, "test")


def test_labels_that_are_numbers_are_ordered_by_value_and_before_names():
    assert label_order(["10", "b", "2", "a", "2", "0"]) == ("0", "2", "10", "a", "b")


def test_transcriptions_are_composed_and_spaced_once(write):
    text = " e\u0301t\u00a0 e\n"
    (row,) = read_dataset(write("metadata.jsonl", json.dumps({**ROW, "transcription": text})))
    assert row.transcription == "\u00e9t e"
