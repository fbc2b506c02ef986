"""Training throughput: clips per second of `wav2edge train` and of a bare PyTorch loop, in turns.

    python -m benchmarks.records.gpu.training_throughput --shape xlsr-53 --result benchmarks/results/gpu/throughput.json

Both loops train the same model with seeded random weights on the same clips of 1.5 s in batches of 8, with the feature
encoder frozen as in fine-tuning, in bfloat16 where the GPU supports it. Each round starts both from the same weights,
one after the other, and times them after a few warm-up updates. On CUDA the driver reports the share of time in which
the GPU was busy.
"""

from __future__ import annotations

import argparse
import copy
import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainerControl, TrainerState, Wav2Vec2Config

from benchmarks.records.command_recorder import CommandRecorder
from benchmarks.records.gpu.gpu_meter import GpuMeter, device_name
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge_compare.shapes.random_checkpoint import SHAPES
from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.data.clips import ClipDataset, Collator, Example, Targets
from wav2edge_train.data.corpus import Corpus
from wav2edge_train.data.vocabulary import Vocabulary, make_feature_extractor
from wav2edge_train.loop.arguments import resolve_precision, training_arguments, updates_only
from wav2edge_train.loop.training_run import Run
from wav2edge_train.model.base_model import BaseModel, build_model, preset_base_model
from wav2edge_train.model.joint_model import JointModel
from wav2edge_train.training_options import TrainingOptions

CLIP_S, BATCH_SIZE, CLIPS = 1.5, 8, 1_200
TARGETS = Targets(vocabulary=Vocabulary(tokens=("|", *"abcdefghij", "[UNK]", "[PAD]")), labels=("0", "1", "2", "3"))
TARGET_MINIMA = {"ratio": 0.9, "gpu_busy": 0.85}
"""Targets: this share of the bare loop's speed, and this share of time with the GPU busy."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One timed loop; ``gpu_busy`` is a share of the time, None without a driver."""

    loop: str
    clips_per_s: float
    gpu_busy: float | None


class Clock:
    """Times updates from the end of the ``warm_up``-th to the end of the last, with the device synchronised."""

    def __init__(self, warm_up: int, updates: int) -> None:
        self.warm_up, self.last = warm_up, warm_up + updates
        self._meter, self._started_s = GpuMeter(), 0.0
        self.elapsed_s = 0.0
        self.gpu_busy: float | None = None

    def tick(self, update: int) -> None:
        """Called at the end of each update."""
        if update == self.warm_up:
            _synchronize()
            self._meter.start()
            self._started_s = time.perf_counter()
        if update == self.last:
            _synchronize()
            self.elapsed_s = time.perf_counter() - self._started_s
            self.gpu_busy = self._meter.stop()

    def round(self, loop: str) -> Round:
        """The measurement."""
        clips = (self.last - self.warm_up) * BATCH_SIZE
        return Round(loop=loop, clips_per_s=clips / self.elapsed_s, gpu_busy=self.gpu_busy)


class Ticking(TrainerCallback):
    """Reports each update of the Trainer to a clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After each update."""
        self._clock.tick(state.global_step)


def base_of(shape: str) -> BaseModel:
    """A base with random weights: XLSR-53's shape, or a preset."""
    if shape not in SHAPES:
        return preset_base_model(shape)
    config = Wav2Vec2Config(**SHAPES[shape])
    return BaseModel(name=shape, config=config, extractor=make_feature_extractor(layer_norm=True))


def synthetic_corpus(base: BaseModel) -> Corpus:
    """Noise of 1.5 s with random labels, as many clips as the training split of ``words`` has."""
    rng = np.random.default_rng(0)
    samples = int(CLIP_S * SAMPLE_RATE_HZ)
    examples = [
        Example(
            samples=rng.standard_normal(samples).astype(np.float32),
            where=str(number),
            token_ids=tuple(int(token) for token in rng.integers(1, 11, 8)),
            class_id=number % 4,
        )
        for number in range(CLIPS)
    ]
    dataset = ClipDataset(examples, base.geometry)
    return Corpus(targets=TARGETS, training=dataset, validation=dataset, transcriptions=())


