"""The streaming model in the repository hears clips whole, in chunks, and as one stream."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge.audio.clip import load_clip, sounding
from wav2edge.cli.main import main
from wav2edge.evaluation.dataset import read_dataset
from wav2edge.evaluation.evaluator import evaluate
from wav2edge.inference.streaming.live_sound import USUAL_RMS, SpeechLevel
from wav2edge.inference.streaming.opening import in_chunks

MODELS = Path(__file__).parents[2] / "models"
BUNDLE, RECORDING = MODELS / "words-stream", MODELS / "stream.flac"
LARGEST_BYTES = 4_000_000


@pytest.fixture(scope="module")
def engine():
    return wav2edge.load(BUNDLE, threads=1)


@pytest.fixture(scope="module")
def recording():
    return soundfile.read(RECORDING, dtype="float32")[0]


def finals(engine, sound, block=320, **how):
    with engine.stream(**how) as stream:
        events = [event for at in range(0, len(sound), block) for event in stream.feed(sound[at : at + block])]
        events += stream.finish()
    return [{**event.to_dict(), "latency_s": 0} for event in events if isinstance(event, wav2edge.Final)]


def test_it_is_small():
    assert sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file()) <= LARGEST_BYTES


def test_it_is_intact_and_its_streams_agree_with_the_original(capsys):
    assert main(["verify", str(BUNDLE), "--repeat"]) == 0
    out = capsys.readouterr().out
    assert "int8 stream of 160 ms signals" in out
    assert "int8 stream of 320 ms signals" in out


def test_it_recognises_clips_whole(engine):
    evaluation = evaluate(engine, read_dataset(MODELS / "clips"))
    assert evaluation.report.classification.accuracy >= 0.9
    assert evaluation.report.word_errors.rate <= 0.1


@pytest.mark.parametrize("chunk_ms", [160, 320])
def test_it_recognises_clips_in_chunks(engine, chunk_ms):
    evaluation = evaluate(in_chunks(engine, chunk_ms), read_dataset(MODELS / "clips"))
    assert evaluation.report.classification.accuracy >= 0.9
    assert evaluation.report.word_errors.rate <= 0.25


@pytest.mark.parametrize("kind", ["windowed", "cached", "two-pass"])
def test_every_utterance_of_a_recording_is_found(engine, recording, kind):
    rows = read_dataset(MODELS / "clips")
    found = finals(engine, recording, kind=kind)
    assert len(found) == len(rows)
    assert sum(each["label"] == row.label for each, row in zip(found, rows, strict=True)) >= 10


def test_the_first_partial_answer_comes_while_the_first_word_is_spoken(engine, recording):
    with engine.stream() as stream:
        for at in range(0, len(recording), 320):
            events = stream.feed(recording[at : at + 320])
            if events:
                break
        assert isinstance(events[0], wav2edge.Partial)
        assert stream.clock_s < 1.0 + 0.75  # a second of silence comes first


def test_eight_streams_on_one_engine_say_what_each_says_alone(engine, recording):
    sounds = [recording[8_000 * start : 8_000 * start + 96_000] for start in range(8)]
    alone = [finals(engine, sound) for sound in sounds]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda sound: finals(engine, sound), sounds)) == alone
    assert any(alone)


def test_inspect_says_how_its_streams_cut_sound(capsys):
    assert main(["inspect", str(BUNDLE)]) == 0
    expected = "in chunks of 160, 320 ms, 1280 ms of left context, 120 ms of look-ahead, answers 240 ms later"
    assert expected in capsys.readouterr().out


def test_the_command_line_hears_the_recording(capsys):
    assert main(["stream", str(BUNDLE), str(RECORDING)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert all("\t" in line for line in lines)


@pytest.mark.parametrize("kind", ["cached", "two-pass"])
def test_words_with_short_pauses_are_the_same_however_their_sound_is_cut(engine, kind):
    random = np.random.default_rng(3)
    clips = [load_clip(path) for path in sorted((MODELS / "clips").glob("*.flac"))[:8]]
    ends = [sounding(clip.samples) for clip in clips]
    words = [clip.samples[first:last] for clip, (first, last) in zip(clips, ends, strict=True)]
    pauses = [np.zeros(samples, np.float32) for samples in random.integers(6_000, 9_000, len(words))]
    sound = np.concatenate([part for pair in zip(words, pauses, strict=True) for part in pair])
    expected = finals(engine, sound, block=len(sound), kind=kind)
    assert len(expected) > 4
    for most in (320, 16_000):
        with engine.stream(kind=kind) as stream:
            cuts = np.cumsum(random.integers(1, most, 2 * len(sound) // most))
            events = [event for block in np.split(sound, cuts.clip(max=len(sound))) for event in stream.feed(block)]
            events += stream.finish()
        found = [{**event.to_dict(), "latency_s": 0} for event in events if isinstance(event, wav2edge.Final)]
        assert found == expected


def test_no_word_of_a_two_pass_stream_is_stable_before_the_second_pass(engine, recording):
    with engine.stream(kind="two-pass", endpointing=wav2edge.Endpointing(silence_s=1.5)) as stream:
        events = [*stream.feed(recording), *stream.finish()]
    partials = [event for event in events if isinstance(event, wav2edge.Partial)]
    assert any(len(event.text.split()) > 1 for event in partials)
    assert {event.stable_words for event in partials} == {0}


@pytest.mark.parametrize("options", [{"vad": "none"}, {"longest_s": 1.0}], ids=["blank", "length"])
def test_where_an_utterance_ends_within_speech_the_next_goes_on_with_the_sound_behind_it(engine, recording, options):
    found = finals(engine, recording, endpointing=wav2edge.Endpointing(**options))
    assert found == finals(engine, recording, block=7_777, endpointing=wav2edge.Endpointing(**options))
    assert max(event["end_s"] for event in found) <= len(recording) / 16_000


@pytest.mark.parametrize(("gain", "offset"), [(0.05, 0.0), (1.0, 0.3), (0.1, 0.02)])
def test_a_quiet_microphone_and_a_constant_offset_cost_few_words(engine, recording, gain, offset):
    usual, found = (
        [each["text"] for each in finals(engine, sound, kind="cached")]
        for sound in (recording, recording * np.float32(gain) + np.float32(offset))
    )
    assert sum(one == other for one, other in zip(found, usual, strict=True)) >= 8


def test_speech_at_a_usual_level_is_recognised_as_it_is():
    level, speech = SpeechLevel(), tiny_bundle.noise(16_000) * np.float32(0.1)
    level.begin(speech[:4_000])
    assert np.array_equal(level.apply(speech), speech)


def test_an_utterance_without_an_onset_has_the_level_of_the_one_before():
    level, speech = SpeechLevel(), tiny_bundle.noise(16_000)
    level.apply(speech * np.float32(0.001) + np.float32(0.2))
    level.begin(speech[:0])
    assert np.std(level.apply(speech * np.float32(0.001) + np.float32(0.2))) == pytest.approx(USUAL_RMS, rel=0.01)
