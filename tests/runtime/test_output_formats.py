from __future__ import annotations

import csv
import io
import json

import praatio.textgrid
import pytest
import srt
import webvtt

from wav2edge.errors import AudioError, UsageError
from wav2edge.output.formats import FORMATS, OutputFolder, parse_formats
from wav2edge.output.result import Result, Segment, Word
from wav2edge.output.writers import Outcome

HOUR_S = 3_725.5
SPOKEN = Segment(
    start_s=1.25,
    end_s=2.5,
    text='fu "dan" <&>',
    words=(
        Word(text="fu", start_s=1.3, end_s=1.6, confidence=0.9),
        Word(text='"dan"', start_s=1.8, end_s=2.4, confidence=0.8),
        Word(text="<&>", start_s=2.4, end_s=2.45, confidence=0.8),
    ),
    scores={"x": 0.25, "y": 0.75},
    confidence=0.85,
)
LATE = Segment(start_s=HOUR_S, end_s=HOUR_S + 1, text="shang hai", words=(), scores={"x": 1.0, "y": 0.0})
UNHEARD = Segment(start_s=10.0, end_s=11.0, text="", words=(), scores={"x": 1.0, "y": 0.0})
RECORDING = Result.of_segments([SPOKEN, UNHEARD, LATE], duration_s=4_000.0)
CLIP = Result(duration_s=1.5, text="bei jing", words=(), scores={"x": 0.9, "y": 0.1}, confidence=0.7)
UNSURE = SPOKEN.as_rejected()
FAILED = Outcome(name="bad.wav", result=AudioError("bad.wav: empty file"))


def written(name: str, *outcomes: Outcome, many: bool = False) -> str:
    """What a format writes, segments first as a run gives them."""
    stream = io.StringIO()
    writer = FORMATS[name](stream, many=many)
    for outcome in outcomes:
        if isinstance(outcome.result, Result):
            for segment in outcome.result.segments or ():
                writer.segment(outcome.name, segment)
        writer.add(outcome)
    writer.close()
    return stream.getvalue()


def recording(name: str = "talk.wav") -> Outcome:
    return Outcome(name=name, result=RECORDING)


def clip(name: str = "clip.wav") -> Outcome:
    return Outcome(name=name, result=CLIP)


def test_subrip_subtitles_are_read_back_with_their_times_and_words():
    first, second = srt.parse(written("srt", recording()))
    assert (first.start.total_seconds(), first.end.total_seconds(), first.content) == (1.25, 2.5, 'fu "dan" <&>')
    assert (second.index, second.start.total_seconds(), second.content) == (2, HOUR_S, "shang hai")


def test_webvtt_subtitles_are_read_back_with_their_times_and_words(tmp_path):
    (tmp_path / "talk.vtt").write_text(written("vtt", recording()), encoding="utf-8")
    first, second = webvtt.read(tmp_path / "talk.vtt")
    assert (first.start, first.end, first.raw_text) == ("00:00:01.250", "00:00:02.500", 'fu "dan" &lt;&amp;&gt;')
    assert (second.start, second.text) == ("01:02:05.500", "shang hai")


