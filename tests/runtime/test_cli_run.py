"""`wav2edge run` on good and bad clips: output, messages and exit codes."""

from __future__ import annotations

import io
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import wav2edge
from tests.runtime import tiny_bundle

FORMATS = ("text", "json", "jsonl")


@pytest.fixture
def bad_clip(tmp_path, save, second):
    """Make a clip that cannot be recognised, by the name of its fault."""

    def cut(name: str):
        path = save(name, second)
        path.write_bytes(path.read_bytes()[:9_000])
        return path

    def text():
        path = tmp_path / "text.wav"
        path.write_text("this is a list of words, saved under the wrong name\n")
        return path

    def empty():
        path = tmp_path / "empty.wav"
        path.touch()
        return path

    def folder():
        path = tmp_path / "folder"
        path.mkdir()
        (path / "notes.txt").touch()
        return path

    def spoiled(value: float):
        samples = second.copy()
        samples[1234] = value
        return save("spoiled.wav", samples, subtype="FLOAT")

    makers = {
        "missing": lambda: tmp_path / "gone.wav",
        "folder without audio": folder,
        "pattern without a match": lambda: tmp_path / "*.ogg",
        "empty": empty,
        "text": text,
        "truncated wav": lambda: cut("cut.wav"),
        "truncated flac": lambda: cut("cut.flac"),
        "nan": lambda: spoiled(np.nan),
        "inf": lambda: spoiled(np.inf),
        "one sample": lambda: save("one.wav", second[:1]),
        "silence": lambda: save("silence.wav", np.zeros(16_000)),
        "no samples": lambda: save("hollow.wav", np.zeros(0)),
        "rate": lambda: save("slow.wav", second, rate_hz=100),
        "name too long": lambda: tmp_path / ("x" * 300),
    }
    return lambda fault: makers[fault]()


