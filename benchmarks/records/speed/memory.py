"""Memory of one process over many clips of varying lengths, and its processor time while idle.

    python -m benchmarks.records.speed.memory BUNDLE --clips 2000 --result benchmarks/results/memory.json

Writes the record and a chart next to it. The clips are noise: their content does not change the memory they take. At
XLSR-53's shape a clip of half a minute takes seconds, so use ``--clips 30 --settled 10 --every 1`` there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import wav2edge
from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.benchmark.environment import environment
from wav2edge.evaluation.benchmark.resident_memory import peak_memory_bytes, resident_sizes
from wav2edge.output.documents import write_json
from wav2edge.output.progress import track

PAUSE_S = 5.0
MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class MemorySample:
    """The process after ``clips`` clips; resident pages that are not anonymous belong to files, such as libraries."""

    clips: int
    resident_bytes: int
    anonymous_bytes: int


def memory_after(clips: int) -> MemorySample:
    """The sizes that Linux reports for this process."""
    sizes = resident_sizes()
    return MemorySample(clips=clips, resident_bytes=sizes["VmRSS"], anonymous_bytes=sizes["RssAnon"])


def drawn_durations_s(clips: int, shortest_s: float, longest_s: float, *, seed: int = 0) -> list[float]:
    """Lengths drawn uniformly between two bounds."""
    return np.random.default_rng(seed).uniform(shortest_s, longest_s, clips).tolist()


def noise(duration_s: float, *, seed: int) -> npt.NDArray[np.float32]:
    """``[samples] float32``, made without a larger copy, so that the clip is all that the benchmark adds."""
    samples = np.random.default_rng(seed).standard_normal(round(duration_s * SAMPLE_RATE_HZ), np.float32)
    samples *= 0.1
    return samples


def memory_over_clips(engine: wav2edge.Engine, durations_s: Iterable[float], *, every: int) -> Iterator[MemorySample]:
    """Run one clip of each length, and sample the process after every ``every`` clips."""
    for done, duration_s in enumerate(durations_s, start=1):
        engine(noise(duration_s, seed=done), rate_hz=SAMPLE_RATE_HZ)
        if done % every == 0:
            yield memory_after(done)


def growth_per_clip_bytes(samples: Sequence[MemorySample], *, settled: int) -> float:
    """Slope of the resident size by least squares, from the clip ``settled`` on.

    Until then the allocators take the memory that the longest clips need, and keep it.
    """
    late = [sample for sample in samples if sample.clips > settled]
    return float(np.polyfit([each.clips for each in late], [each.resident_bytes for each in late], 1)[0])


def idle_cpu_s(pause_s: float) -> float:
    """User and system time that all threads of this process take while it is idle."""
    before_s = time.process_time()
    time.sleep(pause_s)
    return time.process_time() - before_s


def draw(samples: Sequence[MemorySample], *, settled: int, title: str, path: Path) -> None:
    """Chart of the resident size over the clips."""
    import matplotlib  # only now: its memory must not count as the engine's

    matplotlib.use("Agg")
    from matplotlib import pyplot

    clips = [sample.clips for sample in samples]
    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    parts = {"resident": "resident_bytes", "anonymous (heap and arena)": "anonymous_bytes"}
    for label, name in parts.items():
        axes.plot(clips, [getattr(sample, name) / MEBIBYTE for sample in samples], label=label, linewidth=1.2)
    axes.axvline(settled, color="grey", linestyle=":", label=f"slope from clip {settled} on")
    axes.set(xlabel="clips", ylabel="MiB", title=title, ylim=(0, None), xlim=(0, clips[-1]))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], list[MemorySample]]:
    """The record and its samples."""
    engine = wav2edge.load(options.bundle, variant=options.variant, threads=options.threads)
    manifest = Bundle.open(options.bundle).manifest
    loaded = memory_after(0)
    durations_s = drawn_durations_s(options.clips, options.shortest, options.longest)
    found = memory_over_clips(engine, durations_s, every=options.every)
    samples = list(track(found, "running clips", options.clips // options.every))
    record = {
        "what": f"{options.clips} clips of {options.shortest:g} to {options.longest:g} s, lengths drawn uniformly",
        "command": "python -m benchmarks.records.speed.memory BUNDLE"
        f" --clips {options.clips} --shortest {options.shortest:g} --longest {options.longest:g}"
        f" --settled {options.settled} --every {options.every}",
        "bundle": manifest.name,
        "parameters": manifest.parameters,
        "variant": engine.precision,
        "loaded_bytes": loaded.resident_bytes,
        "settled_bytes": next(each.resident_bytes for each in samples if each.clips >= options.settled),
        "last_bytes": samples[-1].resident_bytes,
        "peak_bytes": peak_memory_bytes(),
        "growth_per_clip_bytes": growth_per_clip_bytes(samples, settled=options.settled),
        "idle": {"pause_s": PAUSE_S, "cpu_s": idle_cpu_s(PAUSE_S)},
        "samples": [asdict(sample) for sample in samples],
        "environment": environment(),
    }
    return record, samples


def summary(record: dict[str, Any]) -> str:
    """One line for a reader."""
    sizes = {name: f"{record[f'{name}_bytes'] / MEBIBYTE:.0f}" for name in ("loaded", "settled", "last", "peak")}
    return (
        f"{record['bundle']} {record['variant']}, {record['what']}: {sizes['loaded']} MiB loaded,"
        f" {sizes['settled']} settled, {sizes['last']} at the end, peak {sizes['peak']};"
        f" {record['growth_per_clip_bytes'] / 1024:+.2f} KiB per clip;"
        f" {record['idle']['cpu_s']:.3f} s of processor time in {record['idle']['pause_s']:g} idle seconds"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write the record and the chart, and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--clips", type=int, default=2_000, metavar="N")
    parser.add_argument("--shortest", type=float, default=0.1, metavar="S", help="seconds (default: 0.1)")
    parser.add_argument("--longest", type=float, default=30.0, metavar="S", help="seconds (default: 30)")
    parser.add_argument(
        "--settled", type=int, default=500, metavar="N", help="clips before the slope is fitted (default: 500)"
    )
    parser.add_argument("--every", type=int, default=20, metavar="N", help="clips between two samples (default: 20)")
    parser.add_argument("--variant", metavar="NAME")
    parser.add_argument("--threads", type=int, metavar="N")
    options = parser.parse_args(arguments)
    if options.settled + 2 * options.every > options.clips:
        parser.error(f"a slope needs two samples after clip {options.settled}: give more --clips or fewer --settled")

    record, samples = measure(options)
    options.result.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.result, record)
    title = f"{record['bundle']} {record['variant']}: {options.clips} clips of {options.shortest:g} to"
    draw(
        samples,
        settled=options.settled,
        title=f"{title} {options.longest:g} s",
        path=options.result.with_suffix(".png"),
    )
    print(summary(record), file=sys.stderr)


if __name__ == "__main__":
    main()
