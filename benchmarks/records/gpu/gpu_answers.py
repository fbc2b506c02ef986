"""ONNX Runtime on CUDA answers a bundle like the CPU: logits, transcripts and labels, alone and padded together.

    python -m benchmarks.records.gpu.gpu_answers BUNDLE CLIPS --result benchmarks/results/gpu/answers.json

BUNDLE was exported with ``--operators gpu --precision fp16,fp32``; CLIPS is a folder of recordings, of which every
n-th is taken. The reference is its fp32 graph on the CPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import wav2edge
from benchmarks.records.command_recorder import CommandRecorder
from benchmarks.records.gpu.gpu_meter import device_name
from wav2edge.audio.clip import load_clip

COMMAND = "python -m benchmarks.records.gpu.gpu_answers BUNDLE WORDS --result"
COMMAND += " benchmarks/results/gpu/answers.json"
CLIPS, CALLS = 12, 50


def answers(bundle: Path, clips: Path, device: str) -> dict[str, Any]:
    """Differences from the CPU and the time of a call, for each variant."""
    paths = sorted(clips.rglob("*.flac")) + sorted(clips.rglob("*.wav"))
    samples = [load_clip(path).samples for path in paths[:: max(1, len(paths) // CLIPS)][:CLIPS]]
    cpu = wav2edge.load(bundle, variant="fp32")
    wanted = [cpu.outputs(each) for each in samples]
    told = [cpu(each, rate_hz=16_000) for each in samples]
    found = {}
    for variant in ("fp16", "fp32"):
        engine = wav2edge.load(bundle, variant=variant, device=device)
        alone = [[engine.outputs(each) for _ in range(3)][-1] for each in samples]  # the third call is replayed
        same = [engine(each, rate_hz=16_000) for each in samples]
        found[variant] = {
            "relative_error": max(map(_difference, alone, wanted)),
            "relative_error_padded": max(map(_difference, engine.batch_outputs(samples), wanted)),
            "same_transcripts": sum(a.text == b.text for a, b in zip(same, told, strict=True)),
            "same_labels": sum(a.label == b.label for a, b in zip(same, told, strict=True)),
            "call_ms": _call_ms(engine, samples[0]),
        }
    return {"clips": len(samples), "device": device_name(), "cpu_call_ms": _call_ms(cpu, samples[0]), "variants": found}


def _difference(outputs: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    """The largest difference of any output, relative to the largest value that is wanted of it."""
    return max(float(np.abs(outputs[name] - wanted[name]).max() / np.abs(wanted[name]).max()) for name in wanted)


def _call_ms(engine: wav2edge.Engine, samples: np.ndarray) -> float:
    engine.warm_up([len(samples) / 16_000])
    seconds = []
    for _ in range(CALLS):
        started_s = time.perf_counter()
        engine(samples, rate_hz=16_000)
        seconds.append(time.perf_counter() - started_s)
    return 1e3 * median(seconds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("clips", type=Path, metavar="CLIPS")
    parser.add_argument("--device", default="cuda", help="where to run (default: cuda)")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)
    record = answers(options.bundle, options.clips, options.device)
    CommandRecorder().write(
        options.result, {"what": "a bundle on a GPU against the CPU, trained weights", "command": COMMAND, **record}
    )


if __name__ == "__main__":
    main()
