"""Clips over HTTP: the answers are those of the engine, in OpenAI's shapes and in ours."""

from __future__ import annotations

import io
import math

import pytest
import srt
import webvtt

import wav2edge
from tests.runtime import tiny_bundle
from tests.serving.conftest import MODELS
from tests.serving.served import serving, wav

CLIP = MODELS / "clips/fu-dan-3.flac"


def test_a_clip_is_answered_as_the_engine_answers_it(shipped_server, shipped):
    answer = shipped_server.post(CLIP, model="words")
    result = shipped["words"][0](CLIP)
    assert answer.status_code == 200
    assert answer.json() == {
        "text": result.text,
        "usage": {"type": "duration", "seconds": math.ceil(result.duration_s)},
    }


def test_a_verbose_answer_has_the_words_and_segments_that_are_asked_for(shipped_server, shipped):
    result = shipped["words"][0](CLIP)
    fields = {"model": "words", "response_format": "verbose_json"}
    both = shipped_server.post(CLIP, **fields, **{"timestamp_granularities[]": ["word", "segment"]}).json()
    assert (both["text"], both["duration"]) == (result.text, round(result.duration_s, 4))
    assert [(each["word"], each["start"], each["end"]) for each in both["words"]] == [
        (word.text, round(word.start_s, 4), round(word.end_s, 4)) for word in result.words
    ]
    (segment,) = both["segments"]
    assert (segment["start"], segment["end"], segment["text"]) == (0.0, round(result.duration_s, 4), result.text)
    assert segment["avg_logprob"] == pytest.approx(math.log(result.confidence), abs=1e-5)
    assert (both["label"], both["scores"]) == (result.label, pytest.approx(result.scores))
    only_words = shipped_server.post(CLIP, **fields, **{"timestamp_granularities[]": "word"}).json()
    assert "segments" not in only_words
    assert "words" not in shipped_server.post(CLIP, **fields).json()


def test_a_recording_has_the_segments_of_the_engine(shipped_server, shipped):
    recording = MODELS / "stream.flac"
    result = shipped["words"][0](recording)
    answer = shipped_server.post(recording, model="words", response_format="verbose_json").json()
    assert [each["text"] for each in answer["segments"]] == [each.text for each in result.segments if each.text]
    assert [each["id"] for each in answer["segments"]] == list(range(len(answer["segments"])))
    assert answer["text"] == result.text


def test_subtitles_are_read_back_by_libraries_for_them(shipped_server, shipped):
    recording, result = MODELS / "stream.flac", shipped["words"][0](MODELS / "stream.flac")
    said = [segment.text for segment in result.segments if segment.text]
    as_srt = shipped_server.post(recording, model="words", response_format="srt")
    assert as_srt.headers["content-type"].startswith("application/x-subrip")
    assert [cue.content for cue in srt.parse(as_srt.text)] == said
    as_vtt = shipped_server.post(recording, model="words", response_format="vtt")
    assert as_vtt.headers["content-type"].startswith("text/vtt")
    assert [cue.text for cue in webvtt.from_buffer(io.StringIO(as_vtt.text))] == said


def test_text_is_the_transcript_and_nothing_else(shipped_server):
    answer = shipped_server.post(CLIP, model="words", response_format="text")
    assert (answer.text, answer.headers["content-type"]) == ("fu dan\n", "text/plain; charset=utf-8")


def test_classes_and_alignments_are_those_of_the_command_line(shipped_server, shipped):
    engine = shipped["words"][0]
    classes = shipped_server.post(CLIP, "/v1/audio/classifications", model="words").json()
    assert classes == {"model": "words", **engine(CLIP).to_dict()}
    aligned = shipped_server.post(CLIP, "/v1/audio/alignments", model="words", text="fu dan").json()
    assert aligned == {"model": "words", **engine.align(CLIP, "fu dan").to_dict()}
    cues = shipped_server.post(CLIP, "/v1/audio/alignments", model="words", text="fu dan", response_format="srt")
    assert [cue.content for cue in srt.parse(cues.text)] == ["fu dan"]


