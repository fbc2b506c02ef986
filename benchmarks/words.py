"""The road on real speech: train from scratch, export, and evaluate every form of the model on unseen speakers.

    python benchmarks/words.py DATA --output build/words --result benchmarks/results/words-small.json

DATA is an audiofolder with the splits train, validation and test, such as two-syllable Mandarin words whose label is
the tone of the last syllable. Every step is a command that a user would type; the record holds each command with its
time, the reports it printed, and the machine it ran on.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wav2edge.benchmark.environment import environment
from wav2edge.bundle import Bundle

VARIANTS = ("fp32", "int8")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command that was run, and how long it took."""

    command: str
    seconds: float


class Road:
    """Runs ``wav2edge`` commands one after the other and remembers them; DATA stands for the data set's path."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.steps: list[Step] = []

    def run(self, *words: str) -> str:
        """Run one command, talk on this process's standard error; its answer is returned."""
        command = [sys.executable, "-m", "wav2edge", *words]
        shown = shlex.join("DATA" if word == str(self._data) else word for word in ("wav2edge", *words))
        print(f"$ {shown}", file=sys.stderr, flush=True)
        started_s = time.monotonic()
        finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        self.steps.append(Step(command=shown, seconds=round(time.monotonic() - started_s, 1)))
        return finished.stdout

    def evaluate(self, model: Path, *options: str) -> dict[str, Any]:
        """The report of a model on the test split."""
        report: dict[str, Any] = json.loads(
            self.run("evaluate", str(model), str(self._data), "--split", "test", "--json", *options)
        )
        return report


def measure(data: Path, output: Path, preset: str) -> dict[str, Any]:
    """Train, export and evaluate; the record as JSON-ready values."""
    checkpoint, bundle = output / "checkpoint", output / "bundle"
    road = Road(data)
    road.run("train", str(data), "--preset", preset, "--output", str(checkpoint))
    road.run(
        "export",
        str(checkpoint),
        "--output",
        str(bundle),
        "--precision",
        "int8,fp32",
        "--data",
        str(data),
        "--split",
        "test",
    )
    reports = {"pytorch": road.evaluate(checkpoint)}
    reports |= {variant: road.evaluate(bundle, "--variant", variant) for variant in VARIANTS}
    manifest = Bundle.open(bundle).manifest
    sizes = {name: manifest.files[variant.file].size_bytes for name, variant in manifest.variants.items()}
    certificates = json.loads((bundle / "certificate.json").read_text(encoding="utf-8"))["variants"]
    return {
        "preset": preset,
        "parameters": manifest.parameters,
        "data": "test split, speakers never heard in training",
        "steps": [asdict(step) for step in road.steps],
        "reports": reports,
        "size_bytes": sizes,
        "size_ratio": sizes["int8"] / sizes["fp32"],
        "certificates": {name: certificate["summary"] for name, certificate in certificates.items()},
        "environment": environment(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where checkpoint and bundle go")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--preset", default="small")
    options = parser.parse_args(arguments)
    record = measure(options.data, options.output, options.preset)
    options.result.parent.mkdir(parents=True, exist_ok=True)
    options.result.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
