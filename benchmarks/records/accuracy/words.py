"""Real speech: train from scratch, export, and evaluate checkpoint and bundle on unseen speakers.

    python -m benchmarks.records.accuracy.words DATA --output build/words --result benchmarks/results/words-small.json

DATA is an audiofolder with the splits train, validation and test, such as two-syllable Mandarin words whose label is
the tone of the last syllable. Every step is a command that a user would type.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.command_recorder import CommandRecorder, bundle_facts

VARIANTS = ("fp32", "int8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for checkpoint and bundle")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--preset", default="small")
    options = parser.parse_args(arguments)

    data, checkpoint, bundle = options.data, options.output / "checkpoint", options.output / "bundle"
    recorder = CommandRecorder({data: "DATA"})
    on_test = (data, "--split", "test")
    recorder.run("train", data, "--preset", options.preset, "--output", checkpoint)
    recorder.run("export", checkpoint, "--output", bundle, "--precision", "int8,fp32", "--data", *on_test)
    reports = {"pytorch": recorder.report("evaluate", checkpoint, *on_test, "--json")}
    for variant in VARIANTS:
        reports[variant] = recorder.report("evaluate", bundle, *on_test, "--variant", variant, "--json")
    latency = recorder.report("bench", bundle, "--json")
    record = {
        "what": f"preset {options.preset} from scratch; reports on the test split, whose speakers are unseen",
        "reports": reports,
        **bundle_facts(bundle),
        "bench": latency,
    }
    recorder.write(options.result, record)


if __name__ == "__main__":
    main()