def test_several_bundles_are_called_by_their_names(shipped_server, shipped):
    for name, (engine, _) in shipped.items():
        assert shipped_server.post(CLIP, model=name).json()["text"] == engine(CLIP).text
    assert [each["id"] for each in shipped_server.client.get("/v1/models").json()["data"]] == ["words", "live"]
    assert shipped_server.client.get("/v1/models/live").json()["stream_chunks_ms"] == [160, 320]
    unnamed = shipped_server.post(CLIP)
    assert (unnamed.status_code, unnamed.json()["error"]["param"]) == (400, "model")
    unknown = shipped_server.post(CLIP, model="whisper-1")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    assert "here are: words, live" in unknown.json()["error"]["message"]
    assert shipped_server.client.get("/v1/models/whisper-1").status_code == 404


def test_the_only_bundle_needs_no_name(server, clip, engine):
    assert server.post(clip).json()["text"] == engine(clip).text


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("format_name", ["WAV", "FLAC", "OGG", "MP3"])
def test_files_of_many_formats_and_rates_are_answered(server, engine, format_name, rate_hz):
    content = wav(tiny_bundle.noise(rate_hz), rate_hz, format=format_name)
    answer = server.post(content)
    assert (answer.status_code, answer.json()["text"]) == (200, engine(io.BytesIO(content)).text)


def test_fields_that_mean_nothing_to_a_ctc_model_are_named_as_ignored(server, clip):
    answer = server.post(clip, prompt="Fudan", temperature="0.2", language="zh")
    assert (answer.status_code, answer.headers["x-ignored-fields"]) == (200, "prompt, temperature")
    verbose = server.post(clip, language="zh", response_format="verbose_json").json()
    assert verbose["language"] == "zh"
    assert server.post(clip, response_format="verbose_json").json()["language"] == "unknown"


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"response_format": "diarized_json"}, "response_format", "choose json, text, srt, verbose_json, vtt"),
        ({"stream": "true"}, "stream", "WebSocket /v1/audio/stream"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities", "needs response_format=verbose_json"),
        (
            {"timestamp_granularities[]": "letter", "response_format": "verbose_json"},
            "timestamp_granularities",
            "choose segment, word",
        ),
        ({"beam": "8"}, "beam", "no field 'beam' here"),
        ({"model": ["a", "b"]}, "model", "give it once"),
    ],
)
def test_a_field_that_cannot_be_heeded_is_refused_by_its_name(server, clip, fields, param, says):
    answer = server.post(clip, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert says in error["message"]


def test_where_the_certificate_does_not_bear_out_the_times_of_words_they_are_refused_and_alignments_warn(bundle, clip):
    engine = wav2edge.load(bundle, threads=1)
    engine.word_times = False
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    with serving({"tiny": (engine, bundle)}) as running:
        answer = running.post(clip, **fields)
        aligned = running.post(clip, "/v1/audio/alignments", text="a")
    assert answer.status_code == 400
    assert "does not bear out the times of words" in answer.json()["error"]["message"]
    assert aligned.json()["warnings"] == ["the certificate does not bear out the times of words"]


def test_a_model_without_a_transcript_is_refused_one(edit_manifest, clip):
    folder = edit_manifest(heads=tiny_bundle.Heads(classification=tiny_bundle.HEADS.classification).to_dict())
    with serving({"classes": (wav2edge.load(folder, threads=1), folder)}) as running:
        refused = running.post(clip)
        assert refused.status_code == 400
        assert refused.json()["error"]["message"] == (
            "the model 'classes' has no transcriptions; it has: classifications, stream"
        )
        assert running.post(clip, "/v1/audio/classifications").json()["label"] in tiny_bundle.LABELS


def test_a_text_that_does_not_fit_is_refused_with_the_reason(server, clip):
    answer = server.post(clip, "/v1/audio/alignments", text="0123")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_text")
    assert server.post(clip, "/v1/audio/alignments").json()["error"]["param"] == "text"