def our_loop(model: JointModel, base: BaseModel, corpus: Corpus, options: TrainingOptions, clock: Clock) -> None:
    """The Trainer of `wav2edge train`, which here neither evaluates nor saves."""
    with quiet_transformers(), TemporaryDirectory() as folder:
        arguments = training_arguments(
            Path(folder), base, corpus.targets, options, resolve_precision(options.precision)
        )
        trainer = Run(base=base, corpus=corpus, options=options).make_trainer(model, updates_only(arguments))
        trainer.add_callback(Ticking(clock))
        trainer.train()


def bare_loop(model: JointModel, base: BaseModel, corpus: Corpus, options: TrainingOptions, clock: Clock) -> None:
    """PyTorch alone: the loop that anybody would write first."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16}
    dtype = dtypes.get(resolve_precision(options.precision))
    scaler = torch.amp.GradScaler(device, enabled=dtype is torch.float16)
    model.to(device).train()  # type: ignore[arg-type]  # transformers wraps `to`
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, options.learning_rate, weight_decay=options.weight_decay, fused=True)
    for update, batch in enumerate(_batches(corpus, base, device), start=1):
        with torch.autocast(device, dtype, enabled=dtype is not None):
            loss = model(**batch).loss
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        clock.tick(update)
        if update == clock.last:
            return


LOOPS: dict[str, Callable[..., None]] = {"wav2edge": our_loop, "pytorch": bare_loop}


def _batches(corpus: Corpus, base: BaseModel, device: str) -> Iterator[dict[str, torch.Tensor]]:
    loader = DataLoader(
        corpus.training,
        BATCH_SIZE,
        shuffle=True,
        collate_fn=Collator(extractor=base.extractor),
        pin_memory=device == "cuda",
    )
    while True:
        for batch in loader:
            yield {name: part.to(device, non_blocking=True) for name, part in batch.items() if name != "indices"}


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def compare(shape: str, *, rounds: int, warm_up: int, updates: int) -> dict[str, Any]:
    """Every round of both loops, and the summary."""
    base, options = base_of(shape), _options(warm_up + updates)
    corpus = synthetic_corpus(base)
    torch.manual_seed(0)
    source = build_model(base, TARGETS, options, corpus.shortest_frames)
    found = []
    for number in range(rounds):
        for loop in LOOPS if number % 2 == 0 else reversed(LOOPS):
            clock = Clock(warm_up, updates)
            LOOPS[loop](copy.deepcopy(source), base, corpus, options, clock)
            found.append(clock.round(loop))
            print(f"{loop}: {found[-1].clips_per_s:.1f} clips/s, GPU busy {found[-1].gpu_busy}", file=sys.stderr)
            gc.collect()
            torch.cuda.empty_cache()
    return summary(found) | {
        "shape": shape,
        "parameters": sum(weights.numel() for weights in source.parameters()),
        "precision": resolve_precision(options.precision),
        "device": device_name(),
        "batch_size": BATCH_SIZE,
        "clip_s": CLIP_S,
        "updates": updates,
        "torch": torch.__version__,
    }


def summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """Medians of each loop, their ratio, and every round."""
    speeds = {loop: median(each.clips_per_s for each in rounds if each.loop == loop) for loop in LOOPS}
    busy = [each.gpu_busy for each in rounds if each.loop == "wav2edge" and each.gpu_busy is not None]
    return {
        "clips_per_s": speeds,
        "ratio": speeds["wav2edge"] / speeds["pytorch"],
        "gpu_busy": median(busy) if busy else None,
        "targets": TARGET_MINIMA,
        "rounds": [asdict(each) for each in rounds],
    }


def _options(updates: int) -> TrainingOptions:
    return TrainingOptions(
        batch_size=BATCH_SIZE, accumulation=1, max_steps=updates, warmup_steps=0, learning_rate=1e-5, keep="last"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=("xlsr-53", "medium", "small"), default="xlsr-53")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each loop (default: 3)")
    parser.add_argument("--warm-up", type=int, default=10, metavar="N", help="updates before the timing (default: 10)")
    parser.add_argument("--updates", type=int, default=60, metavar="N", help="timed updates (default: 60)")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)
    record = compare(options.shape, rounds=options.rounds, warm_up=options.warm_up, updates=options.updates)
    how = f"--shape {options.shape} --rounds {options.rounds} --warm-up {options.warm_up} --updates {options.updates}"
    command = f"python -m benchmarks.records.gpu.training_throughput {how}"
    CommandRecorder().write(
        options.result, {"what": "training throughput, random weights", "command": command, **record}
    )


if __name__ == "__main__":
    main()
