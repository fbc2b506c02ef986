"""Our bundle beside every other system, as a user compares them, with the charts and tables that the README shows.

    python -m benchmarks.records.speed.peers --shape xlsr-53 \
        --output build/peers-xlsr53 --result benchmarks/results/peers-xlsr53
    python -m benchmarks.records.speed.peers --checkpoint build/words/checkpoint --bundle build/words/bundle \
        --data DATA --output build/peers-words --result benchmarks/results/peers-words-small

Without a checkpoint the weights are random: they prove speed, memory, size and logit error, never accuracy, and every
output says so. RESULT becomes a folder: the report as Markdown with its charts, and the record without the samples.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.command_recorder import Road

KEPT = ("report.md", "latency*.png", "accuracy*.png", "memory*.png", "section-*.png")
ANSWERED = (0, 1)
"""1 says that a system failed, which the report shows; the others are measured."""
SUMMARY, RECORD = "summary.json", "record.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, and keep what belongs into the repository."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", metavar="NAME", help="random weights in this shape, instead of the next three")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR")
    parser.add_argument("--bundle", type=Path, metavar="BUNDLE", help="what was exported from it")
    parser.add_argument("--data", type=Path, metavar="DATA", help="its test split is what answers are judged on")
    parser.add_argument("--against", default="all", metavar="LIST")
    parser.add_argument("--seconds", default="0.5,1,3,10", metavar="LIST")
    parser.add_argument("--rounds", default="10", metavar="N")
    parser.add_argument("--threads", metavar="N")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where models and reports go")
    parser.add_argument("--result", type=Path, required=True, metavar="DIR", help="the folder of the record")
    options = parser.parse_args(arguments)

    names = {options.checkpoint: "CHECKPOINT", options.bundle: "BUNDLE", options.data: "DATA", options.output: "OUTPUT"}
    road = Road({path: name for path, name in names.items() if path is not None})
    asked = ["--against", options.against, "--seconds", options.seconds, "--rounds", options.rounds]
    asked += [] if options.threads is None else ["--threads", options.threads]
    if options.shape is not None:
        asked += ["--shape", options.shape]
    else:
        asked = [options.bundle, *asked, "--checkpoint", options.checkpoint]
    asked += [] if options.data is None else ["--data", options.data]
    road.run("compare", *asked, "--output", options.output, accepted=ANSWERED)
    keep(options.output, options.result, road)


def keep(output: Path, result: Path, road: Road) -> None:
    """Copy a comparison's report and charts, and write its record; nothing of it names this machine's folders."""
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir(parents=True)
    for path in (found for pattern in KEPT for found in sorted(output.glob(pattern))):
        if path.suffix == ".md":
            (result / path.name).write_text(road.anonymous(path.read_text(encoding="utf-8")), encoding="utf-8")
        else:
            shutil.copyfile(path, result / path.name)
    summary = json.loads(road.anonymous((output / SUMMARY).read_text(encoding="utf-8")))
    road.write(result / RECORD, summary)


if __name__ == "__main__":
    main()
