"""Streams: what is said while somebody speaks, what is final, and what never changes."""

import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

from tests.runtime.whistles import LETTER_S, RATE_HZ, WhistleRecognizer, silence, whistle
from wav2edge import AudioError, Endpointing, Final, Partial, UsageError
from wav2edge.inference.streaming import utterances
from wav2edge.inference.streaming.opening import open_stream

TALK = np.concatenate([silence(1), whistle("ab|c"), silence(1.2, seed=1), whistle("c|a"), silence(1, seed=2)])


def stream_of(recognizer=None, *, rate_hz=RATE_HZ, chunk_ms=None, **endpointing):
    recognizer = recognizer or WhistleRecognizer()
    options = Endpointing(**endpointing)
    return open_stream(recognizer, None, rate_hz=rate_hz, kind="auto", chunk_ms=chunk_ms, endpointing=options)


def events_of(sound, block=RATE_HZ // 10, stream=None):
    stream = stream or stream_of()
    found = [event for at in range(0, len(sound), block) for event in stream.feed(sound[at : at + block])]
    return found + stream.finish()


def finals(events):
    return [event for event in events if isinstance(event, Final)]


def without_latency(events):
    return [{key: value for key, value in event.to_dict().items() if key != "latency_s"} for event in events]


def test_each_utterance_gets_a_final_with_its_text_words_and_scores():
    first, second = finals(events_of(TALK))
    assert (first.text, first.label, second.text, second.label) == ("ab c", "many", "c a", "many")
    assert [word.text for word in first.words] == ["ab", "c"]
    assert first.reason == second.reason == "silence"


def test_word_times_are_on_the_clock_of_the_stream():
    first, second = finals(events_of(TALK))
    assert first.words[0].start_s == pytest.approx(1.0, abs=0.03)
    second_s = 1 + 4 * LETTER_S + 1.2
    assert second.words[0].start_s == pytest.approx(second_s, abs=0.03)
    assert second.words[1].start_s == pytest.approx(second_s + 2 * LETTER_S, abs=0.03)


def test_partials_come_while_somebody_speaks_and_finals_after_them():
    events = events_of(TALK)
    kinds = [type(event) for event in events]
    assert kinds.count(Final) == 2
    assert kinds[0] is Partial
    assert kinds[-1] is Final
    starts = [event.text for event in events if isinstance(event, Partial) and event.start_s < 2]
    assert starts == sorted(starts, key=len)
    assert starts[-1] == "ab c"


@pytest.mark.parametrize("block", [1, 333, 7_777, len(TALK)])
def test_what_is_said_does_not_depend_on_the_blocks(block):
    sound = TALK if block > 1 else TALK[: round(2.2 * RATE_HZ)]
    assert without_latency(events_of(sound, block)) == without_latency(events_of(sound))


def cut_at_random(sound, seed):
    """Blocks of a sound, of a sample to half a second."""
    random = np.random.default_rng(seed)
    return np.split(sound, np.cumsum(random.integers(1, RATE_HZ // 2, len(sound) // 2_000)).clip(max=len(sound)))


@pytest.mark.parametrize(
    "options", [{}, {"padding_s": 0.5, "silence_s": 0.2}, {"start_s": 0.3}, {"vad": "none", "blank_s": 0.4}], ids=str
)
def test_what_is_said_soon_after_an_utterance_is_the_same_in_any_blocks(options):
    pauses_s = np.random.default_rng(0).uniform(0.7, 0.85, 12)
    sound = np.concatenate([part for pause_s in pauses_s for part in (whistle("ab|ca|"), silence(pause_s))])
    expected = events_of(sound, len(sound), stream_of(**options))
    assert " ".join(event.text for event in finals(expected)).split() == ["ab", "ca"] * 12
    for seed in range(3):
        stream = stream_of(**options)
        found = [event for block in cut_at_random(sound, seed) for event in stream.feed(block)] + stream.finish()
        assert without_latency(found) == without_latency(expected)


class Fickle(WhistleRecognizer):
    """Hears every a as b in every other third of a second that it is given."""

    def outputs(self, samples):
        found = super().outputs(samples)
        if len(samples) // (RATE_HZ // 3) % 2:
            found["logits"][:, [0, 1]] = found["logits"][:, [1, 0]]
        return found


@pytest.mark.parametrize("options", [{}, {"longest_s": 2.5}, {"vad": "none", "blank_s": 0.5}], ids=str)
def test_final_answers_do_not_depend_on_the_load_of_the_machine(options, monkeypatch):
    hiss = (0.01 * np.random.default_rng(0).standard_normal(4 * RATE_HZ)).astype(np.float32)
    sound = np.concatenate([TALK, *[whistle("a|c|")] * 9, hiss, whistle("ab"), silence(1), hiss, TALK])
    said = []
    for longest_s in (0.0, 0.02, 0.05):
        ticks = iter(np.cumsum(np.random.default_rng(1).uniform(0, longest_s, 10_000)))
        monkeypatch.setattr(utterances, "time", SimpleNamespace(perf_counter=ticks.__next__))
        said.append(events_of(sound, stream=stream_of(Fickle(), chunk_ms=40, **options)))
    expected = without_latency(finals(said[0]))
    assert len(expected) > 5
    assert [without_latency(finals(each)) for each in said] == [expected] * len(said)
    assert len(said[-1]) < len(said[0])


def test_a_word_that_is_stable_stays_even_where_the_recogniser_changes_its_mind():
    class Fickle(WhistleRecognizer):
        """Hears every a as b once more than two seconds have passed."""

        def outputs(self, samples):
            found = super().outputs(samples)
            if len(samples) > 2 * RATE_HZ:
                found["logits"][:, [0, 1]] = found["logits"][:, [1, 0]]
            return found

    sound = np.concatenate([silence(1), *[whistle("a|c|")] * 7, silence(1, seed=1)])
    events = events_of(sound, stream=stream_of(Fickle()))
    (final,) = finals(events)
    stable = []
    for event in events[:-1]:
        texts = [word.text for word in event.words[: event.stable_words]]
        assert texts[: len(stable)] == stable
        stable = texts
    assert stable[0] == "a"
    assert [word.text for word in final.words[: len(stable)]] == stable
    assert "b" in [word.text for word in final.words]


def test_latency_of_a_final_is_the_silence_that_was_waited_for():
    (first, _) = finals(events_of(TALK, block=160))
    assert 0.7 <= first.latency_s < 0.9


def test_an_utterance_at_the_end_of_the_stream_is_final_when_the_stream_is():
    (final,) = finals(events_of(np.concatenate([silence(1), whistle("abc")])))
    assert (final.text, final.reason) == ("abc", "finish")


def test_a_stream_that_begins_with_speech_loses_none_of_it():
    (final,) = finals(events_of(np.concatenate([whistle("cab"), silence(1)])))
    assert final.text == "cab"


def test_sound_in_which_nothing_is_recognised_says_nothing():
    hiss = 0.01 * np.random.default_rng(0).standard_normal(5 * RATE_HZ)
    assert events_of(np.concatenate([silence(1), hiss, silence(1)]).astype(np.float32)) == []


def test_blanks_end_an_utterance_where_voice_activity_does_not():
    hiss = (0.01 * np.random.default_rng(0).standard_normal(2 * RATE_HZ)).astype(np.float32)
    first, second = finals(events_of(np.concatenate([silence(1), whistle("ab"), hiss, whistle("c"), silence(1)])))
    assert (first.text, first.reason, second.text) == ("ab", "blank", "c")


def test_without_a_detector_blanks_alone_end_utterances():
    first, second = finals(events_of(TALK, stream=stream_of(vad="none", blank_s=1.0)))
    assert (first.text, first.reason, second.text) == ("ab c", "blank", "c a")


def test_an_utterance_that_goes_on_too_long_is_parted_between_two_words():
    sound = np.concatenate([silence(1), *[whistle("ab|c|")] * 6, silence(1)])
    found = finals(events_of(sound, stream=stream_of(longest_s=1.5)))
    assert [event.reason for event in found[:-1]] == ["length"] * (len(found) - 1)
    assert len(found) > 1
    assert " ".join(event.text for event in found) == " ".join(["ab c"] * 6)
    times_s = [word.start_s for event in found for word in event.words]
    assert times_s == sorted(times_s)


def test_lost_sound_ends_the_utterance_and_the_clock_goes_on():
    stream = stream_of()
    half = round(1.3 * RATE_HZ)
    before = stream.feed(TALK[:half]) + stream.gap(2.0)
    assert finals(before)[-1].reason == "gap"
    after = finals(stream.feed(TALK[round(2.4 * RATE_HZ) :]) + stream.finish())
    assert after[-1].text == "c a"
    assert after[-1].words[0].start_s == pytest.approx(1.3 + 2.0 + 1.48 + 1.2 - 2.4, abs=0.1)
    assert stream.clock_s == pytest.approx(1.3 + 2.0 + len(TALK) / RATE_HZ - 2.4, abs=0.01)


@pytest.mark.parametrize("lost_s", [-1, float("nan"), float("inf"), 1e305, "1", None])
def test_a_gap_that_is_no_length_of_time_is_refused_and_the_stream_goes_on(lost_s):
    stream = stream_of()
    undisturbed = events_of(TALK, block=len(TALK))
    found = stream.feed(TALK)
    with pytest.raises(UsageError, match=re.escape(f"lost_s is {lost_s!r}; give seconds, 0 or more")):
        stream.gap(lost_s)
    assert without_latency(found + stream.finish()) == without_latency(undisturbed)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_any_sample_rate_gives_the_same_words_in_any_blocks(rate_hz):
    sound = np.concatenate([silence(1, rate_hz), whistle("ab|c", rate_hz), silence(1, rate_hz, seed=1)])
    found = [finals(events_of(sound, block, stream_of(rate_hz=rate_hz))) for block in (171, rate_hz // 5)]
    assert [[event.text for event in each] for each in found] == [["ab c"], ["ab c"]]
    assert without_latency(found[0]) == without_latency(found[1])


@pytest.mark.parametrize(
    "convert",
    [
        lambda sound: np.round(sound * 32767).astype(np.int16),
        lambda sound: np.round(sound * 32767).astype("<i2").tobytes(),
        lambda sound: np.stack([sound, sound], axis=1),
        lambda sound: sound.astype(np.float64),
    ],
    ids=["int16", "bytes", "two channels", "float64"],
)
def test_every_form_of_samples_is_taken(convert):
    stream = stream_of()
    events = stream.feed(convert(TALK)) + stream.finish()
    assert [event.text for event in finals(events)] == ["ab c", "c a"]


@pytest.mark.parametrize(
    ("block", "rate_hz", "reason"),
    [
        (np.array([0.0, math.nan]), None, "samples that are not finite, 1 in all"),
        (np.zeros(10), 8_000, "the sample rate changed from 16000 to 8000 Hz"),
        (np.zeros((10, 2)), None, "2 channels where there were 1"),
        (b"odd", None, "3 bytes are no 16-bit samples"),
        (np.zeros((2, 2, 2)), None, "shape"),
    ],
)
def test_a_bad_block_is_refused_and_the_stream_goes_on_as_if_it_had_not_come(block, rate_hz, reason):
    stream = stream_of()
    half = len(TALK) // 2
    events = stream.feed(TALK[:half])
    with pytest.raises(AudioError, match=reason):
        stream.feed(block, rate_hz=rate_hz)
    events += stream.feed(TALK[half:]) + stream.finish()
    assert without_latency(events) == without_latency(events_of(TALK, half))


@pytest.mark.parametrize("block", [[0.1, 0.2], "ab", None], ids=str)
def test_what_is_no_block_of_sound_is_refused_in_one_line(block):
    stream = stream_of()
    with pytest.raises(UsageError, match=f"stream: {type(block).__name__} is no block of sound; pass an array"):
        stream.feed(block)
    assert [event.text for event in finals(events_of(TALK, stream=stream))] == ["ab c", "c a"]


def test_a_stream_that_is_left_without_finish_drops_what_is_open():
    with stream_of() as stream:
        stream.feed(TALK[: round(1.3 * RATE_HZ)])
        assert stream.speaking
    assert not stream.speaking


def test_a_finished_stream_takes_no_more():
    stream = stream_of()
    stream.finish()
    with pytest.raises(UsageError, match="this stream is finished"):
        stream.feed(TALK)


def test_events_are_strict_json():
    for event in events_of(TALK):
        document = json.loads(json.dumps(event.to_dict(), allow_nan=False))
        assert document["type"] in ("partial", "final")


def test_streams_on_one_recogniser_do_not_disturb_each_other():
    recognizer = WhistleRecognizer()
    streams = [stream_of(recognizer) for _ in range(3)]
    found = [[] for _ in streams]
    for at in range(0, len(TALK), 1_600):
        for events, stream in zip(found, streams, strict=True):
            events += stream.feed(TALK[at : at + 1_600])
    for events, stream in zip(found, streams, strict=True):
        events += stream.finish()
    assert [without_latency(events) for events in found] == [without_latency(events_of(TALK))] * 3


def test_an_answer_that_is_not_sure_enough_is_final_without_its_text():
    recognizer = WhistleRecognizer()
    recognizer.reject_below = 1.0
    first, _ = finals(events_of(TALK, stream=stream_of(recognizer)))
    assert first.rejected
    assert (first.text, first.words, first.label) == ("", (), None)


def test_words_have_no_times_where_the_certificate_does_not_bear_them_out():
    recognizer = WhistleRecognizer()
    recognizer.word_times = False
    first, second = finals(events_of(TALK, stream=stream_of(recognizer)))
    assert (first.words, first.text, second.text) == (None, "ab c", "c a")


def test_a_windowed_stream_recognises_no_silence():
    recognizer = WhistleRecognizer()
    events_of(np.concatenate([silence(20), whistle("ab"), silence(1)]), stream=stream_of(recognizer))
    assert 0 < sum(recognizer.calls) < 10 * RATE_HZ


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"silence_s": -1}, "silence_s is -1"),
        ({"padding_s": math.inf}, "padding_s is inf"),
        ({"longest_s": 0.5}, "longest_s is 0.5"),
    ],
)
def test_impossible_end_points_are_refused(options, reason):
    with pytest.raises(UsageError, match=reason):
        Endpointing(**options)


def test_kinds_and_graphs_that_are_not_there_are_refused():
    recognizer = WhistleRecognizer()
    how = {"rate_hz": RATE_HZ, "chunk_ms": None, "endpointing": None}
    with pytest.raises(UsageError, match="no stream of kind 'quick'; choose auto, cached, two-pass, windowed"):
        open_stream(recognizer, None, kind="quick", **how)
    with pytest.raises(UsageError, match="has no graphs for cached streams; train with --streaming"):
        open_stream(recognizer, None, kind="cached", **how)
    with pytest.raises(AudioError, match="100 Hz is outside"):
        open_stream(recognizer, None, kind="auto", **{**how, "rate_hz": 100})


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"rate_hz": None}, "stream: rate_hz=None is not a number of Hz"),
        ({"rate_hz": "16k"}, "stream: rate_hz='16k' is not a number of Hz"),
        ({"chunk_ms": math.nan}, "a step of nan ms; give 1 ms or more"),
        ({"chunk_ms": "160"}, "chunk_ms is '160'; give milliseconds"),
    ],
    ids=str,
)
def test_numbers_of_a_stream_that_are_none_are_refused_in_one_line(option, reason):
    with pytest.raises(UsageError, match=reason):
        stream_of(**option)
