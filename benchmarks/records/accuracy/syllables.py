"""How well tones are told apart on a speaker never heard: what was tried, each with its interval.

    python -m benchmarks.records.accuracy.syllables DATA --words CHECKPOINT --output build/syllables \
        --result benchmarks/results/syllables.json

DATA holds single Mandarin syllables, label the tone: two splits of one speaker (``train`` and ``validation``, the
held-out fifth) and one of another (``test``). With about 400 syllables in 1,300 clips the transcription is an open
vocabulary, and its WER says so; the tone is what can be learnt. CHECKPOINT is a model of 20 million parameters that
learnt whole words first. A trial whose checkpoint is already under the output is judged again and not trained again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.command_recorder import Road, with_interval

AFTER_WORDS = (
    *("--no-freeze-feature-encoder", "--epochs", "3", "--learning-rate", "3e-4", "--batch-size", "16"),
    *("--accumulation", "1", "--warmup-steps", "50", "--schedule", "cosine", "--weight-decay", "0.05"),
    *("--eval-steps", "166", "--augmentation", "full"),
)
JUDGED_ON = {"validation": "held-out fifth of the speaker who was learnt from", "test": "speaker never heard"}


def trials(words: Path | None) -> dict[str, tuple[str | Path, ...]]:
    """What is tried, by name: the words of a training command."""
    tried: dict[str, tuple[str | Path, ...]] = {
        "small": ("--preset", "small", "--epochs", "24"),
        "small-tones-only": ("--preset", "small", "--epochs", "24", "--heads", "classification"),
    }
    if words is not None:
        tried["medium-after-words"] = ("--base", words, *AFTER_WORDS)
    return tried


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, judge, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--words", type=Path, metavar="CHECKPOINT", help="to start from, in the trial that does so")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where checkpoints go")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    names = {options.data: "DATA", options.words: "CHECKPOINT", options.output: "OUTPUT"}
    road = Road({path: name for path, name in names.items() if path is not None})
    found = {}
    for name, training in trials(options.words).items():
        checkpoint = options.output / name
        if not (checkpoint / "report.json").is_file():
            road.run("train", options.data, *training, "--output", checkpoint)
        reports = {
            split: road.report("evaluate", checkpoint, options.data, "--split", split, "--json") for split in JUDGED_ON
        }
        found[name] = {
            "training": road.command("train", options.data, *training, "--output", checkpoint),
            **{split: {"on": JUDGED_ON[split], **with_interval(report)} for split, report in reports.items()},
        }
    road.write(options.result, {"what": "tones of single syllables, intervals at 95 %", "trials": found})


if __name__ == "__main__":
    main()
