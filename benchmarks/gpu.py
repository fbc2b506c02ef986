"""Everything that wants a GPU, with one command: train at full size, distill, syllables, throughput; keep the records.

    python -m benchmarks.gpu WORDS --syllables SYLLABLES --output build/gpu --result benchmarks/results/gpu
    make gpu WORDS=... SYLLABLES=... BASE=xlsr-53/

WORDS and SYLLABLES are audiofolders with the splits train, validation and test. ``--base`` is a local copy of
facebook/wav2vec2-large-xlsr-53; without it XLSR-53's shape starts from seeded random weights. A trial whose checkpoint
is already there is judged again and not trained again; one that broke off is resumed. ``--rehearse`` runs the same
commands with tiny models and a few updates, on any machine: it proves the script and no figure.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import training
from benchmarks.gpu_meter import device_name
from benchmarks.road import Road, with_interval
from wav2edge.errors import UsageError
from wav2edge_export.shapes import write_random_checkpoint

KEPT = ("README.md", "report.json", "comparison.json", "loss.png", "accuracy.png", "confusion.png")
"""What a record keeps of a checkpoint: its card, figures and charts, never its weights."""

FULL_SIZE = ("--augmentation", "full", "--schedule", "cosine", "--accumulation", "1", "--batch-size", "16")
FROM_RANDOM = ("--no-freeze-feature-encoder", "--learning-rate", "2e-4", "--epochs", "40", "--warmup-steps", "600")
FINE_TUNED = ("--learning-rate", "1e-4", "--epochs", "24", "--warmup-steps", "200")
REHEARSED = ("--max-steps", "2", "--eval-steps", "1", "--batch-size", "4", "--warmup-steps", "0")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A model that is trained and judged: the words of its training command, and the splits it is judged on."""

    name: str
    verb: str
    words: tuple[str | Path, ...]
    data: Path
    splits: tuple[str, ...] = ("test",)


def trials(options: argparse.Namespace) -> Iterator[Trial]:
    """What is trained, in order; a student comes after its teacher."""
    small = REHEARSED if options.rehearse else ()
    medium = "tiny" if options.rehearse else "medium"
    hearing = ("--hearing-steps", "2") if options.rehearse else ()
    if options.rehearse:
        start: tuple[str | Path, ...] = ("--preset", "tiny", *hearing)
    elif options.base:
        start = ("--base", options.base, *FULL_SIZE, *FINE_TUNED)
    else:
        start = ("--base", options.output / "random-xlsr-53", *FULL_SIZE, *FROM_RANDOM)
    yield Trial(name="words-xlsr53", verb="train", words=(*start, *small), data=options.words)
    yield Trial(name="words-medium", verb="train", words=("--preset", medium, *hearing, *small), data=options.words)
    for teacher, layers in (("words-xlsr53", 12), ("words-medium", 4)):
        yield Trial(
            name=f"{teacher}-student",
            verb="distill",
            words=(options.output / teacher, "--encoder-layers", "1" if options.rehearse else str(layers), *small),
            data=options.words,
        )
    if options.syllables:
        yield Trial(
            name="syllables-medium",
            verb="train",
            words=("--preset", medium, *hearing, *small),
            data=options.syllables,
            splits=("validation", "test"),
        )


def run_trial(road: Road, trial: Trial, output: Path, result: Path) -> None:
    """Train unless that is done, judge, and keep card, figures and charts."""
    checkpoint = output / trial.name
    words = trial.words if trial.verb == "train" else trial.words[1:]
    command = (trial.verb, *(trial.words[:1] if trial.verb == "distill" else ()), trial.data, *words)
    if not (checkpoint / "report.json").is_file():
        resume = ("--resume",) if (checkpoint / "checkpoints").is_dir() else ()
        road.run(*command, "--output", checkpoint, *resume)
    reports = {
        split: with_interval(road.report("evaluate", checkpoint, trial.data, "--split", split, "--json"))
        for split in trial.splits
    }
    folder = result / trial.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (checkpoint / name).is_file():
            shutil.copy(checkpoint / name, folder / name)
    road.write(
        folder / "record.json",
        {"training": road.command(*command, "--output", checkpoint), "device": device_name(), "reports": reports},
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", type=Path, metavar="WORDS")
    parser.add_argument("--syllables", type=Path, metavar="SYLLABLES")
    parser.add_argument("--base", type=Path, metavar="CHECKPOINT", help="local copy of XLSR-53 to fine-tune")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where checkpoints go")
    parser.add_argument("--result", type=Path, required=True, metavar="DIR", help="where the records go")
    parser.add_argument("--rehearse", action="store_true", help="tiny models and a few updates, on any machine")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every trial and the throughput, each with a record of its own."""
    options = parse(arguments)
    if not options.rehearse and not torch.cuda.is_available():
        raise SystemExit(str(UsageError("no CUDA GPU here; run it where there is one, or add --rehearse")))

    names = {options.words: "WORDS", options.syllables: "SYLLABLES", options.base: "XLSR-53", options.output: "OUTPUT"}
    shape = ("--shape", "small", "--rounds", "1", "--warm-up", "1", "--updates", "2") if options.rehearse else ()
    training.main([*shape, "--result", str(options.result / "throughput.json")])
    if not options.rehearse and not options.base and not (options.output / "random-xlsr-53").is_dir():
        write_random_checkpoint(options.output / "random-xlsr-53", "xlsr-53")
    for trial in trials(options):
        road = Road({path: name for path, name in names.items() if path is not None})
        run_trial(road, trial, options.output, options.result)


if __name__ == "__main__":
    main()