def test_a_textgrid_is_read_back_tier_by_tier(tmp_path):
    (tmp_path / "talk.TextGrid").write_text(written("textgrid", recording()), encoding="utf-8")
    grid = praatio.textgrid.openTextgrid(str(tmp_path / "talk.TextGrid"), includeEmptyIntervals=False)
    assert grid.maxTimestamp == pytest.approx(4_000.0)
    assert [tuple(entry) for entry in grid.getTier("segments").entries] == [
        (1.25, 2.5, 'fu "dan" <&>'),
        (HOUR_S, HOUR_S + 1, "shang hai"),
    ]
    assert [entry.label for entry in grid.getTier("words").entries] == ["fu", '"dan"', "<&>"]
    assert [entry.label for entry in grid.getTier("labels").entries] == ["y", "x", "x"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_rejected_answer_is_said_in_json_and_tables_and_shows_in_no_other_format(name):
    unsure = Outcome(name="talk.wav", result=Result.of_segments([UNSURE], duration_s=4.0))
    text = written(name, unsure, many=FORMATS[name].holds_many)
    assert "dan" not in text
    if name in ("json", "jsonl"):
        document = json.loads(text)
        (segment,) = (document[0] if name == "json" else document)["segments"]
        assert (segment["rejected"], segment["text"], segment["label"]) == (True, "", None)
        assert (segment["confidence"], segment["scores"]) == (0.85, {"x": 0.25, "y": 0.75})
    elif name == "csv":
        (row,) = csv.DictReader(io.StringIO(text))
        assert (row["rejected"], row["text"], row["label"], row["confidence"]) == ("true", "", "", "0.850000")
    elif name == "text":
        assert text == "talk.wav\t00:01.250\t00:02.500\t\t\n"
    elif name == "textgrid":
        assert 'text = "y"' not in text
    else:
        assert "-->" not in text
        assert len(text.splitlines()) <= 2


def test_tables_are_read_back_a_row_for_each_segment_clip_and_failure():
    rows = list(csv.DictReader(io.StringIO(written("csv", recording("a\n,b.wav"), clip(), FAILED, many=True))))
    assert [row["path"] for row in rows] == ["a\n,b.wav"] * 3 + ["clip.wav", "bad.wav"]
    assert (rows[0]["start_s"], rows[0]["text"], rows[0]["label"]) == ("1.250", 'fu "dan" <&>', "y")
    assert (rows[3]["end_s"], rows[3]["text"], rows[3]["error"]) == ("1.500", "bei jing", "")
    assert {row["rejected"] for row in rows} == {""}
    assert rows[4]["error"] == "bad.wav: empty file"


def test_elan_gets_tiers_of_segments_and_words_in_milliseconds():
    rows = list(csv.DictReader(io.StringIO(written("elan", recording()))))
    assert [row["tier"] for row in rows] == ["segments", "words", "words", "words", "segments", "segments"]
    assert (rows[1]["begin_ms"], rows[1]["end_ms"], rows[1]["annotation"]) == ("1300", "1600", "fu")


def test_text_has_a_line_for_each_segment_with_its_times():
    lines = written("text", recording("tab\t.wav"), many=True).splitlines()
    assert lines[0].split("\t") == [r"tab\t.wav", "00:01.250", "00:02.500", 'fu "dan" <&>', "y"]
    assert lines[2].split("\t")[1] == "1:02:05.500"
    assert written("text", clip()) == "bei jing\tx\n"


def test_json_and_json_lines_hold_segments_and_failures():
    documents = json.loads(written("json", recording(), FAILED, many=True))
    assert [json.loads(line) for line in written("jsonl", recording(), FAILED, many=True).splitlines()] == documents
    assert [segment["start_s"] for segment in documents[0]["segments"]] == [1.25, 10.0, HOUR_S]
    assert documents[1] == {"path": "bad.wav", "error": "bad.wav: empty file"}
    assert json.loads(written("json", many=True)) == []


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_a_clip_that_was_answered_whole_is_one_cue(name):
    assert written(name, clip()).count("-->") == 1
    assert "bei jing" in written(name, clip())


# Folders


def test_each_input_has_a_file_in_each_format_below_the_folder_as_it_lay(tmp_path):
    output = OutputFolder(tmp_path / "out", ("srt", "jsonl"), root=tmp_path / "in")
    for outcome in (clip(str(tmp_path / "in/day/a.wav")), clip("-"), FAILED):
        output.add(outcome)
    output.close()
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert files == ["day/a.jsonl", "day/a.srt", "stdin.jsonl", "stdin.srt"]
    assert json.loads((tmp_path / "out/stdin.jsonl").read_text())["text"] == "bei jing"


def test_inputs_that_differ_in_their_suffix_only_do_not_overwrite_each_other(tmp_path):
    output = OutputFolder(tmp_path, ("text",))
    for name in ("a.wav", "a.flac"):
        output.add(clip(name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.flac.txt", "a.txt"]


def test_three_inputs_of_one_name_have_three_files(tmp_path):
    output = OutputFolder(tmp_path, ("text",))
    for name in ("x/a.wav", "y/a.wav", "z/a.wav"):
        output.add(clip(name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "a.wav.2.txt", "a.wav.txt"]


def test_a_cue_ends_after_it_starts():
    instant = Segment(start_s=10.0, end_s=10.0, text="a", words=())
    (cue,) = srt.parse(written("srt", Outcome(name="a", result=Result.of_segments([instant], duration_s=11.0))))
    assert (cue.end - cue.start).total_seconds() == pytest.approx(0.001)


def test_a_carriage_return_in_a_name_is_no_end_of_a_row():
    (row,) = csv.DictReader(io.StringIO(written("csv", clip("a\rb.wav")), newline=""))
    assert (row["path"], row["text"]) == ("a\rb.wav", "bei jing")


def test_formats_are_named_with_commas_and_an_unknown_one_is_refused():
    assert parse_formats("srt, json") == ("srt", "json")
    with pytest.raises(UsageError, match="'doc': no such format; known are text, json"):
        parse_formats("srt,doc")
