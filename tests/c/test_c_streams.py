"""Streams of the C library say event for event what those of the Python package say."""

from __future__ import annotations

import itertools
from ctypes import byref
from functools import partial

import numpy as np
import pytest

import wav2edge
from tests.c.c_library import CError, Error, differences
from tests.c.conftest import WORDS, WORDS_STREAM
from wav2edge.audio.clip import load_clip
from wav2edge.inference.streaming import utterances
from wav2edge.inference.streaming.endpoints import Endpointing

TOLERANCE = 1e-4
KINDS = [("windowed", 160), ("cached", 160), ("cached", 320), ("two-pass", 160)]


class FrozenTime:
    """Computing takes no time, so that the steps of windowed streams do not depend on the machine."""

    @staticmethod
    def perf_counter() -> float:
        return 0.0


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterances, "time", FrozenTime)


@pytest.fixture(scope="module")
def engine(library):
    with library.load(WORDS_STREAM) as engine:
        yield engine


def blocks(sound: np.ndarray, size: int) -> list[np.ndarray]:
    return [sound[at : at + size] for at in range(0, len(sound), size)]


def ours(engine, sound, size=320, rate_hz=16_000, **options):
    with engine.stream(rate_hz=rate_hz, clock=lambda: 0.0, **options) as stream:
        events = [event for block in blocks(sound, size) for event in stream.feed(block)]
        return without_latency([*events, *stream.finish()])


def theirs(engine, sound, size=320, rate_hz=16_000, endpointing=None, **options):
    with engine.stream(rate_hz=rate_hz, endpointing=endpointing, **options) as stream:
        events = [event for block in blocks(sound, size) for event in stream.feed(block)]
        return without_latency([event.to_dict() for event in [*events, *stream.finish()]])


def without_latency(events):
    return [{name: value for name, value in event.items() if name != "latency_s"} for event in events]


@pytest.mark.parametrize(("kind", "chunk_ms"), KINDS)
def test_streams_say_event_for_event_the_same(engine, stream_engine, recording, kind, chunk_ms):
    expected = theirs(stream_engine, recording, kind=kind, chunk_ms=chunk_ms)
    assert sum(event["type"] == "final" for event in expected) == 12
    assert sum(event["type"] == "partial" for event in expected) > 30
    assert differences(ours(engine, recording, kind=kind, chunk_ms=chunk_ms), expected, TOLERANCE) == []


@pytest.mark.parametrize(("vad", "gain"), [("energy", 0.02), ("none", 0.2)])
def test_quiet_speech_on_an_offset_is_brought_to_the_same_level(engine, stream_engine, recording, vad, gain):
    sound = recording[:160_000] * np.float32(gain) + np.float32(0.01)
    expected = theirs(stream_engine, sound, endpointing=Endpointing(vad=vad))
    assert sum(event["type"] == "final" for event in expected) >= 2
    assert differences(ours(engine, sound, vad=vad), expected, TOLERANCE) == []


def test_blocks_may_be_of_any_length(engine, stream_engine, recording):
    sound = recording[:160_000]
    expected = theirs(stream_engine, sound, 4_001)
    for size in (1_999, 160_000):
        assert differences(ours(engine, sound, size), expected, TOLERANCE) == []


@pytest.mark.parametrize(("kind", "chunk_ms"), KINDS[::3])
def test_words_with_short_pauses_are_the_same_in_any_blocks(engine, stream_engine, kind, chunk_ms):
    random = np.random.default_rng(3)
    clips = [load_clip(path).samples for path in sorted((WORDS.parent / "clips").glob("*.flac"))[:8]]
    sound = np.concatenate([part for clip in clips for part in (clip, np.zeros(random.integers(6_000, 9_000)))])
    sound = sound.astype(np.float32)
    expected = theirs(stream_engine, sound, len(sound), kind=kind, chunk_ms=chunk_ms)
    assert sum(event["type"] == "final" for event in expected) > 4
    for size in (len(sound), 1_600, 333):
        assert differences(ours(engine, sound, size, kind=kind, chunk_ms=chunk_ms), expected, TOLERANCE) == []


