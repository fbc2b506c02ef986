"""The records of streams: what they count is what there was."""

import numpy as np
import pytest

import wav2edge
from benchmarks.records.accuracy.joined_recordings import join
from benchmarks.records.streams import chunk_compute, contexts, long_streams
from benchmarks.records.streams.joined_streams import Heard, clip_by_clip, figures, hear, speech_of, spread
from tests.docs.pages import ROOT
from tests.export.tiny_checkpoints import save_checkpoint
from wav2edge.audio.clip import load_clip
from wav2edge.evaluation.dataset import Utterance, read_dataset
from wav2edge_train.checkpoint.loading import load_checkpoint


@pytest.fixture(scope="module")
def rows():
    return read_dataset(ROOT / "models/clips")


@pytest.fixture(scope="module")
def clips(rows):
    return [load_clip(row.path).samples for row in rows]


@pytest.fixture(scope="module")
def engine():
    return wav2edge.load(ROOT / "models/words", threads=1)


def test_a_stream_of_joined_clips_finds_them_all(engine, rows, clips):
    recording, places = join(clips, 20.0, snr_db=None, exponent=0.0, pause_s=(1.0, 2.0))
    heard, strays, factor = hear(engine, rows, clips, recording, places, kind="windowed")
    found = figures(heard, strays)
    assert found["utterances"] == len(places)
    assert (found["missed"], found["false"]) == (0, 0)
    assert found["wer"] < 0.2
    assert found["accuracy"] > 0.8
    assert 0 < found["first_partial_after_speech_began_s"]["median"] < 0.5
    assert 0 < found["final_after_the_end_point_s"]["max"] < 0.3
    assert 0 < factor < 1


def test_figures_count_what_is_missed_split_and_late():
    row = Utterance(path=ROOT, where="row", transcription="fu dan", label="3")
    final = wav2edge.Final(start_s=0.9, end_s=1.5, text="fu", words=(), scores={"3": 0.9, "0": 0.1})
    other = wav2edge.Final(start_s=1.6, end_s=1.7, text="dan", words=(), scores={"0": 0.9, "3": 0.1})
    partial = wav2edge.Partial(start_s=0.9, end_s=1.2, text="f")
    split = Heard(row=row, start_s=1.0, end_s=1.7, finals=[(2.2, final), (2.5, other)], partials=[(1.3, partial)])
    found = figures([split, Heard(row=row, start_s=5.0, end_s=6.0)], strays=1)
    assert (found["missed"], found["split"], found["false"]) == (1, 1, 1)
    assert found["wer"] == 0.5  # both words of the one that was missed
    assert found["accuracy"] == 0.5
    assert found["first_partial_after_speech_began_s"] == {"median": 0.3, "p95": 0.3, "max": 0.3}
    assert found["final_after_speech_ended_s"]["median"] == 0.8


def test_a_spread_of_nothing_is_nothing():
    assert spread([None]) is None
    assert spread([1.0, None, 3.0])["median"] == 2.0


def test_speech_is_found_between_silence(clips):
    silence = np.zeros(16_000, np.float32)
    start_s, end_s = speech_of(np.concatenate([silence, clips[0], silence]))
    assert 0.9 < start_s < 1.5
    assert start_s < end_s < 1.1 + len(clips[0]) / 16_000


def test_clips_one_by_one_are_rated(engine, rows, clips):
    assert clip_by_clip(engine, rows, clips) == {"wer": 0.0, "accuracy": 1.0}


def test_several_streams_say_what_they_say_alone(clips, monkeypatch):
    engine = wav2edge.load(ROOT / "models/words-stream", threads=1)  # steps of windowed streams grow under load
    monkeypatch.setattr(long_streams, "TOGETHER_S", 4.0)
    monkeypatch.setattr(long_streams, "STREAMS", 3)
    found = long_streams.together(engine, clips)
    assert found["equal"]
    assert found["finals"] > 0


def test_memory_is_read_every_minute(engine, clips, monkeypatch):
    monkeypatch.setattr(long_streams, "HOUR_S", 6.0)
    monkeypatch.setattr(long_streams, "MINUTE_S", 2.0)
    found = long_streams.hour(engine, clips)
    assert len(found["resident_mb"]) == int(found["seconds"] // 2)
    assert found["finals"] > 0


@pytest.mark.slow
def test_every_context_is_rated(rows, tmp_path, monkeypatch):
    streaming = {"chunk_frames": [8], "left_frames": [32], "delay_frames": 5, "normalize": True}
    folder = save_checkpoint(tmp_path / "checkpoint", "joint", streaming=streaming)
    monkeypatch.setattr(contexts, "CHUNK_FRAMES", (8,))
    monkeypatch.setattr(contexts, "LEFT_FRAMES", (16, 32))
    monkeypatch.setattr(contexts, "LOOK_AHEAD_FRAMES", (8, 16))
    found = contexts.measure(load_checkpoint(folder), rows[:2])
    assert set(found["whole"]) == {"wer", "accuracy"}
    assert [(each["chunk_ms"], each["left_ms"], each["look_ahead_ms"]) for each in found["chunks"]] == [
        (160, 320, 0),
        (160, 640, 0),
        (160, 1280, 160),
    ]


def test_a_timed_system_gives_its_percentiles():
    system = chunk_compute.System(name="x", chunk_ms=160, burst=lambda chunks: [], times_s=[0.01, 0.02, 0.03])
    found = system.to_dict()
    assert (found["median_ms"], found["real_time_factor"]) == (20.0, 0.125)
    assert found["samples_ms"] == [10.0, 20.0, 30.0]
