"""True word times: the demo's model trained with and without the times at which words begin.

    python -m benchmarks.records.accuracy.word_starts DATA --output build/word-starts \
        --result benchmarks/results/word-starts-demo.json

DATA is the corpus of ``wav2edge demo``, whose rows hold ``word_starts_s``. A trial with a complete checkpoint under the
output is only evaluated again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.command_recorder import CommandRecorder

TRIALS = {"bound to word starts": (), "plain CTC": ("--no-follow-word-starts",)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, evaluate, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the checkpoints")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    recorder = CommandRecorder({options.data: "DATA", options.output: "OUTPUT"})
    found = {}
    for name, chosen in TRIALS.items():
        checkpoint = options.output / name.replace(" ", "-")
        command = recorder.train_once("train", options.data, "--preset", "tiny", *chosen, checkpoint=checkpoint)
        report = recorder.report("evaluate", checkpoint, options.data, "--split", "validation", "--json")
        found[name] = {"training": command, "validation": report}
    recorder.write(
        options.result, {"what": "preset tiny on the demo's corpus, voices unseen in training", "trials": found}
    )


if __name__ == "__main__":
    main()
