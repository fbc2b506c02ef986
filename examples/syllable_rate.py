"""Diadochokinetic rate of /pa-ta-ka/, as a speech therapist counts it, from the word times of a result.

    python examples/syllable_rate.py models/words models/clips/zhong-guo-1.flac

The model must write one word per syllable. Word times are where CTC emits its tokens: compare them with a few clips
that were labelled by hand before you rely on them. models/words knows other words, and only shows how the program is
run. This is no medical device.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import wav2edge


@dataclass(frozen=True, kw_only=True)
class SyllableRate:
    """``rate_hz`` in syllables per second, ``interval_s`` the mean time between onsets, and ``variation``.

    ``variation`` is the coefficient of variation of the intervals (sample standard deviation over mean): 0 is perfectly
    regular, None means fewer than three syllables.
    """

    syllables: int
    rate_hz: float
    interval_s: float
    variation: float | None


def syllable_rate(words: Sequence[wav2edge.Word]) -> SyllableRate:
    """Rate and regularity over the intervals between the onsets of at least two syllables.

    Fletcher, "Time-by-count measurement of diadochokinetic syllable rate", J. Speech Hear. Res. 15(4), 1972.
    """
    onsets = [word.start_s for word in words]
    intervals = [after - before for before, after in pairwise(onsets)]
    if not intervals or min(intervals) <= 0:
        raise ValueError(f"{len(words)} syllables with onsets {onsets}: two or more are needed, each after the last")
    mean_s = statistics.mean(intervals)
    variation = statistics.stdev(intervals) / mean_s if len(intervals) > 1 else None
    return SyllableRate(syllables=len(words), rate_hz=1 / mean_s, interval_s=mean_s, variation=variation)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/syllable_rate.py BUNDLE CLIP")
    bundle, clip = sys.argv[1:]
    result = wav2edge.load(bundle)(clip)
    rate = syllable_rate(result.words or ())
    print(f"{result.text}: {rate.rate_hz:.2f} syllables/s, one each {rate.interval_s * 1e3:.0f} ms")
    if rate.variation is not None:
        print(f"coefficient of variation {rate.variation:.2f}")
