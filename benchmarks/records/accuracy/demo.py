"""The demo as a newcomer meets it, timed.

python -m benchmarks.records.accuracy.demo --output build/demo --result benchmarks/results/demo.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.command_recorder import CommandRecorder, bundle_facts

VARIANTS = ("fp32", "int8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo, evaluate what it wrote, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the demo's folder")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    corpus, bundle = options.output / "corpus", options.output / "bundle"
    recorder = CommandRecorder()
    recorder.run("demo", "--output", options.output)
    reports = {
        variant: recorder.report("evaluate", bundle, corpus, "--split", "validation", "--variant", variant, "--json")
        for variant in VARIANTS
    }
    record = {
        "what": "preset tiny on synthesised speech; reports on voices never heard in training",
        "reports": reports,
        **bundle_facts(bundle),
    }
    recorder.write(options.result, record)


if __name__ == "__main__":
    main()
