"""How near each operator class of a bundle comes to the peak of this machine.

    python -m benchmarks.records.speed.roofline BUNDLE --result benchmarks/results/roofline.json

Multiply-accumulates per second of every MatMul and bytes per second of everything else, each with its roof: large
MatMuls and a large memory copy, measured in the same process. Random weights have the same roofline as trained ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from wav2edge.bundle.folder import Bundle
from wav2edge.output.documents import write_json
from wav2edge.output.progress import Progress
from wav2edge_compare.roofline import Roofline, roofline

DURATIONS_S = (0.5, 1.0, 3.0, 10.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder written by `wav2edge export`")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--variant", action="append", metavar="NAME", help="variant to measure (default: each)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads per run (default: physical cores)")
    parser.add_argument("--durations", default=DURATIONS_S, type=_durations_s, metavar="LIST", help="clip lengths in s")
    options = parser.parse_args(arguments)

    bundle = Bundle.open(options.bundle)
    measured: dict[str, Roofline] = {}
    names = options.variant or list(bundle.manifest.variants)
    with Progress("measuring", len(names) * (len(options.durations) + 1)) as progress:
        for name in names:
            graph = bundle.check_size(bundle.variant(name).file)
            measured[name] = roofline(graph, options.durations, options.threads, advance=progress.advance)
    for name, each in measured.items():
        print(f"## {name}\n\n{each.table()}\n")
    record = {"model": bundle.manifest.name, "variants": {name: each.to_dict() for name, each in measured.items()}}
    options.result.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.result, record)


def _durations_s(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


if __name__ == "__main__":
    main()
