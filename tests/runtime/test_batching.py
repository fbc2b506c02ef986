"""Clips in padded batches: recognised as alone, in their order, each failing by itself, within bounded memory."""

from __future__ import annotations

import itertools

import numpy as np
import onnxruntime
import pytest

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge import AudioError, DeviceError, Result
from wav2edge.audio.clip import Clip
from wav2edge.inference.many_clips import BATCHES_AHEAD, MAX_BATCH_S, in_batches

SHRINKAGE = "memory.enable_memory_arena_shrinkage"


@pytest.fixture(scope="module")
def alone(bundle):
    """What a bare session of the unmasked graph gives for one clip."""
    session = onnxruntime.InferenceSession(bundle / "onnx/model.onnx", providers=["CPUExecutionProvider"])
    names = ("logits", "class_logits")
    return lambda clip: dict(zip(names, session.run(names, {"input_values": clip[None]}), strict=True))


def assert_same(found, expected):
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values[0], atol=1e-4)


def test_every_clip_of_a_padded_batch_is_recognised_as_if_alone(batched, clips, alone):
    for clip, found in zip(clips, batched.batch_outputs(clips), strict=True):
        assert_same(found, alone(clip))


def test_a_clip_is_recognised_alike_next_to_any_neighbour(batched, second, alone):
    expected = alone(second)
    for neighbour in (1e-4 * tiny_bundle.noise(50_000), np.full(50_000, 1e3, np.float32), second[:400]):
        assert_same(batched.batch_outputs([neighbour, second])[1], expected)


def test_a_batched_variant_recognises_one_clip_like_any_other_variant(batched, engine, second):
    found, expected = batched(second, rate_hz=16_000), engine(second, rate_hz=16_000)
    assert (found.text, found.label) == (expected.text, expected.label)


def test_a_clip_too_short_for_a_frame_is_lengthened_before_it_is_padded(batched, second):
    short = tiny_bundle.noise(100)
    expected = batched.outputs(short)
    for name, values in batched.batch_outputs([second, short])[1].items():
        np.testing.assert_allclose(values, expected[name], atol=1e-5)


@pytest.mark.parametrize("batch_size", [2, 3, 50])
def test_map_in_batches_gives_results_in_the_order_of_the_clips(batched, clips, batch_size):
    found = list(batched.map(clips * 2, rate_hz=16_000, batch_size=batch_size))
    for result, clip in zip(found, clips * 2, strict=True):
        expected = batched(clip, rate_hz=16_000)
        assert (result.text, result.label, result.duration_s) == (expected.text, expected.label, expected.duration_s)


def test_clips_of_similar_length_share_a_batch():
    lengths = [5, 1, 4, 2, 3, 6, 8, 7]
    clips = [Clip(samples=np.zeros(length, np.float32)) for length in lengths]
    batches = []

    def recognise(batch):
        batches.append([len(clip.samples) for clip in batch])
        return [Result(duration_s=float(len(clip.samples))) for clip in batch]

    assert [found.duration_s for found in in_batches(clips, 2, recognise)] == lengths
    assert batches == [[1, 2], [3, 4], [5, 6], [7, 8]]


class Observed:
    """A session that remembers the shapes and the options of its calls."""

    def __init__(self, session):
        self.session, self.shapes, self.options = session, [], []

    def run(self, names, feeds, options=None):
        self.shapes.append(feeds["input_values"].shape)
        self.options.append(options)
        return self.session.run(names, feeds, options)


def batches_of(durations_s, batch_size, max_batch_s):
    """Lengths of the clips of each batch, in seconds."""
    clips = [Clip(samples=np.zeros(round(each * 16_000), np.float32)) for each in durations_s]
    batches = []

    def recognise(batch):
        batches.append([clip.duration_s for clip in batch])
        return [Result(duration_s=clip.duration_s) for clip in batch]

    outcomes = in_batches(clips, batch_size, recognise, max_batch_s=max_batch_s)
    assert [each.duration_s for each in outcomes] == durations_s
    return batches


def test_a_batch_holds_no_more_seconds_than_allowed_padding_included():
    assert batches_of([1, 2, 3, 4, 1, 2], 4, 8.0) == [[1, 1, 2, 2], [3, 4]]


def test_a_clip_longer_than_a_batch_may_be_is_recognised_by_itself():
    assert batches_of([1, 1, 1, 100], 4, 30.0) == [[1, 1, 1], [100]]


def test_the_clips_that_wait_are_bounded_in_seconds():
    taken = []

    def reading():
        for place in range(100):
            taken.append(place)
            yield Clip(samples=np.zeros(16_000, np.float32))

    outcomes = in_batches(reading(), 8, lambda batch: [Result(duration_s=1.0)] * len(batch), max_batch_s=2.0)
    next(outcomes)
    assert len(taken) == 2 * BATCHES_AHEAD


