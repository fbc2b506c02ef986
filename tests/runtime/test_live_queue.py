"""The queue between a thread that records and one that recognises."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from wav2edge.errors import AudioError, DeviceError, UsageError, Wav2EdgeError
from wav2edge.inference.feeding.live_queue import Gap, LiveQueue

RATE_HZ = 4_000


@pytest.fixture
def queue():
    """A queue for one second of sound."""
    return LiveQueue(1.0, RATE_HZ)


def block(value: float, *, samples: int = 1_200) -> np.ndarray:
    return np.full(samples, value, np.float32)


def contents(queue: LiveQueue) -> list[float]:
    """The first sample of each block, and minus the seconds of each gap."""
    queue.close()
    return [-round(item.lost_s, 6) if isinstance(item, Gap) else float(item.ravel()[0]) for item in queue]


def test_blocks_come_in_their_order(queue):
    for value in (1, 2, 3):
        queue.put(block(value))
    assert queue.waiting_s == pytest.approx(0.9)
    assert contents(queue) == [1, 2, 3]
    assert (queue.waiting_s, queue.lost_s) == (0, 0)


def test_a_full_queue_drops_all_that_waits_for_one_gap_and_the_newest_block(queue):
    for value in (1, 2, 3, 4):
        queue.put(block(value))
    assert queue.lost_s == pytest.approx(0.9)
    assert contents(queue) == [-0.9, 4]


def test_nothing_is_lost_silently_when_it_is_full_again_and_again(queue):
    for value in range(100):
        queue.put(block(value))
    found = contents(queue)
    assert [value for value in found if value < 0] == [pytest.approx(-queue.lost_s)]
    assert queue.lost_s + 0.3 * sum(value >= 0 for value in found) == pytest.approx(30.0)


def test_a_block_that_is_longer_than_the_limit_is_taken(queue):
    queue.put(block(1, samples=20_000))
    assert contents(queue) == [1]


def test_what_the_recorder_lost_stands_where_it_was_lost(queue):
    queue.put(block(1))
    queue.lose(0.25)
    queue.lose(0.5)
    queue.put(block(2))
    queue.lose(-1.0)
    with pytest.raises(UsageError, match="lost_s is nan; give seconds, 0 or more"):
        queue.lose(float("nan"))
    assert queue.lost_s == 0.75
    assert contents(queue) == [1, -0.75, 2, 0]


def test_a_gap_that_is_dropped_is_part_of_the_longer_one(queue):
    queue.put(block(1))
    queue.lose(0.5)
    for value in (2, 3, 4):
        queue.put(block(value))
    assert contents(queue) == [-1.4, 4]
    assert queue.lost_s == pytest.approx(1.4)


def test_a_block_is_copied_because_a_sound_card_writes_over_it(queue):
    samples = block(1)
    queue.put(samples)
    samples[:] = 9
    assert contents(queue) == [1]


def test_channels_do_not_count_as_time(queue):
    queue.put(np.ones((2_000, 4)))
    assert queue.waiting_s == 0.5


def test_bytes_become_the_samples_that_they_hold(queue):
    queue.put(np.arange(2_000, dtype="<i2").tobytes())
    assert queue.waiting_s == 0.5
    np.testing.assert_array_equal(queue.get(), np.arange(2_000))


@pytest.mark.parametrize("sound", [b"odd", [0.1, 0.2], "ab", np.float32(1), np.zeros((2, 2, 2))], ids=repr)
def test_what_is_no_block_of_sound_is_refused_and_does_not_wait(queue, sound):
    with pytest.raises(Wav2EdgeError, match="queue: "):
        queue.put(sound)
    assert queue.waiting_items == 0


def test_the_error_that_closed_it_comes_after_the_last_block(queue):
    queue.put(block(1))
    queue.close(DeviceError("unplugged"))
    queue.close()
    queue.put(block(2))
    assert queue.get()[0] == 1
    with pytest.raises(DeviceError, match="unplugged"):
        queue.get()


def test_a_closed_queue_takes_no_more_and_says_that_it_is_at_its_end(queue):
    queue.close()
    queue.put(block(1))
    queue.lose(1.0)
    assert queue.get() is None
    assert queue.get() is None
    assert queue.lost_s == 0


def test_waiting_ends_after_the_time_that_was_given(queue):
    with pytest.raises(TimeoutError, match=r"no sound came in 0\.01 s"):
        queue.get(0.01)


def test_a_put_never_waits_while_another_thread_takes_its_time(queue):
    taken = []

    def recognise() -> None:
        for item in queue:
            taken.append(item)
            time.sleep(0.002)

    thread = threading.Thread(target=recognise)
    thread.start()
    for value in range(200):
        queue.put(block(value))
    queue.close()
    thread.join(10)
    assert not thread.is_alive()
    sound_s = sum(len(item) / RATE_HZ for item in taken if not isinstance(item, Gap))
    assert sound_s + sum(item.lost_s for item in taken if isinstance(item, Gap)) == pytest.approx(60.0)


@pytest.mark.parametrize("limit_s", [0, -1, float("nan")])
def test_a_queue_for_no_sound_is_wrong_usage(limit_s):
    with pytest.raises(UsageError, match="give more than 0 s"):
        LiveQueue(limit_s, RATE_HZ)


@pytest.mark.parametrize(("rate_hz", "error"), [(0, AudioError), (-1, AudioError), (None, UsageError)])
def test_a_queue_of_a_rate_that_no_sound_has_is_refused(rate_hz, error):
    with pytest.raises(error, match="queue: "):
        LiveQueue(1.0, rate_hz)
