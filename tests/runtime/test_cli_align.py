"""`wav2edge align` and `Engine.align`: words, times, messages and exit codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import srt
from praatio import textgrid

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge.bundle.heads import Heads
from wav2edge.output.result import AlignedWord, Alignment

REPOSITORY = Path(__file__).parents[2]
WORDS, CLIP = REPOSITORY / "models/words", REPOSITORY / "models/clips/fu-dan-3.flac"


def test_each_word_is_a_line_with_start_end_and_confidence(cli):
    outcome = cli("align", WORDS, CLIP, "fu dan")
    assert (outcome.code, outcome.err) == (0, "")
    rows = [line.split("\t") for line in outcome.out.splitlines()]
    assert [row[2] for row in rows] == ["fu", "dan"]
    times = [float(value) for row in rows for value in row[:2]]
    assert times == sorted(times)
    assert times[-1] <= 1.121
    assert all(0.8 < float(row[3]) <= 1 for row in rows)


def test_what_was_said_has_a_higher_gop_than_what_was_not():
    engine = wav2edge.load(WORDS, threads=1)
    said, other = engine.align(CLIP, "fu dan"), engine.align(CLIP, "bei jing")
    assert said.text == engine(CLIP).text == "fu dan"
    assert said.gop > 3
    assert other.gop < 0
    assert said.confidence > 0.8 > 0.1 > other.confidence


def test_a_clip_has_the_words_and_times_that_its_own_transcript_has(engine, second):
    """The tiny model's weights are random: its best path is the best path of its own transcript."""
    result = engine(second, rate_hz=16_000)
    found = engine.align(second, result.text, rate_hz=16_000)
    assert result.text
    assert [word.text for word in found.words] == [word.text for word in result.words]
    assert found.duration_s == result.duration_s == 1.0


def test_json_has_words_tokens_and_scores(cli):
    document = cli("align", WORDS, CLIP, "fu *", "--format", "json").json
    assert [word["text"] for word in document["words"]] == ["fu", "*"]
    assert [token["text"] for token in document["words"][0]["tokens"]] == ["f", "u"]
    assert set(document["words"][0]) == {"text", "start_s", "end_s", "confidence", "gop", "tokens"}
    assert document["words"][1]["end_s"] <= document["duration_s"]


def test_the_confidence_of_an_alignment_is_one_number_whatever_stars_are_in_the_text():
    found = wav2edge.load("models/words").align("models/clips/fu-dan-3.flac", "* dan")
    (segment,) = found.result().segments
    assert found.words[1].confidence == found.confidence == found.result().confidence == segment.confidence < 1


def test_the_text_of_an_alignment_is_a_string(engine, second):
    with pytest.raises(wav2edge.UsageError, match="text is None; give a string"):
        engine.align(second, None, rate_hz=16_000)