def test_a_batch_that_keeps_to_the_bound_is_run_and_a_long_clip_among_short_ones_runs_alone(
    batched_bundle, monkeypatch
):
    engine = wav2edge.load(batched_bundle)
    observed = Observed(engine._session._session)
    monkeypatch.setattr(engine._session, "_session", observed)
    short, long = tiny_bundle.noise(16_000), tiny_bundle.noise(round(MAX_BATCH_S * 16_000) - 16_000)
    assert len(list(engine.map([short, short, long, short], rate_hz=16_000, batch_size=4, segments=False))) == 4
    assert observed.shapes == [(3, len(short)), (1, len(long))]


def test_clips_that_cannot_be_read_fail_alone_and_in_their_place(batched, clips, tmp_path):
    sources = [clips[0], np.zeros(16_000), tmp_path / "gone.wav", clips[1], clips[2]]
    found = list(batched.map(sources, rate_hz=16_000, errors="return", batch_size=4))
    assert [type(each) for each in found] == [Result, AudioError, AudioError, Result, Result]
    assert "silent" in str(found[1])
    assert "gone.wav: no such file" in str(found[2])


def test_map_in_batches_ends_at_the_first_error_otherwise(batched, clips):
    results = batched.map([clips[0], np.zeros(16_000), clips[1]], rate_hz=16_000, batch_size=2)
    assert next(results).duration_s == 1.0
    with pytest.raises(AudioError, match="silent"):
        next(results)


def test_map_in_batches_holds_a_few_batches_only(batched, clips):
    taken = 0

    def endless():
        nonlocal taken
        for clip in itertools.cycle(clips):
            taken += 1
            yield clip

    results = itertools.islice(batched.map(endless(), rate_hz=16_000, batch_size=3), 100)
    assert max(taken - done for done, _ in enumerate(results)) <= 3 * BATCHES_AHEAD + 3


class Broken:
    """Stands in for a session that fails on long batches and gives NaN for the first clip of short ones."""

    def run(self, names, feeds, options=None):
        batch, samples = feeds["input_values"].shape
        if samples > 20_000:
            raise RuntimeError("Failed to allocate\nmemory for requested buffer")
        values = [np.zeros((batch, 50, 8), np.float32), np.zeros((batch, 4), np.float32)]
        values[1][0] = np.nan
        return values


class Small:
    """Stands in for a device with memory for 20,000 samples."""

    def run(self, names, feeds, options=None):
        batch, samples = feeds["input_values"].shape
        if batch * samples > 20_000:
            raise MemoryError("cannot allocate")
        return [np.zeros((batch, 50, 8), np.float32), np.zeros((batch, 4), np.float32)]


def test_clips_of_a_batch_that_fails_are_recognised_one_by_one(batched_bundle, monkeypatch):
    engine = wav2edge.load(batched_bundle)
    monkeypatch.setattr(engine._session, "_session", Small())
    sources = [tiny_bundle.noise(length) for length in (16_000, 24_000, 15_000, 14_000)]
    found = list(engine.map(sources, rate_hz=16_000, errors="return", batch_size=4))
    assert [type(each) for each in found] == [Result, DeviceError, Result, Result]
    assert str(found[1]).startswith("cpu failed on 1.5 s of audio: cannot allocate")


def test_a_device_that_fails_on_a_batch_says_how_many_clips_it_held(batched_bundle, monkeypatch):
    engine = wav2edge.load(batched_bundle)
    monkeypatch.setattr(engine._session, "_session", Broken())
    with pytest.raises(DeviceError) as caught:
        engine.batch_outputs([tiny_bundle.noise(length) for length in (16_000, 32_000)])
    assert str(caught.value).startswith("cpu failed on 2 clips of up to 2.0 s of audio: Failed to allocate memory for")
    assert "a smaller batch" in str(caught.value)


def test_memory_goes_back_after_a_batch_that_is_long_with_its_padding(batched_bundle):
    engine = wav2edge.load(batched_bundle)
    observed = Observed(engine._session._session)
    engine._session._session = observed
    for lengths in ((128_000, 1_000), (100_000, 100_000)):  # 16 s with padding, and 12.5 s
        engine.batch_outputs([tiny_bundle.noise(length) for length in lengths])
    shrinking, usual = observed.options
    assert shrinking.get_run_config_entry(SHRINKAGE) == "cpu:0"
    with pytest.raises(RuntimeError, match=SHRINKAGE):  # the entry is not there
        usual.get_run_config_entry(SHRINKAGE)


def test_a_device_that_fails_on_one_batch_does_not_fail_the_clips_of_the_next(batched_bundle, monkeypatch):
    engine = wav2edge.load(batched_bundle)
    monkeypatch.setattr(engine._session, "_session", Broken())
    sources = [tiny_bundle.noise(length) for length in (16_000, 32_000, 16_000, 32_000)]
    found = list(engine.map(sources, rate_hz=16_000, errors="return", batch_size=2))
    assert [type(each) for each in found] == [DeviceError, DeviceError, Result, DeviceError]
    assert "gave NaN" in str(found[0])
    assert str(found[1]).startswith("cpu failed on 2.0 s of audio: Failed to allocate memory for")
