"""An engine that runs for weeks: its memory stays flat, and it is idle between calls."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

import wav2edge
from benchmarks.records.speed.memory import (
    MemorySample,
    drawn_durations_s,
    growth_per_clip_bytes,
    idle_cpu_s,
    memory_over_clips,
)

ROOT = Path(__file__).parents[2]
CLIPS, SETTLED = 200, 80
DURATIONS_S = drawn_durations_s(CLIPS, 0.1, 2.0)
MEAN_CLIP_BYTES = 1.05 * 16_000 * 4
# A clip's samples are the least that a call could leave behind. What varies between runs is far below a tenth.
ALLOWED_BYTES = MEAN_CLIP_BYTES / 10
PAUSE_S = 0.5

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def growth(engine) -> float:
    samples = list(memory_over_clips(engine, DURATIONS_S, every=2))
    return growth_per_clip_bytes(samples, settled=SETTLED)


@linux
@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_memory_does_not_grow_over_clips_of_ever_new_lengths(bundle, variant):
    script = "import sys, wav2edge; from tests.runtime.test_memory import growth;"
    script += "print(growth(wav2edge.load(sys.argv[1], variant=sys.argv[2])))"
    # A process of its own: in this one threads of other tests take memory meanwhile.
    command = [sys.executable, "-c", script, str(bundle), variant]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < ALLOWED_BYTES


@linux
def test_a_leak_of_each_clips_samples_would_be_seen(engine):
    kept = []

    def leaky(clip, *, rate_hz):
        page = mmap.mmap(-1, clip.nbytes)  # never out of what earlier tests gave back to the heap
        page.write(clip.tobytes())
        kept.append(page)
        return engine(clip, rate_hz=rate_hz)

    assert growth(leaky) > 5 * ALLOWED_BYTES


def test_the_slope_leaves_out_what_is_taken_until_the_process_has_settled():
    looks = [
        MemorySample(clips=clips, resident_bytes=min(clips, 50) * 1_000 + clips, anonymous_bytes=0)
        for clips in range(10, 210, 10)
    ]
    assert growth_per_clip_bytes(looks, settled=50) == pytest.approx(1.0)
    assert growth_per_clip_bytes(looks, settled=0) > 100


def test_an_engine_that_waits_after_a_call_takes_no_processor_time(bundle, second):
    engine = wav2edge.load(bundle, threads=2)
    engine(second, rate_hz=16_000)
    assert idle_cpu_s(PAUSE_S) < 0.05 * PAUSE_S  # one spinning thread would take all of the pause