def test_the_text_may_come_from_a_file(cli, tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("\ufefffu\r\ndan\n".encode())
    assert cli("align", WORDS, CLIP, "--text-file", path).out == cli("align", WORDS, CLIP, "fu dan").out


@pytest.mark.parametrize("texts", [(), ("fu dan", "--text-file", "text.txt")])
def test_no_text_or_two_are_wrong_usage(cli, texts):
    outcome = cli("align", WORDS, CLIP, *texts)
    assert outcome.code == 2
    assert outcome.complaint == "wav2edge: give what was said once: as TEXT after the audio, or in a --text-file"


def test_a_text_file_that_is_missing_or_no_text_fails_in_one_line(cli, tmp_path):
    path = tmp_path / "text.txt"
    missing = cli("align", WORDS, CLIP, "--text-file", path)
    assert (missing.code, missing.complaint) == (2, f"wav2edge: --text-file {path}: no such file; check the path")
    path.write_bytes(b"\xff\xfe\x00")
    spoiled = cli("align", WORDS, CLIP, "--text-file", path)
    assert (spoiled.code, spoiled.complaint) == (1, f"wav2edge: {path}: not UTF-8; save the text again as UTF-8")


@pytest.mark.parametrize(("verb", "text"), [("align", ["fu dan"]), ("stream", [])])
def test_a_folder_is_not_one_recording(cli, verb, text):
    outcome = cli(verb, WORDS, CLIP.parent, *text)
    assert (outcome.code, outcome.complaint) == (1, f"wav2edge: {CLIP.parent}: a folder; give one recording")


def test_a_text_that_the_vocabulary_cannot_spell_fails_and_names_the_characters(cli):
    outcome = cli("align", WORDS, CLIP, "Fu dan!")
    assert outcome.code == 1
    assert outcome.complaint.startswith("wav2edge: the vocabulary cannot spell 'F' in Fu; '!' in dan!: write")


def test_a_text_that_is_too_long_for_the_clip_fails(cli):
    outcome = cli("align", WORDS, CLIP, "fu dan " * 20)
    assert outcome.code == 1
    assert "has 139 tokens and needs 139 frames, and the audio has 55" in outcome.complaint


def test_warnings_about_the_audio_are_told_and_kept(cli, bundle, save):
    clip = save("short.wav", tiny_bundle.noise(300))
    outcome = cli("align", bundle, clip, "a", "--format", "json")
    assert outcome.complaint == f"wav2edge: warning: {clip}: only 19 ms long: silence was added"
    assert outcome.json["warnings"] == ["only 19 ms long: silence was added"]


def test_times_that_the_certificate_does_not_bear_out_come_with_a_warning(cli, edit_manifest, save):
    clip, warning = save("clip.wav", tiny_bundle.noise(16_000)), "the certificate does not bear out the times of words"
    outcome = cli("align", edit_manifest(word_times=False), clip, "a", "--format", "json")
    assert (outcome.json["warnings"], outcome.complaint) == ([warning], f"wav2edge: warning: {clip}: {warning}")
    assert cli("align", edit_manifest(word_times=True), clip, "a").err == ""


def test_a_model_that_only_classifies_cannot_align(bundle, second):
    engine = wav2edge.Engine.from_graph(
        bundle / "onnx/model.onnx",
        heads=Heads(classification=tiny_bundle.HEADS.classification),
        geometry=tiny_bundle.GEOMETRY,
    )
    with pytest.raises(wav2edge.UsageError, match="does not transcribe"):
        engine.align(second, "a", rate_hz=16_000)


def test_an_output_that_is_not_finite_is_refused(engine, second, monkeypatch):
    spoiled = {"logits": np.full((49, 8), np.nan, np.float32)}
    monkeypatch.setattr(engine, "outputs", lambda samples: spoiled)
    with pytest.raises(wav2edge.DeviceError, match="NaN or infinity"):
        engine.align(second, "a", rate_hz=16_000)


@pytest.fixture
def spoken_twice(tmp_path):
    """The clip, two seconds of silence, and the clip again."""
    samples, rate_hz = soundfile.read(CLIP, dtype="float32")
    path = tmp_path / "twice.wav"
    soundfile.write(path, np.concatenate([samples, np.zeros(2 * rate_hz, np.float32), samples]), rate_hz)
    return path


def test_subtitles_have_a_cue_for_the_words_between_two_pauses(cli, spoken_twice):
    outcome = cli("align", WORDS, spoken_twice, "fu dan fu dan", "--format", "srt")
    cues = list(srt.parse(outcome.out))
    assert [cue.content for cue in cues] == ["fu dan", "fu dan"]
    assert cues[0].end.total_seconds() < 1.2 < 3.0 < cues[1].start.total_seconds()


def test_annotations_hold_each_word_at_its_time(cli, spoken_twice, tmp_path):
    words = cli("align", WORDS, spoken_twice, "fu dan fu dan").out.splitlines()
    path = tmp_path / "twice.TextGrid"
    path.write_text(cli("align", WORDS, spoken_twice, "fu dan fu dan", "--format", "textgrid").out, encoding="utf-8")
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    found = [(round(entry.start, 3), round(entry.end, 3), entry.label) for entry in grid.getTier("words").entries]
    assert found == [(float(start), float(end), text) for start, end, text, _ in (line.split("\t") for line in words)]
    assert len(grid.getTier("segments").entries) == 2


@pytest.mark.parametrize("name", ["csv", "vtt", "elan"])
def test_other_formats_hold_both_segments(cli, spoken_twice, name):
    outcome = cli("align", WORDS, spoken_twice, "fu dan fu dan", "--format", name)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.count("fu dan") == 2


def test_a_segment_of_an_alignment_is_no_longer_than_a_subtitle_stands():
    scores = {"confidence": 0.5, "gop": 0.0, "tokens": ()}
    words = tuple(AlignedWord(text="a", start_s=0.4 * n, end_s=0.4 * n + 0.3, **scores) for n in range(50))
    result = Alignment(duration_s=20.0, words=words, confidence=0.5, gop=0.0).result()
    assert max(segment.duration_s for segment in result.segments) <= 7.0
    assert [word for segment in result.segments for word in segment.words] == list(words)
    assert (result.text, result.confidence) == (" ".join("a" * 50), pytest.approx(0.5))
