"""The road at full size without a checkpoint: XLSR-53's shape with seeded random weights.

    python -m benchmarks.records.speed.xlsr_shape --output build/xlsr --result benchmarks/results/xlsr53-shape.json

Random weights prove size, speed and logit error, never accuracy, and the record says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.command_recorder import Road, bundle_facts
from wav2edge_compare.shapes.random_checkpoint import write_random_checkpoint

SHAPE = "xlsr-53"


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, export, measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where checkpoint and bundle go")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    checkpoint, bundle = options.output / "checkpoint", options.output / "bundle"
    write_random_checkpoint(checkpoint, SHAPE)
    road = Road()
    road.run("export", checkpoint, "--output", bundle, "--precision", "int8,fp32")
    latency = road.report("bench", bundle, "--runs", "10", "--json")
    record = {
        "what": "XLSR-53's shape with seeded random weights: size, speed and logit error, never accuracy",
        **bundle_facts(bundle),
        "bench": latency,
    }
    road.write(options.result, record)


if __name__ == "__main__":
    main()
