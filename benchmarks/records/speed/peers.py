"""Our bundle compared with every other system, with charts and tables.

    python -m benchmarks.records.speed.peers --shape xlsr-53 \
        --output build/peers-xlsr53 --result benchmarks/results/peers-xlsr53-avx2
    python -m benchmarks.records.speed.peers --checkpoint build/words/checkpoint --bundle build/words/bundle \
        --data DATA --output build/peers-words --result benchmarks/results/peers-words-small

With ``--shape`` the weights are random: the figures show speed, memory, size and logit error, never accuracy, and every
output notes it. The result is a folder: the report as Markdown with its charts, and the record without the samples.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.command_recorder import CommandRecorder

KEPT = ("report.md", "*.png")
MEASURED = (0, 1)
"""1 means that a system failed, which the report shows; the others were measured."""
SUMMARY, RECORD = "summary.json", "record.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, and keep the files that belong in the repository."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", metavar="NAME", help="random weights in this shape, instead of the next three")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR")
    parser.add_argument("--bundle", type=Path, metavar="BUNDLE", help="exported from the checkpoint")
    parser.add_argument("--data", type=Path, metavar="DATA", help="its test split is the evaluation set")
    parser.add_argument("--against", default="all", metavar="LIST")
    parser.add_argument("--seconds", default="0.5,1,3,10", metavar="LIST")
    parser.add_argument("--rounds", default="10", metavar="N")
    parser.add_argument("--threads", metavar="N")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for models and reports")
    parser.add_argument("--result", type=Path, required=True, metavar="DIR", help="the folder of the record")
    options = parser.parse_args(arguments)

    names = {options.checkpoint: "CHECKPOINT", options.bundle: "BUNDLE", options.data: "DATA", options.output: "OUTPUT"}
    recorder = CommandRecorder({path: name for path, name in names.items() if path is not None})
    words = ["--against", options.against, "--seconds", options.seconds, "--rounds", options.rounds]
    words += [] if options.threads is None else ["--threads", options.threads]
    if options.shape is not None:
        words += ["--shape", options.shape]
    else:
        words = [options.bundle, *words, "--checkpoint", options.checkpoint]
    words += [] if options.data is None else ["--data", options.data]
    recorder.run("compare", *words, "--output", options.output, accepted=MEASURED)
    keep(options.output, options.result, recorder)


def keep(output: Path, result: Path, recorder: CommandRecorder) -> None:
    """Copy a comparison's report and charts, and write its record, without this machine's paths."""
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir(parents=True)
    for path in (found for pattern in KEPT for found in sorted(output.glob(pattern))):
        if path.suffix == ".md":
            (result / path.name).write_text(recorder.anonymous(path.read_text(encoding="utf-8")), encoding="utf-8")
        else:
            shutil.copyfile(path, result / path.name)
    summary = json.loads(recorder.anonymous((output / SUMMARY).read_text(encoding="utf-8")))
    recorder.write(result / RECORD, summary)


if __name__ == "__main__":
    main()
