"""What streams of the package for JavaScript are made of gives what the Python package's parts give."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.runtime.test_causal_voice_activity import noise, speech
from tests.runtime.test_silero import graph  # noqa: F401
from wav2edge.audio.causal_voice_activity import CausalEnergyDetector
from wav2edge.audio.silero import SileroDetector
from wav2edge.inference.feeding.live_queue import Gap, LiveQueue
from wav2edge.inference.streaming.endpoints import Endpointer, Endpointing

pytestmark = pytest.mark.slow

RATE_HZ = 16_000
BLOCKS = [1, 333, 0, 5_000, 512]
OPTIONS = {"start_s": 0.08, "silence_s": 0.3}
CALLS = [["put", 1, 1_200], ["get"], ["lose", 0.25], ["lose", 0.5], ["put", 2, 1_600], ["lose", -1.0]]
CALLS += [["put", 3, 1_160], ["put", 4, 2_400]]
"""Calls of a queue for one second at 4 kHz; the last one makes it drop what waits."""


def sounds() -> list[np.ndarray]:
    """Speech-like sound at many levels in noise and in digital silence; noise whose level jumps; single clicks."""
    random = np.random.default_rng(5)
    silence = np.zeros(2 * RATE_HZ, np.float32)
    talk = [noise(1, -60), speech(1), silence, speech(0.5, -35), noise(4, -40, 1), speech(0.7), noise(1, -75, 2)]
    jumps = [noise(0.37, level, seed) for seed, level in enumerate(random.uniform(-90, -10, 60))]
    clicks = np.zeros(6 * RATE_HZ, np.float32)
    clicks[random.integers(0, len(clicks), 40)] = random.uniform(-1, 1, 40)
    rounded = np.round(noise(2, -85, 3) * 32_768) / 32_768
    return [np.concatenate(talk), np.concatenate(jumps), np.concatenate([clicks, rounded]).astype(np.float32)]


@pytest.fixture(scope="module")
def answers(graph, tmp_path_factory, run_script):  # noqa: F811
    """What the parts say in JavaScript, by what is asked."""
    paths = [tmp_path_factory.mktemp("sounds") / f"{place}.f32" for place in range(3)]
    for path, sound in zip(paths, sounds(), strict=True):
        sound.tofile(path)
    question = {"blocks": BLOCKS, "endpointing": {"startS": 0.08, "silenceS": 0.3}, "silero": graph, "calls": CALLS}
    return SimpleNamespace(**run_script("stream_parts.mjs", {"sounds": list(map(str, paths)), **question}))


def test_voice_activity_has_the_scores_of_python_on_the_same_side_of_each_threshold(answers):
    for found, sound in zip(answers.energy, sounds(), strict=True):
        expected = CausalEnergyDetector().feed(sound)
        # Far below the noise a score is the logarithm of a rounding error.
        assert np.maximum(found, -20) == pytest.approx(np.maximum(expected, -20), abs=1e-3)
        for threshold in (CausalEnergyDetector.starts_above, CausalEnergyDetector.ends_below):
            np.testing.assert_array_equal(np.array(found) > threshold, expected > threshold)
    assert any(score > CausalEnergyDetector.starts_above for score in answers.energy[0])


def test_end_points_are_at_the_samples_of_python(answers):
    for found, sound in zip(answers.changes, sounds(), strict=True):
        changes = Endpointer(Endpointing(**OPTIONS), CausalEnergyDetector()).feed(sound)
        assert found == [vars(change) for change in changes]
    assert len(answers.changes[0]) >= 4


def test_sileros_network_scores_as_in_python(answers, graph):  # noqa: F811
    expected = SileroDetector(graph).feed(sounds()[0])
    assert len(expected) == len(sounds()[0]) // 512
    assert answers.silero == pytest.approx(expected.tolist(), abs=1e-5)
    assert answers.again == answers.silero


def test_a_queue_drops_and_says_what_python_drops_and_says(answers):
    queue, first = LiveQueue(1.0, 4_000), []
    for name, *values in CALLS:
        if name == "put":
            queue.put(np.full(values[1], values[0], np.float32))
        elif name == "lose":
            queue.lose(*values)
        else:
            first.append(queue.get())
    expected = {"lostS": queue.lost_s, "waitingS": queue.waiting_s}
    queue.close()
    items = [{"lostS": item.lost_s} if isinstance(item, Gap) else item.tolist() for item in [*first, *queue]]
    assert answers.queued == {**expected, "items": items}
    assert expected["lostS"] > 1
