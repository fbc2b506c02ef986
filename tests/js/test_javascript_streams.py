"""Streams of the package for JavaScript: event for event what the Python package says of the same sound."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

import wav2edge
from wav2edge.audio.clip import load_clip
from wav2edge.inference.streaming import stream as stream_module
from wav2edge.inference.streaming import utterances

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[2] / "models"
WORDS, CHUNKS = MODELS / "words", MODELS / "words-stream"
RATE_HZ = 16_000
BLOCK = 320
ODD_BLOCKS = (1, 4_567, 333, 0, 12_345)
OPTIONS = {
    "rateHz": "rate_hz",
    "kind": "kind",
    "chunkMs": "chunk_ms",
    "startS": "start_s",
    "paddingS": "padding_s",
    "silenceS": "silence_s",
    "blankS": "blank_s",
    "longestS": "longest_s",
    "vad": "vad",
}
"""The names of options in JavaScript -> in Python."""


class Case:
    """A stream that is played in Python and in JavaScript.

    Args:
        folder: where the sounds are written for JavaScript.
        bundle: a bundle.
        sounds: by name, ``[samples]`` or ``[samples, channels]``, or bytes.
        calls: as ``stream_calls.mjs`` takes them.
        stream: options of the stream, by their names in JavaScript.
        reject_below: see ``wav2edge.load``.
        tick_s: what the clock that tells the time to compute goes on with each look.
        waits: whether JavaScript waits for each call before the next.
    """

    def __init__(self, folder, bundle, sounds, calls, *, stream=None, reject_below=0.0, tick_s=0.0, waits=True):
        self.bundle, self.sounds, self.calls, self.tick_s = bundle, sounds, calls, tick_s
        self.stream, self.reject_below = stream or {}, reject_below
        self.question = {
            "bundle": str(bundle),
            "options": {"device": "cpu", "threads": 1, "rejectBelow": reject_below},
            "stream": self.stream,
            "tickS": tick_s,
            "waits": waits,
            "sounds": {name: write(folder / name, sound) for name, sound in sounds.items()},
            "calls": calls,
        }

    def play(self) -> list[Any]:
        """The answers of Python, as ``stream_calls.mjs`` prints them."""
        engine = wav2edge.load(self.bundle, threads=1)
        engine.reject_below = self.reject_below
        endpointing = {OPTIONS[name]: value for name, value in self.stream.get("endpointing", {}).items()}
        options = {OPTIONS[name]: value for name, value in self.stream.items() if name != "endpointing"}
        ticks = count()
        clock = SimpleNamespace(perf_counter=lambda: next(ticks) * self.tick_s)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(utterances, "time", clock)
            patch.setattr(stream_module, "time", clock)
            stream = engine.stream(**options, endpointing=wav2edge.Endpointing(**endpointing))
            return [self._answer(stream, *call) for call in self.calls]

    def _answer(self, stream, name, *args):
        try:
            if name == "feed":
                sound, start, end, *rate_hz = args
                events = stream.feed(self.sounds[sound][start:end], rate_hz=rate_hz[0] if rate_hz else None)
            else:
                events = getattr(stream, name)(*args)
        except wav2edge.Wav2EdgeError as error:
            return refusal(error)
        return [event.to_dict() for event in events]


def refusal(error: wav2edge.Wav2EdgeError) -> dict[str, Any]:
    """An error as ``stream_calls.mjs`` prints it."""
    return {"error": {"name": type(error).__name__, "message": str(error), "exitCode": error.exit_code}}


def write(path: Path, sound: np.ndarray | bytes) -> dict[str, Any]:
    """A sound as a file without a header, channel after channel, and what it holds."""
    if isinstance(sound, bytes):
        path.write_bytes(sound)
        return {"path": str(path), "type": "Uint8Array"}
    sound.T.tofile(path)
    kind = f"{sound.dtype.name.capitalize()}Array"
    return {"path": str(path), "type": kind, "channels": 1 if sound.ndim == 1 else sound.shape[1]}


def feeds(sound: str, end: int, blocks=(BLOCK,), start: int = 0) -> Iterator[list[Any]]:
    """Calls that feed a sound in blocks of these lengths, in turn."""
    for length in cycle(blocks):
        if start >= end:
            return
        yield ["feed", sound, start, min(end, start + length)]
        start += length


def whole(sound: np.ndarray, blocks=(BLOCK,)) -> list[list[Any]]:
    """Calls that feed the sound ``sound`` and finish."""
    return [*feeds("sound", len(sound), blocks), ["finish"]]


def assert_same(found: list[Any], expected: list[Any]) -> None:
    """The same events from each call, scores and confidences within 1e-4; times to compute are not compared."""
    assert len(found) == len(expected)
    for place, (here, there) in enumerate(zip(found, expected, strict=True)):
        if isinstance(there, dict):
            assert here == there, place
            continue
        assert list(map(exactly, here)) == list(map(exactly, there)), place
        for event, other in zip(here, there, strict=True):
            assert numbers(event) == pytest.approx(numbers(other), abs=1e-4), place


def exactly(event: dict[str, Any]) -> dict[str, Any]:
    """What is equal in an event: everything but scores, confidences and latency."""
    kept = {name: value for name, value in event.items() if name not in ("scores", "confidence", "latency_s")}
    if "words" in event:
        kept["words"] = [(word["text"], word["start_s"], word["end_s"]) for word in event["words"]]
    return kept


def numbers(event: dict[str, Any]) -> list[float]:
    scores = [event["confidence"], *event.get("scores", {}).values()]
    return scores + [word["confidence"] for word in event.get("words", [])]


def events_of(answers: list[Any]) -> list[dict[str, Any]]:
    return [event for answer in answers for event in answer]


def finals(answers: list[Any]) -> list[dict[str, Any]]:
    return [event for event in events_of(answers) if event["type"] == "final"]


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    return soundfile.read(MODELS / "stream.flac", dtype="float32")[0]


@pytest.fixture(scope="module")
def minute() -> np.ndarray:
    """A minute of shipped clips, loud and soft, with long and short pauses, in noise that is louder for a while."""
    clips = [load_clip(path).samples for path in sorted((MODELS / "clips").glob("*.flac"))]
    random = np.random.default_rng(7)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < 60 * RATE_HZ:
        parts += [np.zeros(int(random.uniform(0.05, 2.5) * RATE_HZ)), clips[random.integers(len(clips))]]
        parts[-1] = parts[-1] * random.uniform(0.3, 1)
    sound = np.concatenate(parts)[: 60 * RATE_HZ]
    sound += 10 ** (-55 / 20) * random.standard_normal(len(sound))
    sound[30 * RATE_HZ : 33 * RATE_HZ] += 0.02 * random.standard_normal(3 * RATE_HZ)
    return sound.astype(np.float32)


@pytest.mark.parametrize(
    ("bundle", "stream", "blocks", "tick_s"),
    [
        (WORDS, {"kind": "windowed"}, (BLOCK,), 0.0),
        (WORDS, {"kind": "auto", "chunkMs": 250}, ODD_BLOCKS, 0.2),
        (CHUNKS, {"kind": "auto"}, (BLOCK,), 0.0),
        (CHUNKS, {"kind": "cached", "chunkMs": 320}, ODD_BLOCKS, 0.0),
        (CHUNKS, {"kind": "two-pass", "chunkMs": 160}, ODD_BLOCKS, 0.0),
    ],
    ids=["windowed", "windowed, slowly", "cached 160 ms", "cached 320 ms", "two-pass"],
)
def test_a_recording_gets_the_events_of_python(bundle, stream, blocks, tick_s, recording, tmp_path, run_script):
    case = Case(tmp_path, bundle, {"sound": recording}, whole(recording, blocks), stream=stream, tick_s=tick_s)
    (found,) = run_script("stream_calls.mjs", [case.question])
    expected = case.play()
    assert len(finals(expected)) == 12
    assert_same(found["answers"], expected)
    assert found["clockS"] == len(recording) / RATE_HZ


@pytest.mark.parametrize("vad", ["energy", "none"])
def test_quiet_speech_on_an_offset_is_brought_to_the_level_of_python(vad, recording, tmp_path, run_script):
    sound = recording * np.float32(0.02) + np.float32(0.01)
    stream = {"kind": "cached", "endpointing": {"vad": vad}}
    case = Case(tmp_path, CHUNKS, {"sound": sound}, whole(sound, (BLOCK,)), stream=stream)
    (found,) = run_script("stream_calls.mjs", [case.question])
    expected = case.play()
    assert len(finals(expected)) > 5
    assert_same(found["answers"], expected)


@pytest.mark.parametrize("kind", ["windowed", "cached", "two-pass"])
def test_words_with_short_pauses_get_the_events_of_python_in_any_blocks(kind, tmp_path, run_script):
    random = np.random.default_rng(3)
    clips = [load_clip(path).samples for path in sorted((MODELS / "clips").glob("*.flac"))[:8]]
    sound = np.concatenate([part for clip in clips for part in (clip, np.zeros(random.integers(6_000, 9_000)))])
    sound = sound.astype(np.float32)
    blocks = [(len(sound),), (1_600,), tuple(random.integers(1, 8_000, 50).tolist())]
    cases = [Case(tmp_path, CHUNKS, {"sound": sound}, whole(sound, each), stream={"kind": kind}) for each in blocks]
    found = run_script("stream_calls.mjs", [case.question for case in cases])
    said = [list(map(exactly, events_of(each["answers"]))) for each in found]
    assert said == [list(map(exactly, events_of(cases[0].play())))] * len(cases)
    assert len(finals(found[0]["answers"])) > 4


def test_final_answers_of_a_busy_machine_are_those_of_an_idle_one(recording, tmp_path, run_script):
    sound = recording[: 10 * RATE_HZ]
    slow = [
        Case(tmp_path, WORDS, {"sound": sound}, whole(sound), stream={"chunkMs": 40}, tick_s=tick_s)
        for tick_s in (0.0, 0.03, 0.05)
    ]
    found = [answer["answers"] for answer in run_script("stream_calls.mjs", [case.question for case in slow])]
    assert [list(map(exactly, finals(each))) for each in found] == [list(map(exactly, finals(found[0])))] * 3
    assert len(events_of(found[2])) < len(events_of(found[0]))


@pytest.mark.parametrize(
    ("bundle", "stream", "reject_below", "reasons"),
    [
        (WORDS, {"kind": "windowed"}, 0.8, {"silence"}),
        (CHUNKS, {"kind": "cached", "endpointing": {"silenceS": 0.3, "startS": 0.1}}, 0.0, {"silence", "blank"}),
        (CHUNKS, {"kind": "cached", "endpointing": {"vad": "none", "longestS": 3}}, 0.0, {"blank", "length"}),
        (CHUNKS, {"kind": "two-pass", "endpointing": {"vad": "none", "longestS": 2}}, 0.0, {"blank", "length"}),
    ],
    ids=["unsure answers", "short silences", "cached without a detector", "two-pass without a detector"],
)
def test_a_noisy_minute_gets_the_events_of_python(bundle, stream, reject_below, reasons, minute, tmp_path, run_script):
    how = {"stream": stream, "reject_below": reject_below, "waits": False}
    case = Case(tmp_path, bundle, {"sound": minute}, whole(minute, (BLOCK,)), **how)
    (found,) = run_script("stream_calls.mjs", [case.question])
    expected = case.play()
    assert len(finals(expected)) >= 15
    assert reasons <= {event["reason"] for event in finals(expected)}
    assert any(event.get("rejected") for event in finals(expected)) == bool(reject_below)
    assert_same(found["answers"], expected)


@pytest.mark.parametrize("kind", ["windowed", "cached", "two-pass"])
def test_lost_sound_ends_an_utterance_as_in_python(kind, recording, tmp_path, run_script):
    lost_from = 63_200  # in the last letter of a word
    calls = [*feeds("sound", lost_from), ["gap", 1.2345], ["gap", 0.0]]
    calls += [*feeds("sound", 96_000, start=lost_from + 19_752), ["finish"]]
    case = Case(tmp_path, CHUNKS, {"sound": recording}, calls, stream={"kind": kind}, waits=False)
    (found,) = run_script("stream_calls.mjs", [case.question])
    expected = case.play()
    assert [event["reason"] for event in finals(expected)].count("gap") == 1
    assert_same(found["answers"], expected)
    assert found["clockS"] == 6.0


def test_streams_that_are_open_at_once_say_what_each_says_alone(recording, tmp_path, run_script):
    kinds = {"cached": 0, "two-pass": 8_000, "windowed": 50_000, "auto": 20_000}
    cases = []
    for kind, start in kinds.items():
        part = recording[start : start + 80_000]
        cases.append(
            Case(tmp_path, CHUNKS, {kind: part}, [*feeds(kind, len(part), (1_000,)), ["finish"]], stream={"kind": kind})
        )
    found = run_script("stream_calls.mjs", [case.question for case in cases])
    for here, case in zip(found, cases, strict=True):
        expected = case.play()
        assert finals(expected)
        assert_same(here["answers"], expected)


def test_sound_of_another_rate_gets_the_texts_of_python(recording, tmp_path, run_script):
    cases = []
    for rate_hz in (48_000, 44_100, 8_000):
        sound = soxr.resample(recording[: 9 * RATE_HZ], RATE_HZ, rate_hz).astype(np.float32)
        calls = [*feeds(str(rate_hz), len(sound), (rate_hz // 50, 171)), ["finish"]]
        cases.append(Case(tmp_path, CHUNKS, {str(rate_hz): sound}, calls, stream={"rateHz": rate_hz}))
    for here, case in zip(run_script("stream_calls.mjs", [case.question for case in cases]), cases, strict=True):
        expected = finals(case.play())
        assert len(expected) == 4
        for event, other in zip(finals(here["answers"]), expected, strict=True):
            same = ("text", "label", "reason")
            assert [event[name] for name in same] == [other[name] for name in same]
            assert event["start_s"] == pytest.approx(other["start_s"], abs=0.021)  # a frame of voice activity


def test_every_form_of_samples_is_taken_as_python_takes_it(recording, tmp_path, run_script):
    sound = recording[: 3 * RATE_HZ]
    integers = np.round(sound * 32_767).astype(np.int16)
    forms = {
        "int16": integers,
        "bytes": integers.astype("<i2").tobytes(),
        "float64": sound.astype(np.float64),
        "two channels": np.stack([sound, 0.5 * sound], axis=1),
        "channels that cancel each other out": np.stack([sound, -sound, 0.1 * sound], axis=1),
    }
    cases = []
    for name, form in forms.items():
        cases.append(Case(tmp_path, CHUNKS, {name: form}, [*feeds(name, len(form), (4_000,)), ["finish"]]))
    found = run_script("stream_calls.mjs", [case.question for case in cases])
    for here, case in zip(found, cases, strict=True):
        expected = case.play()
        assert finals(expected)
        assert_same(here["answers"], expected)


def test_a_bad_block_is_refused_in_the_words_of_python_and_the_stream_goes_on(recording, tmp_path, run_script):
    sound = recording[: 3 * RATE_HZ]
    sounds = {
        "sound": sound,
        "nan": np.array([0, np.nan, np.inf], np.float32),
        "infinite": np.array([0, 0, -np.inf]),
        "two": np.zeros((10, 2), np.float32),
        "many": np.zeros((10, 65), np.float32),
        "odd": b"odd",
        "loud": np.full(10, 1e13, np.float32),
    }
    bad = [["feed", name, 0, 10] for name in sounds if name != "sound"] + [["feed", "sound", 0, 10, 8_000]]
    calls = [["feed", "many", 0, 10], *feeds("sound", 30_000), *bad, *feeds("sound", len(sound), start=30_000)]
    calls += [["finish"], ["feed", "sound", 0, 10], ["gap", 1.0], ["finish"]]
    case = Case(tmp_path, CHUNKS, sounds, calls, waits=False)
    (found,) = run_script("stream_calls.mjs", [case.question])
    expected = case.play()
    errors = [answer for answer in expected if isinstance(answer, dict)]
    assert len(errors) == 1 + len(bad) + 3
    assert_same(found["answers"], expected)
    assert finals([answer for answer in expected if answer not in errors])


def test_a_stream_that_cannot_be_is_refused_in_the_words_of_python(tmp_path, run_script):
    cases = [
        Case(tmp_path, WORDS, {}, [], stream={"kind": "quick"}),
        Case(tmp_path, WORDS, {}, [], stream={"kind": "cached"}),
        Case(tmp_path, WORDS, {}, [], stream={"kind": "windowed", "chunkMs": 0}),
        Case(tmp_path, WORDS, {}, [], stream={"kind": "windowed", "rateHz": 100}),
        Case(tmp_path, CHUNKS, {}, [], stream={"kind": "cached", "chunkMs": 100}),
    ]
    for found, case in zip(run_script("stream_calls.mjs", [case.question for case in cases]), cases, strict=True):
        with pytest.raises(wav2edge.Wav2EdgeError) as raised:
            case.play()
        assert found == refusal(raised.value)


def test_impossible_options_are_refused_by_their_names_in_javascript(tmp_path, run_script):
    reasons = {
        "silenceS is -1; give seconds, 0 or more": {"endpointing": {"silenceS": -1}},
        "paddingS is inf; give seconds, 0 or more": {"endpointing": {"paddingS": float("inf")}},
        "longestS is 0.5; an utterance may be 1 s long at least": {"endpointing": {"longestS": 0.5}},
        "no voice activity detector 'ears'; choose energy, none": {"endpointing": {"vad": "ears"}},
        "no option 'silence'; choose from startS, paddingS, silenceS,": {"endpointing": {"silence": 1}},
        "no option 'chunk'; choose from rateHz, kind, chunkMs, endpointing,": {"chunk": 160},
    }
    questions = [Case(tmp_path, WORDS, {}, [], stream=stream).question for stream in reasons.values()]
    for found, reason in zip(run_script("stream_calls.mjs", questions), reasons, strict=True):
        assert found["error"]["message"].startswith(reason)
        assert (found["error"]["name"], found["error"]["exitCode"]) == ("UsageError", 2)
