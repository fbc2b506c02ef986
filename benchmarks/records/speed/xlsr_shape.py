"""Full size without a checkpoint: XLSR-53's shape with seeded random weights, exported and measured.

    python -m benchmarks.records.speed.xlsr_shape --output build/xlsr --result benchmarks/results/xlsr53-shape.json

Random weights show size, speed and logit error, never accuracy, and the record notes it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.command_recorder import CommandRecorder, bundle_facts
from wav2edge_compare.shapes.random_checkpoint import write_random_checkpoint

SHAPE = "xlsr-53"


def main(arguments: Sequence[str] | None = None) -> None:
    """Export, measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for checkpoint and bundle")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    checkpoint, bundle = options.output / "checkpoint", options.output / "bundle"
    write_random_checkpoint(checkpoint, SHAPE)
    recorder = CommandRecorder()
    recorder.run("export", checkpoint, "--output", bundle, "--precision", "int8,fp32")
    latency = recorder.report("bench", bundle, "--runs", "10", "--json")
    record = {
        "what": "XLSR-53's shape with seeded random weights: size, speed and logit error, never accuracy",
        **bundle_facts(bundle),
        "bench": latency,
    }
    recorder.write(options.result, record)


if __name__ == "__main__":
    main()
