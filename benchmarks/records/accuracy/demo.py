"""The demo as a newcomer meets it, timed; with ``--seeds`` several, so that luck shows.

python -m benchmarks.records.accuracy.demo --output build/demo --result benchmarks/results/demo.json
python -m benchmarks.records.accuracy.demo --seeds 1,2,3,4,5 \
    --output build/demo-seeds --result benchmarks/results/demo-seeds.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.records.command_recorder import CommandRecorder, bundle_certificates, bundle_facts

VARIANTS = ("fp32", "int8")
REFUSED = "refused, not in the bundle"
BELOW_ITS_BAR = 1
"""What the demo returns when its model came out below its bar; the bundle is there all the same."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo, evaluate what it wrote, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the demo's folder")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--seeds", type=_seeds, metavar="N,N,...", help="a demo of each, each in its folder below DIR")
    options = parser.parse_args(arguments)

    recorder = CommandRecorder({options.output: "OUTPUT"} if options.seeds else None)
    what = "preset tiny on synthesised speech; reports on voices never heard in training"
    if options.seeds is None:
        recorder.run("demo", "--output", options.output)
        recorder.write(options.result, {"what": what, **bundle_record(recorder, options.output)})
        return
    rows = [seed_row(recorder, options.output / f"seed-{seed}", seed) for seed in options.seeds]
    recorder.write(options.result, {"what": what, **extremes(rows), "seeds": rows})


def bundle_record(recorder: CommandRecorder, folder: Path) -> dict[str, Any]:
    """The reports of each variant of a demo's bundle on the unseen voices, and the bundle's facts."""
    corpus, bundle = folder / "corpus", folder / "bundle"
    reports = {
        variant: recorder.report("evaluate", bundle, corpus, "--split", "validation", "--variant", variant, "--json")
        for variant in VARIANTS
    }
    return {"reports": reports, **bundle_facts(bundle)}


def seed_row(recorder: CommandRecorder, folder: Path, seed: int) -> dict[str, Any]:
    """Run the demo with a seed; a model below the demo's bar is a row like any other, that is what the record is for.

    Accuracy and WER are those of the default variant, as in the demo's own report.
    """
    recorder.run("demo", "--output", folder, "--seed", str(seed), accepted=(0, BELOW_ITS_BAR))
    seconds = recorder.steps[-1].seconds
    report = recorder.report("evaluate", folder / "bundle", folder / "corpus", "--split", "validation", "--json")
    certificates = bundle_certificates(folder / "bundle")
    return {
        "seed": seed,
        "accuracy": report["accuracy"],
        "wer": report["wer"],
        "clips": report["clips"],
        "seconds": seconds,
        "certificates": {name: certificates[name]["summary"] if name in certificates else REFUSED for name in VARIANTS},
    }


def extremes(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The worst of several demos."""
    return {
        "least_accuracy": min(row["accuracy"] for row in rows),
        "most_wer": max(row["wer"] for row in rows),
        "most_seconds": max(row["seconds"] for row in rows),
    }


def _seeds(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
