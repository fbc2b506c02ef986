"""Latency on a GPU at XLSR-53's shape, random weights: clips in, logits out, against PyTorch, in turns.

    python -m benchmarks.records.gpu.gpu_latency --output build/gpu --result benchmarks/results/gpu/latency.json

Every system is given clips as NumPy arrays and gives logits as NumPy arrays; normalisation of the waveform is part of
it. PyTorch computes in fp16, eagerly and through ``torch.compile``, which compiles batches of 32 only: it takes a
minute for each shape. With ``--gpu-after`` and ``--measure-after`` it waits for files, so that a script can train
meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.records.command_recorder import CommandRecorder
from benchmarks.records.gpu.gpu_meter import device_name
from wav2edge.inference.engine import Engine
from wav2edge_compare.shapes.random_checkpoint import write_random_checkpoint
from wav2edge_export.quantization.fp16 import convert_to_fp16
from wav2edge_export.rewrite.onnx_export import export_graph
from wav2edge_train.checkpoint.loading import Checkpoint, load_checkpoint

COMMAND = "python -m benchmarks.records.gpu.gpu_latency --output build/gpu --result benchmarks/results/gpu/"
CASES = ((1, 1.0), (1, 10.0), (32, 1.0), (32, 10.0))
"""Clips in a batch, and their length in seconds."""
COMPILED = CASES[2:]
CALLS = {1: 30, 32: 10}
System = Callable[[Sequence[np.ndarray]], np.ndarray]


def prepare(folder: Path, shape: str) -> Checkpoint:
    """Write the checkpoint and both graphs, unless they are there."""
    if not (folder / "checkpoint").is_dir():
        write_random_checkpoint(folder / "checkpoint", shape)
    checkpoint = load_checkpoint(str(folder / "checkpoint"))
    if not (folder / "fp16.onnx").is_file():
        export_graph(checkpoint, folder / "fp32.onnx", operators="gpu", batched=True)
        convert_to_fp16(folder / "fp32.onnx", folder / "fp16.onnx")
    return checkpoint


def ours(graph: Path, checkpoint: Checkpoint, device: str) -> System:
    """The engine of a graph."""
    engine = Engine.from_graph(
        graph, heads=checkpoint.heads, geometry=checkpoint.geometry, batched=True, for_gpu=True, device=device
    )
    return lambda clips: np.stack([each["logits"] for each in engine.batch_outputs(clips)])


def pytorch(model: Any, device: str, dtype: torch.dtype) -> System:
    """A model of transformers, with the waveform normalised on the GPU."""

    @torch.inference_mode()
    def run(clips: Sequence[np.ndarray]) -> np.ndarray:
        waveforms = torch.from_numpy(np.stack(clips)).to(device)
        variance, mean = torch.var_mean(waveforms, dim=1, correction=0, keepdim=True)
        logits = model(((waveforms - mean) / (variance + 1e-7).sqrt()).to(dtype)).logits
        return np.asarray(logits.float().cpu().numpy())

    return run


def clips_of(case: tuple[int, float]) -> list[np.ndarray]:
    """Noise."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(int(case[1] * 16_000)).astype(np.float32) for _ in range(case[0])]


def in_turns(systems: Mapping[str, System], case: tuple[int, float], rounds: int) -> dict[str, Any]:
    """Median time of a call of each system over rounds, in which they take turns."""
    clips, seconds = clips_of(case), {name: list[float]() for name in systems}
    for run in systems.values():
        for _ in range(3):
            run(clips)
    for number in range(rounds):
        for name in list(systems)[:: 1 if number % 2 == 0 else -1]:
            for _ in range(CALLS.get(case[0], 3)):
                started_s = time.perf_counter()
                systems[name](clips)
                seconds[name].append(time.perf_counter() - started_s)
    found = {name: 1e3 * median(each) for name, each in seconds.items()}
    ratios = {name: found["wav2edge fp16"] / each for name, each in found.items() if name != "wav2edge fp16"}
    return {"batch": case[0], "clip_s": case[1], "median_ms": found, "wav2edge_fp16_over": ratios}


def compiled(
    model: Any, cases: Sequence[tuple[int, float]], device: str, dtype: torch.dtype, until: Path | None
) -> tuple[System, list[tuple[int, float]]]:
    """The compiled model, and the shapes that it was compiled for before a file existed: the first one in any case."""
    run, made = pytorch(torch.compile(model, dynamic=False), device, dtype), list[tuple[int, float]]()
    for case in cases:
        if made and until is not None and until.exists():
            break
        made.append(case)
        started_s = time.perf_counter()
        run(clips_of(case))
        print(f"torch.compile for {case}: {time.perf_counter() - started_s:.0f} s", file=sys.stderr, flush=True)
    return run, made


def wait_for(path: Path | None) -> None:
    """Until a file exists."""
    while path is not None and not path.exists():
        time.sleep(0.2)


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The record, again after each case."""
    folder = options.output / "latency"
    checkpoint = prepare(folder, options.shape)
    wait_for(options.gpu_after)
    device, dtype = options.device, torch.float16 if options.device == "cuda" else torch.float32
    model = checkpoint.model.eval().to(device)
    one = clips_of((1, 1.0))
    wanted = pytorch(model, device, torch.float32)(one)
    model = model.to(dtype)
    cases = [case for case in CASES if options.smallest_batch <= case[0] <= options.largest_batch]
    wanted_fast = [case for case in cases if case in COMPILED]
    fast, fast_cases = compiled(model, wanted_fast, device, dtype, options.measure_after)
    wait_for(options.measure_after)
    systems: dict[str, System] = {
        "wav2edge fp16": ours(folder / "fp16.onnx", checkpoint, device),
        "wav2edge fp32": ours(folder / "fp32.onnx", checkpoint, device),
        "pytorch fp16": pytorch(model, device, dtype),
    }
    scale = float(np.abs(wanted).max())
    record: dict[str, Any] = {
        "shape": options.shape,
        "device": device_name(),
        "torch": torch.__version__,
        "relative_error_of_fp32_pytorch": {
            name: float(np.abs(run(one) - wanted).max()) / scale for name, run in systems.items()
        },
        "cases": [],
    }
    for case in cases:
        both = {**systems, "torch.compile fp16": fast} if case in fast_cases else systems
        record["cases"].append(in_turns(both, case, options.rounds))
        yield record


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="xlsr-53", help="xlsr-53 or base (default: xlsr-53)")
    parser.add_argument("--device", default="cuda", help="where to run (default: cuda)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each system (default: 3)")
    parser.add_argument(
        "--largest-batch", type=int, default=32, metavar="N", help="leave out larger ones (default: 32)"
    )
    parser.add_argument(
        "--smallest-batch", type=int, default=1, metavar="N", help="leave out smaller ones (default: 1)"
    )
    parser.add_argument("--gpu-after", type=Path, metavar="FILE", help="use the GPU when this file exists")
    parser.add_argument("--measure-after", type=Path, metavar="FILE", help="measure when this file exists")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the graphs go")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)
    chosen = f" --smallest-batch {options.smallest_batch}" if options.smallest_batch > 1 else ""
    for record in measure(options):
        CommandRecorder().write(
            options.result,
            {"what": "latency on a GPU, random weights", "command": COMMAND + options.result.name + chosen, **record},
        )


if __name__ == "__main__":
    main()