FAULTS = {
    "missing": "no such file; check the path",
    "folder without audio": "no audio in this folder",
    "pattern without a match": "matches no file; check the pattern",
    "empty": "empty file; record or copy it again",
    "text": "text, not audio",
    "truncated wav": "truncated, the file ends after 0.28 s",
    "truncated flac": "truncated, the file ends after",
    "nan": "the first at index 1234, channel 0 (nan); export the clip again",
    "inf": "the first at index 1234, channel 0 (inf); export the clip again",
    "one sample": "silent",
    "silence": "silent, every sample is 0; check the microphone or the file",
    "no samples": "holds no samples; record or export the clip again",
    "rate": "100 Hz is outside 4000 to 768000 Hz; resample the clip first",
    "name too long": "check the path",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_clip_alone_is_one_line_and_exit_code_1(cli, bundle, bad_clip, fault):
    path = bad_clip(fault)
    outcome = cli("run", bundle, path)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.complaint.startswith(f"wav2edge: {path}: ")
    assert FAULTS[fault] in outcome.complaint


@pytest.mark.parametrize("fault", FAULTS)
def test_the_clips_around_a_bad_one_are_still_recognised(cli, bundle, bad_clip, clip, engine, fault):
    path, result = bad_clip(fault), engine(clip)
    outcome = cli("run", bundle, clip, path, clip, "--format", "jsonl")
    assert outcome.code == 1
    assert FAULTS[fault] in outcome.complaint_about(path)
    assert outcome.complaints[1:] == ["wav2edge: 1 of 3 inputs failed, the rest are answered"]
    first, failed, last = outcome.jsonl
    assert first == last == {"path": str(clip), **result.to_dict()}
    assert failed["path"] == str(path)
    assert FAULTS[fault] in failed["error"]
    assert set(failed) == {"path", "error"}


def test_all_faults_at_once_leave_one_entry_and_one_line_each(cli, bundle, bad_clip, clip):
    paths = [bad_clip(fault) for fault in FAULTS if fault not in ("nan", "inf")]
    outcome = cli("run", bundle, *paths, clip, "--format", "json")
    assert outcome.code == 1
    assert [entry["path"] for entry in outcome.json] == [*map(str, paths), str(clip)]
    assert [entry["path"] for entry in outcome.json if "error" not in entry] == [str(clip)]
    assert len(outcome.complaints) == len(paths) + 1
    assert all(outcome.complaint_about(path) for path in paths)


@pytest.mark.parametrize(
    ("samples", "rate_hz", "options"),
    [
        (399, 16_000, {}),
        (400, 16_000, {}),
        (719, 16_000, {}),
        (8_000, 8_000, {}),
        (48_000, 48_000, {"subtype": "PCM_24"}),
    ],
)
def test_odd_but_honest_clips_are_recognised(cli, bundle, save, samples, rate_hz, options):
    sound = tiny_bundle.noise(samples)
    stereo = np.stack([sound, sound], axis=1) if options else sound
    outcome = cli("run", bundle, save("odd.wav", stereo, rate_hz=rate_hz, **options), "--format", "json")
    assert outcome.code == 0
    assert outcome.json["duration_s"] == pytest.approx(samples / rate_hz, abs=1e-4)
    assert ("silence was added" in outcome.err) == (samples < 400)


# How results are written


def test_one_clip_is_recognised_with_its_text_and_its_label(cli, bundle, clip, engine):
    result = engine(clip)
    outcome = cli("run", bundle, clip)
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{result.text}\t{result.label}\n", "")


def test_many_clips_are_recognised_a_line_each_with_their_names(cli, bundle, save, second):
    paths = [save(f"{name}.wav", second * gain) for name, gain in (("b", 1), ("a", 0.5))]
    lines = cli("run", bundle, *paths).out.splitlines()
    assert [line.split("\t")[0] for line in lines] == [*map(str, paths)]


def test_a_folder_and_a_pattern_are_recognised_clip_by_clip(cli, bundle, save, second, tmp_path):
    for name in ("in/a.wav", "in/deep/b.flac"):
        save(name, second)
    for given in (tmp_path / "in", tmp_path / "in/**/*.[fw]*"):
        entries = cli("run", bundle, given, "--format", "jsonl").jsonl
        assert [os.path.relpath(entry["path"], tmp_path) for entry in entries] == ["in/a.wav", "in/deep/b.flac"]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_results_and_no_messages(cli, bundle, clip, engine, form):
    outcome = cli("run", bundle, clip, clip, "--format", form)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.count(str(clip)) == 2
    assert engine(clip).text in outcome.out


def test_json_of_one_clip_is_one_object_and_of_many_a_list(cli, bundle, clip):
    one = cli("run", bundle, clip, "--format", "json").json
    many = cli("run", bundle, clip, clip, "--format", "json").json
    assert many == [one, one]
    assert list(one) == ["path", "duration_s", "confidence", "text", "words", "label", "scores", "warnings"]


def test_warnings_are_on_standard_error_and_in_the_json(cli, bundle, save, second):
    path = save("loud.wav", np.clip(30 * second, -1, 1))
    outcome = cli("run", bundle, path, "--format", "json")
    (warning,) = outcome.json["warnings"]
    assert outcome.complaint == f"wav2edge: warning: {path}: {warning}"
    assert outcome.code == 0


def test_a_line_break_in_a_name_does_not_break_the_line(cli, bundle, tmp_path):
    outcome = cli("run", bundle, tmp_path / "two\nlines.wav")
    assert "two lines.wav: no such file" in outcome.complaint


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a file name hold any byte")
def test_a_name_that_is_not_text_is_written_as_json_nevertheless(cli, bundle, save, second, tmp_path):
    path = os.fsencode(save("clip.wav", second)).replace(b"clip", b"cl\xffp")
    os.rename(tmp_path / "clip.wav", path)
    name = os.fsdecode(path)
    for form in FORMATS:
        outcome = cli("run", bundle, name, "--format", form)
        assert (outcome.code, outcome.err) == (0, "")
    assert cli("run", bundle, name, "--format", "json").json["path"] == name


def test_the_variant_that_is_requested_is_run(cli, bundle, clip):
    fp32, int8 = (cli("run", bundle, clip, "--format", "json", "--variant", name).json for name in ("fp32", "int8"))
    assert fp32["scores"] != int8["scores"]


@pytest.mark.parametrize("given", ["in", "in/*.wav"], ids=["folder", "pattern"])
def test_a_folder_or_pattern_has_the_same_shape_with_one_clip_as_with_two(cli, bundle, save, second, tmp_path, given):
    path = save("in/a.wav", second)
    (line,) = cli("run", bundle, tmp_path / given).out.splitlines()
    (entry,) = cli("run", bundle, tmp_path / given, "--format", "json").json
    assert (line.split("\t")[0], entry["path"]) == (str(path), str(path))
    assert len(line.split("\t")) == 3


def test_tabs_and_line_breaks_in_names_are_escaped_in_text(cli, bundle, save, second, tmp_path):
    save("in/a\tb\nc.wav", second)
    (line,) = cli("run", bundle, tmp_path / "in").out.splitlines()
    assert line.split("\t")[0] == f"{tmp_path}/in/a\\tb\\nc.wav"


def test_a_streamed_list_is_laid_out_as_json_is(cli, bundle, clip, engine):
    entry = {"path": str(clip), **engine(clip).to_dict()}
    outcome = cli("run", bundle, clip, clip, "--format", "json")
    assert outcome.out == json.dumps([entry, entry], indent=2, ensure_ascii=False) + "\n"


# Folders


def test_audio_in_a_folder_that_cannot_be_read_fails_and_says_how_to_convert_it(cli, bundle, save, second, tmp_path):
    save("in/a.wav", second)
    (tmp_path / "in/b.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    (tmp_path / "in/notes.txt").touch()
    outcome = cli("run", bundle, tmp_path / "in", "--format", "jsonl")
    assert outcome.code == 1
    assert ["error" in entry for entry in outcome.jsonl] == [False, True]
    assert outcome.complaints == [
        f"wav2edge: {tmp_path}/in/b.m4a: .m4a files cannot be read; convert it first:"
        " ffmpeg -i IN -ar 16000 -ac 1 OUT.wav",
        "wav2edge: 1 of 2 inputs failed, the rest are answered",
    ]


def test_a_broken_link_in_a_folder_fails_by_its_name(cli, bundle, save, second, tmp_path):
    save("in/a.wav", second)
    (tmp_path / "in/b.wav").symlink_to("gone.wav")
    outcome = cli("run", bundle, tmp_path / "in")
    assert outcome.code == 1
    assert "a broken link, gone.wav is not there" in outcome.complaint_about(tmp_path / "in/b.wav")


def test_channels_that_cancel_each_other_are_recognised_with_a_warning(cli, bundle, save, second, engine):
    path = save("inverted.wav", np.stack([second, -second], axis=1), subtype="FLOAT")
    outcome = cli("run", bundle, path, "--format", "json")
    assert (outcome.code, outcome.json["text"]) == (0, engine(second, rate_hz=16_000).text)
    assert "the channels cancel each other out" in outcome.complaint


# Standard input


def test_a_dash_is_standard_input(cli, bundle, clip, engine, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(clip.read_bytes())))
    outcome = cli("run", bundle, "-", "--format", "json")
    assert (outcome.code, outcome.json) == (0, {"path": "-", **engine(clip).to_dict()})


def test_empty_standard_input_is_one_line(cli, bundle, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    outcome = cli("run", bundle, "-")
    assert (outcome.code, outcome.complaint) == (1, "wav2edge: standard input: empty file; record or copy it again")


def test_closed_standard_input_does_not_end_the_other_clips(cli, bundle, clip, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    outcome = cli("run", bundle, "-", clip, "--format", "jsonl")
    assert outcome.code == 1
    assert ["error" in entry for entry in outcome.jsonl] == [True, False]


# Decoding


def test_only_the_given_phrases_are_recognised(cli, bundle, clip, tmp_path):
    (tmp_path / "phrases.txt").write_text("a b\n\ncab\n")
    assert cli("run", bundle, clip, "--phrases", tmp_path / "phrases.txt", "--format", "json").json["text"] in {
        "a b",
        "cab",
    }


def test_an_answer_that_is_not_sure_enough_is_rejected_without_an_error(cli, bundle, clip):
    plain = cli("run", bundle, clip, "--format", "json").json
    kept = cli("run", bundle, clip, "--format", "json", "--reject", str(plain["confidence"] - 1e-5))
    rejected = cli("run", bundle, clip, "--format", "json", "--reject", str(plain["confidence"] + 1e-5))
    assert kept.json == plain
    assert (rejected.code, rejected.err) == (0, "")
    assert rejected.json == {**plain, "text": "", "words": [], "label": None, "rejected": True}


def test_what_fits_no_phrase_is_rejected_too(cli, bundle, clip, tmp_path):
    (tmp_path / "phrases.txt").write_text("a b\n")
    found = cli("run", bundle, clip, "--phrases", tmp_path / "phrases.txt", "--least-fit", "1", "--format", "json").json
    assert (found["rejected"], found["text"]) == (True, "")


def test_a_beam_gives_a_transcript_as_the_engine_with_that_decoder_does(cli, bundle, clip):
    engine = wav2edge.load(bundle, decoder=wav2edge.Beam(width=4, hotwords={"cab": 2.0}))
    outcome = cli("run", bundle, clip, "--beam", "4", "--hotword", "cab=2", "--format", "json")
    assert outcome.json["text"] == engine(clip).text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--hotword", "cab"], "--hotword 'cab': give PHRASE=WEIGHT"),
        (["--least-fit", "0.5"], "--least-fit needs --phrases"),
        (["--greedy", "--beam", "4"], "--greedy needs no --phrases, and no --beam"),
        (["--reject", "1.5"], "answers below 1.5 cannot be rejected; give a confidence from 0 to 1"),
        (["--reject", "nan"], "answers below nan cannot be rejected"),
        (["--phrases", "missing.txt"], "--phrases missing.txt: no such file; check the path"),
        (["--lm", "missing.arpa"], "--lm missing.arpa: no such file; check the path"),
        (["--beam", "-1"], "--beam is -1"),
        (["--beam", "0"], "--beam is 0; it must be at least 1"),
        (["--beam=10001"], "--beam is 10001; it must be at most 10000"),
        (["--lm-weight", "1"], "--lm-weight needs --lm FILE"),
        (["--word-bonus", "nan"], "--word-bonus is nan"),
        (["--gpu-memory", "4"], "--gpu-memory is for --device cuda; leave it out for cpu"),
        (["--no-segments", "--longest-segment", "9"], "--longest-segment is for segments; leave it out, or --no-seg"),
        (["--no-segments", "--vad", "energy"], "--vad is for segments"),
        (["--vad", "none"], "none: no such file; give energy, silero, or the path of silero_vad.onnx"),
        (["--format", "json,srt,json", "--output-dir", "out"], "--format json,srt,json: json is there twice"),
        (["--output", "/"], "--output /: a folder; give a file in it, or --output-dir"),
        (["--output", f"{__file__}/out.txt"], f"--output: {__file__} is a file; give another folder"),
        (["--output-dir", __file__], f"--output-dir: {__file__} is a file; give another folder"),
        (["--format", "srt,vtt"], "several formats need --output-dir"),
        (["--workers", "0"], "--workers 0: at least 1"),
        (["--longest-segment", "0.1"], "--longest-segment is 0.1; a segment needs"),
    ],
)
def test_options_that_do_not_go_together_or_cannot_be_are_one_line(cli, bundle, clip, options, reason):
    outcome = cli("run", bundle, clip, *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert reason in outcome.complaint


def test_a_detector_that_is_not_installed_is_told_before_the_first_clip(cli, bundle, clip, monkeypatch):
    monkeypatch.setattr("wav2edge.audio.silero.find_spec", lambda name: None)
    outcome = cli("run", bundle, clip, "--vad", "silero")
    assert (outcome.code, outcome.out) == (3, "")
    assert "silero-vad is not installed; run: pip install" in outcome.complaint


def test_an_archive_needs_a_cluster(cli, bundle, clip):
    outcome = cli("run", bundle, clip, "clips.tar")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.complaint == "wav2edge: clips.tar: an archive; give --cluster local and --output-dir DIR to read it"


@pytest.mark.parametrize("fault", ["missing", "folder without audio", "pattern without a match"])
def test_an_archive_of_nothing_is_refused_before_anything_is_written(cli, bundle, bad_clip, clip, tmp_path, fault):
    path = bad_clip(fault)
    outcome = cli("run", bundle, clip, path, "--cluster", "local", "--output-dir", tmp_path / "out")
    assert outcome.code == 1
    assert outcome.complaint.startswith(f"wav2edge: {path}: ")
    assert FAULTS[fault] in outcome.complaint
    assert not (tmp_path / "out").exists()


def test_of_inputs_that_all_failed_none_is_said_to_be_answered(cli, bundle, tmp_path):
    outcome = cli("run", bundle, tmp_path / "a.wav", tmp_path / "b.wav")
    assert (outcome.code, outcome.complaints[-1]) == (1, "wav2edge: all 2 inputs failed")


def test_subtitles_of_several_inputs_need_a_folder(cli, bundle, clip, tmp_path):
    assert "for several give --output-dir" in cli("run", bundle, clip, clip, "--format", "srt").complaint
    assert cli("run", bundle, clip, "--format", "srt,csv", "--output-dir", tmp_path / "out").code == 0
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".srt", ".csv"}
