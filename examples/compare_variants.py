"""Compare two variants of a bundle on your clips.

Which transcripts and classes change, and how long does each take?

    python examples/compare_variants.py bundle fp32 int8 recordings/*.wav
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import wav2edge


@dataclass(frozen=True, kw_only=True)
class VariantRun:
    """What one variant gave for each clip, and its median latency per clip, files read included."""

    results: tuple[tuple[str | None, str | None], ...]
    median_s: float


def run(bundle: str, variant: str, clips: Sequence[str]) -> VariantRun:
    """Recognise all clips with one variant, after a warm-up on the first."""
    engine = wav2edge.load(bundle, variant=variant)
    engine(clips[0])
    results, seconds = [], []
    for clip in clips:
        started = time.perf_counter()
        result = engine(clip)
        seconds.append(time.perf_counter() - started)
        results.append((result.text, result.label))
    return VariantRun(results=tuple(results), median_s=statistics.median(seconds))


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit("usage: python examples/compare_variants.py BUNDLE VARIANT VARIANT CLIP ...")
    bundle, first, second, *clips = sys.argv[1:]
    runs = {variant: run(bundle, variant, clips) for variant in (first, second)}
    changed = 0
    for clip, before, after in zip(clips, runs[first].results, runs[second].results, strict=True):
        if before != after:
            changed += 1
            print(f"{clip}: {before} -> {after}")
    print(f"{changed} of {len(clips)} results changed")
    for variant, each in runs.items():
        print(f"{variant}: {each.median_s * 1e3:.1f} ms per clip (median)")