def test_long_utterances_are_parted_at_the_same_words(engine, stream_engine, recording):
    sound = np.concatenate([recording[16_000:33_000], recording[50_000:64_000]] * 4)
    options = {"longest_s": 2.0, "silence_s": 3.0, "vad": "none"}
    for kind, _ in KINDS[::3]:
        expected = theirs(stream_engine, sound, kind=kind, endpointing=Endpointing(**options))
        assert "length" in {event.get("reason") for event in expected}
        assert differences(ours(engine, sound, kind=kind, **options), expected, TOLERANCE) == []


def test_everything_may_be_speech_and_blanks_alone_end_it(engine, stream_engine, recording):
    sound = recording[:120_000]
    options = {"vad": "none", "blank_s": 0.5}
    expected = theirs(stream_engine, sound, endpointing=Endpointing(**options))
    assert "blank" in {event.get("reason") for event in expected}
    assert differences(ours(engine, sound, **options), expected, TOLERANCE) == []


def test_noise_between_words_is_followed_alike(engine, stream_engine, recording):
    sound = recording[:200_000] + np.random.default_rng(3).normal(0, 0.02, 200_000).astype(np.float32)
    for kind, chunk_ms in KINDS[:2]:
        expected = theirs(stream_engine, sound, kind=kind, chunk_ms=chunk_ms)
        assert differences(ours(engine, sound, kind=kind, chunk_ms=chunk_ms), expected, TOLERANCE) == []


def test_a_bundle_without_graphs_of_streams_streams_windowed(library, words_engine, recording):
    with library.load(WORDS) as engine:
        expected = theirs(words_engine, recording[:160_000])
        assert differences(ours(engine, recording[:160_000]), expected, TOLERANCE) == []


def test_a_busy_machine_takes_longer_steps_to_the_same_final_answers(library, words_engine, recording, monkeypatch):
    """Each look at the clock finds that 50 ms have passed."""
    sound = recording[:100_000]

    class SlowTime:
        ticks = itertools.count()

        @classmethod
        def perf_counter(cls) -> float:
            return 0.05 * next(cls.ticks)

    monkeypatch.setattr(utterances, "time", SlowTime)
    expected = theirs(words_engine, sound, chunk_ms=40)
    with library.load(WORDS) as engine:
        ticks = itertools.count()
        with engine.stream(chunk_ms=40, clock=lambda: 0.05 * next(ticks)) as stream:
            events = [event for block in blocks(sound, 320) for event in stream.feed(block)]
            found = without_latency([*events, *stream.finish()])
        quick = ours(engine, sound, chunk_ms=40)
    assert differences(found, expected, TOLERANCE) == []
    assert len(found) < len(quick)
    assert [event for event in found if event["type"] == "final"] == [
        event for event in quick if event["type"] == "final"
    ]


def test_lost_sound_ends_what_was_said_and_moves_the_clock(engine, stream_engine, recording):
    with engine.stream() as stream, stream_engine.stream() as expected:
        events, others = [], []
        for at, block in enumerate(blocks(recording[:120_000], 800)):
            events += stream.feed(block)
            others += expected.feed(block)
            if at in (30, 100):
                events += stream.gap(1.25)
                others += expected.gap(1.25)
        events += stream.finish()
        others += expected.finish()
        assert stream.clock_s == pytest.approx(expected.clock_s)
    wanted = without_latency([event.to_dict() for event in others])
    assert "gap" in {event.get("reason") for event in wanted}
    assert differences(without_latency(events), wanted, TOLERANCE) == []


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_other_rates_are_resampled_without_a_seam(engine, stream_engine, recording, rate_hz):
    import soxr

    sound = soxr.resample(recording[:170_000], 16_000, rate_hz).astype(np.float32)
    expected = [event for event in theirs(stream_engine, sound, rate_hz=rate_hz) if event["type"] == "final"]
    found = [event for event in ours(engine, sound, rate_hz=rate_hz) if event["type"] == "final"]
    assert len(expected) >= 4
    assert differences(found, expected, 0.05) == []


def test_streams_of_one_engine_do_not_mix(engine, recording):
    sounds = [recording[:100_000], recording[100_000:200_000]]
    alone = [ours(engine, sound) for sound in sounds]
    with engine.stream(clock=lambda: 0.0) as first, engine.stream(clock=lambda: 0.0) as second:
        events = ([], [])
        for pair in zip(blocks(sounds[0], 320), blocks(sounds[1], 320), strict=True):
            events[0].extend(first.feed(pair[0]))
            events[1].extend(second.feed(pair[1]))
        together = [without_latency([*events[0], *first.finish()]), without_latency([*events[1], *second.finish()])]
    assert together == alone


