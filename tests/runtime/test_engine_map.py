from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.runtime import tiny_bundle
from wav2edge import AudioError, BundleError, Result, UsageError
from wav2edge.inference.sessions.graph_session import Calls

LENGTHS = (400, 401, 719, 720, 3_000, 16_000, 16_319, 31_999)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [tiny_bundle.noise(length, seed=length) for length in LENGTHS]


def refusal(action, kind: type[Exception] = BundleError) -> str:
    with pytest.raises(kind) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_map_gives_results_in_order_as_one_by_one(engine, clips):
    assert list(engine.map(clips, rate_hz=16_000)) == [engine(clip, rate_hz=16_000) for clip in clips]


def test_map_of_nothing_is_nothing(engine):
    assert list(engine.map([])) == []


def test_map_takes_only_a_few_clips_ahead(engine, clips):
    taken = 0

    def endless():
        nonlocal taken
        for clip in itertools.cycle(clips):
            taken += 1
            yield clip

    ahead = [taken - done for done, _ in enumerate(itertools.islice(engine.map(endless(), rate_hz=16_000), 50))]
    assert max(ahead) <= 4


def test_map_takes_nothing_before_it_is_iterated(engine):
    def untouchable():
        raise AssertionError("taken")
        yield

    engine.map(untouchable())


def test_map_gives_errors_in_their_place_on_request(engine, clips, tmp_path):
    sources = [clips[0], np.zeros(16_000), tmp_path / "gone.wav", clips[1]]
    found = list(engine.map(sources, rate_hz=16_000, errors="return"))
    assert [type(each) for each in found] == [Result, AudioError, AudioError, Result]
    assert "silent" in str(found[1])
    assert "gone.wav: no such file" in str(found[2])
    assert found[3] == engine(clips[1], rate_hz=16_000)


def test_a_file_with_a_rate_of_its_own_is_refused_another(engine, clip):
    message = refusal(lambda: engine(clip, rate_hz=8_000), UsageError)
    assert message == f"{clip}: a file has its own sample rate; leave rate_hz out"


def test_map_gives_its_rate_to_arrays_and_leaves_files_their_own(engine, save, clips):
    path = save("slow.wav", clips[5], rate_hz=8_000, subtype="FLOAT")
    from_file, from_array = engine.map([path, clips[5]], rate_hz=16_000)
    assert (from_file.duration_s, from_array.duration_s) == (2.0, 1.0)


def test_map_ends_at_the_first_error_otherwise(engine, clips):
    results = engine.map([clips[0], np.zeros(16_000), clips[1]], rate_hz=16_000)
    assert next(results) == engine(clips[0], rate_hz=16_000)
    with pytest.raises(AudioError, match="silent"):
        next(results)
    assert list(results) == []


def test_an_error_of_the_callers_own_generator_comes_through(engine, clips):
    def failing():
        yield clips[0]
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(engine.map(failing(), rate_hz=16_000, errors="return"))


@pytest.mark.parametrize("options", [{"workers": 1}, {"workers": 3}, {"batch_size": 4}], ids=str)
def test_what_a_failing_generator_gave_is_answered_before_its_error(batched, clips, options):
    def failing():
        yield from clips[:5]
        raise KeyError("mine")

    results = batched.map(failing(), rate_hz=16_000, **options)
    assert len([next(results) for _ in range(5)]) == 5
    with pytest.raises(KeyError, match="mine"):
        next(results)


def test_a_generator_may_be_used_further_where_map_was_left_early(engine, clips):
    given = (clip for clip in clips)
    results = engine.map(given, rate_hz=16_000, workers=1)
    next(results)
    results.close()
    assert next(given) is clips[2]


def test_errors_can_be_raised_or_returned_and_nothing_else(engine):
    with pytest.raises(UsageError, match=r"errors is 'ignore'; choose from 'raise', 'return'"):
        engine.map([], errors="ignore")


def test_map_may_be_left_early(engine, clips):
    results = engine.map(itertools.cycle(clips), rate_hz=16_000)
    next(results)
    results.close()
    assert engine(clips[0], rate_hz=16_000).duration_s == 0.025


def test_map_terminates_its_calls_when_its_caller_is_interrupted(engine, clips, monkeypatch):
    made = []

    class Observed(Calls):
        def __init__(self, device, **options):
            super().__init__(device, **options)
            made.append(self)

    monkeypatch.setattr("wav2edge.inference.sessions.graph_session.Calls", Observed)

    def pressing_ctrl_c():
        yield clips[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(engine.map(pressing_ctrl_c(), rate_hz=16_000))
    (calls,) = made
    assert calls.options(0).terminate
    assert calls.options(10**9).terminate
