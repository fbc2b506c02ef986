"""Everything that needs a GPU, with one command: full-size training, distillation, syllables, throughput, records.

    python -m benchmarks.records.gpu WORDS --syllables SYLLABLES --output build/gpu --result benchmarks/results/gpu
    make gpu WORDS=... SYLLABLES=... BASE=xlsr-53/

WORDS and SYLLABLES are audiofolders with the splits train, validation and test. ``--base`` is a local copy of
facebook/wav2vec2-large-xlsr-53; without it XLSR-53's shape starts from seeded random weights. A trial with a complete
checkpoint is only evaluated again; an interrupted one is resumed. ``--rehearse`` runs the same commands with tiny
models and a few updates on any machine: it checks the script and gives no figures.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.records import training_throughput
from benchmarks.records.command_recorder import CommandRecorder, with_interval
from benchmarks.records.gpu_meter import device_name
from wav2edge.errors import UsageError
from wav2edge_compare.shapes.random_checkpoint import write_random_checkpoint

KEPT = ("README.md", "report.json", "comparison.json", "loss.png", "accuracy.png", "confusion.png")
"""Files of a checkpoint that its record keeps: card, figures and charts, never weights."""

FULL_SIZE = ("--augmentation", "full", "--schedule", "cosine", "--accumulation", "1", "--batch-size", "16")
FROM_RANDOM = ("--no-freeze-feature-encoder", "--learning-rate", "2e-4", "--epochs", "40", "--warmup-steps", "600")
FINE_TUNED = ("--learning-rate", "1e-4", "--epochs", "24", "--warmup-steps", "200")
REHEARSAL = ("--max-steps", "2", "--eval-steps", "1", "--batch-size", "4", "--warmup-steps", "0")
RANDOM = "random-xlsr-53"
"""Folder in the output for the random weights that XLSR-53's shape starts from without ``--base``."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A model to train, or to distill where it has a teacher: its options, and the splits it is evaluated on."""

    name: str
    words: tuple[str | Path, ...]
    data: Path
    teacher: Path | None = None
    splits: tuple[str, ...] = ("test",)

    @property
    def command(self) -> tuple[str | Path, ...]:
        """The `wav2edge` command without `--output`."""
        verb = ("train",) if self.teacher is None else ("distill", self.teacher)
        return (*verb, self.data, *self.words)


def trials(options: argparse.Namespace) -> Iterator[Trial]:
    """The models to train, in order; a student comes after its teacher."""
    medium: tuple[str | Path, ...] = ("--preset", "medium")
    full_size = full_size_words(options)
    students: dict[str, tuple[str, ...]] = {
        "words-xlsr53": ("--encoder-layers", "12"),
        "words-medium": ("--encoder-layers", "4"),
    }
    if options.rehearse:
        medium = full_size = ("--preset", "tiny", "--feature-pretrain-steps", "2", *REHEARSAL)
        students = dict.fromkeys(students, ("--encoder-layers", "1", *REHEARSAL))
    yield Trial(name="words-xlsr53", words=full_size, data=options.words)
    yield Trial(name="words-medium", words=medium, data=options.words)
    for teacher, words in students.items():
        yield Trial(name=f"{teacher}-student", words=words, data=options.words, teacher=options.output / teacher)
    if options.syllables:
        yield Trial(name="syllables-medium", words=medium, data=options.syllables, splits=("validation", "test"))


def full_size_words(options: argparse.Namespace) -> tuple[str | Path, ...]:
    """Options to fine-tune XLSR-53, or to train its shape from random weights where there is no copy of it."""
    if options.base:
        return ("--base", options.base, *FULL_SIZE, *FINE_TUNED)
    return ("--base", options.output / RANDOM, *FULL_SIZE, *FROM_RANDOM)


def run_trial(recorder: CommandRecorder, trial: Trial, output: Path, result: Path) -> None:
    """Train unless the checkpoint is complete, evaluate, and keep card, figures and charts."""
    checkpoint = output / trial.name
    training = recorder.train_once(*trial.command, checkpoint=checkpoint)
    reports = {
        split: with_interval(recorder.report("evaluate", checkpoint, trial.data, "--split", split, "--json"))
        for split in trial.splits
    }
    folder = result / trial.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (checkpoint / name).is_file():
            shutil.copy(checkpoint / name, folder / name)
    recorder.write(
        folder / "record.json",
        {"training": training, "device": device_name(), "reports": reports},
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
    """Measure the throughput and run every trial, each with a record of its own."""
    options = parse(arguments)
    if not options.rehearse and not torch.cuda.is_available():
        raise SystemExit(str(UsageError("no CUDA GPU here; run it where there is one, or add --rehearse")))

    names = {options.words: "WORDS", options.syllables: "SYLLABLES", options.base: "XLSR-53", options.output: "OUTPUT"}
    shape = ("--shape", "small", "--rounds", "1", "--warm-up", "1", "--updates", "2") if options.rehearse else ()
    training_throughput.main([*shape, "--result", str(options.result / "throughput.json")])
    if not options.rehearse and not options.base and not (options.output / RANDOM).is_dir():
        write_random_checkpoint(options.output / RANDOM, "xlsr-53")
    for trial in trials(options):
        recorder = CommandRecorder({path: name for path, name in names.items() if path is not None})
        run_trial(recorder, trial, options.output, options.result)


if __name__ == "__main__":
    main()
