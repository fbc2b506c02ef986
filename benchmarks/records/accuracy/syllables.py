"""Tone classification of single syllables on an unseen speaker: what was tried, each with its interval.

    python -m benchmarks.records.accuracy.syllables DATA --words CHECKPOINT --output build/syllables \
        --result benchmarks/results/syllables.json

DATA holds single Mandarin syllables labelled with their tone: two splits of one speaker (``train`` and ``validation``,
the held-out fifth) and one of another (``test``). With about 400 syllables in 1,300 clips transcription is an
open-vocabulary task with a high WER; the tone can be learnt. CHECKPOINT is a model of 20 million parameters trained on
whole words. A trial with a complete checkpoint under the output is only evaluated again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.command_recorder import CommandRecorder, with_interval

AFTER_WORDS = (
    *("--no-freeze-feature-encoder", "--epochs", "3", "--learning-rate", "3e-4", "--batch-size", "16"),
    *("--accumulation", "1", "--warmup-steps", "50", "--schedule", "cosine", "--weight-decay", "0.05"),
    *("--eval-steps", "166", "--augmentation", "full"),
)
EVALUATED_ON = {"validation": "held-out fifth of the training speaker", "test": "unseen speaker"}


def trials(words: Path | None) -> dict[str, tuple[str | Path, ...]]:
    """Trials by name: the options of a training command."""
    options: dict[str, tuple[str | Path, ...]] = {
        "small": ("--preset", "small", "--epochs", "24"),
        "small-tones-only": ("--preset", "small", "--epochs", "24", "--heads", "classification"),
    }
    if words is not None:
        options["medium-after-words"] = ("--base", words, *AFTER_WORDS)
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, evaluate, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--words", type=Path, metavar="CHECKPOINT", help="checkpoint that the last trial starts from")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the checkpoints")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    names = {options.data: "DATA", options.words: "CHECKPOINT", options.output: "OUTPUT"}
    recorder = CommandRecorder({path: name for path, name in names.items() if path is not None})
    found = {}
    for name, training in trials(options.words).items():
        checkpoint = options.output / name
        command = recorder.train_once("train", options.data, *training, checkpoint=checkpoint)
        reports = {
            split: recorder.report("evaluate", checkpoint, options.data, "--split", split, "--json")
            for split in EVALUATED_ON
        }
        found[name] = {
            "training": command,
            **{split: {"on": EVALUATED_ON[split], **with_interval(report)} for split, report in reports.items()},
        }
    recorder.write(options.result, {"what": "tones of single syllables, intervals at 95 %", "trials": found})


if __name__ == "__main__":
    main()