def refusal(call):
    """Class, exit code and words of an error of either."""
    with pytest.raises((CError, wav2edge.Wav2EdgeError)) as caught:
        call()
    error = caught.value
    if isinstance(error, CError):
        return error.kind, error.code, error.message
    return type(error).__name__, error.exit_code, str(error)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "quick"},
        {"chunk_ms": 170},
        {"kind": "windowed", "chunk_ms": -1},
        {"start_s": -1.0},
        {"padding_s": -0.5},
        {"silence_s": float("inf")},
        {"blank_s": float("nan")},
        {"longest_s": 0.5},
        {"rate_hz": 100},
    ],
    ids=str,
)
def test_streams_that_cannot_be_are_refused_with_the_same_words(engine, stream_engine, options):
    def open_theirs():
        own = {name: options[name] for name in ("kind", "chunk_ms", "rate_hz") if name in options}
        rest = {name: value for name, value in options.items() if name not in own}
        stream_engine.stream(**own, endpointing=Endpointing(**rest) if rest else None)

    assert refusal(lambda: engine.stream(**options)) == refusal(open_theirs)


def test_a_bundle_without_graphs_refuses_cached_streams_with_the_same_words(library, words_engine):
    with library.load(WORDS) as engine:
        expected = refusal(lambda: words_engine.stream(kind="cached"))
        assert refusal(lambda: engine.stream(kind="cached")) == expected


def test_a_refused_block_is_left_out_and_the_stream_goes_on(engine, stream_engine, recording):
    odd = recording[:400].copy()
    odd[7] = np.nan
    stereo = np.zeros((400, 2), np.float32)
    with engine.stream() as stream, stream_engine.stream() as expected:
        for refused, rate_hz in ((odd, None), (recording[:400], 8_000)):
            words = refusal(partial(expected.feed, refused, rate_hz=rate_hz))
            assert refusal(partial(stream.feed, refused, rate_hz or 0)) == words
        stream.feed(recording[:400])
        expected.feed(recording[:400])
        assert refusal(lambda: stream.feed(stereo)) == refusal(lambda: expected.feed(stereo))
        assert stream.feed(np.zeros(0, np.float32)) == []
        assert stream.clock_s == expected.clock_s == 400 / 16_000
        stream.finish()
        expected.finish()
        assert refusal(lambda: stream.feed(odd)) == ("UsageError", 2, "this stream is finished; open another")


@pytest.mark.parametrize("lost_s", [-1.0, float("nan"), float("inf"), 1e18, 1e300])
def test_a_gap_that_no_clock_can_show_is_refused(engine, recording, lost_s):
    with engine.stream() as stream:
        stream.feed(recording[:16_000])
        kind, code, words = refusal(lambda: stream.gap(lost_s))
        assert (kind, code, words.split(";")[0]) == ("UsageError", 2, f"lost_s is {lost_s}")
        assert stream.clock_s == 1
        stream.gap(2.0)
        assert stream.clock_s == 3


@pytest.mark.parametrize("options", [{"padding_s": 1e300}, {"start_s": 1e300}, {"chunk_ms": 200_000}], ids=str)
def test_seconds_without_bounds_do_not_overflow(engine, stream_engine, recording, options):
    own = {name: value for name, value in options.items() if name == "chunk_ms"}
    rest = {name: value for name, value in options.items() if name != "chunk_ms"}
    endpointing = Endpointing(**rest) if rest else None
    with engine.stream(kind="windowed", **options) as stream:
        found = [*stream.feed(recording[:80_000]), *stream.finish()]
    with stream_engine.stream(kind="windowed", endpointing=endpointing, **own) as stream:
        expected = [event.to_dict() for event in [*stream.feed(recording[:80_000]), *stream.finish()]]
    assert [event["text"] for event in found] == [event["text"] for event in expected]


def test_defaults_are_taken_and_nothing_handed_out_where_a_pointer_is_null(engine, recording):
    with engine.stream(kind=None, vad=None) as stream:
        samples, error = recording[:80_000].copy(), Error()
        assert engine.api.w2e_stream_feed(stream.handle, samples.ctypes.data, len(samples), None, byref(error))
        assert stream.clock_s == 5
        assert engine.api.w2e_stream_finish(stream.handle, None, byref(error))
