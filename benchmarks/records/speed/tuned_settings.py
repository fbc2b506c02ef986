"""What ``wav2edge tune`` chooses within seconds, against an exhaustive search of the same settings on the same machine.

    python -m benchmarks.records.speed.tuned_settings BUNDLE... --result benchmarks/results/tuning.json

For each bundle and aim the command is run several times, and every setting is measured in turns for longer by itself:
rounds in a new order each time. What counts is how much slower the choice of each run is than the best of that search,
by the lower quartile over the rounds.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.bundle.folder import Bundle
from wav2edge.evaluation.benchmark.tuning.choices import (
    allowed_variants,
    processors,
    settings_to_try,
    usual_settings,
)
from wav2edge.evaluation.benchmark.tuning.halving import undisturbed
from wav2edge.evaluation.benchmark.tuning.tuning import CLIP_S, EngineOpener
from wav2edge.inference.sessions.device import physical_cores
from wav2edge.inference.sessions.profiles.profile_cache import VARIABLE
from wav2edge.inference.sessions.profiles.run_profile import AIMS, RunSettings

COMMAND = "python -m benchmarks.records.speed.tuned_settings BUNDLE... --result benchmarks/results/tuning.json"
RUNS = 2
SEARCH_S = 36.0
RESAMPLED = 2000
BAR = 1.05

Costs = Mapping[RunSettings, npt.NDArray[np.float64]]
"""What a clip took in each round, ``[rounds]``."""


def exhaustive(bundle: Bundle, aim: str, variants: Sequence[str], search_s: float) -> tuple[Costs, RunSettings]:
    """Every setting in turns for some seconds, and the usual settings."""
    usual = usual_settings(bundle, aim)
    allowed, _ = allowed_variants(bundle, variants)
    opener = EngineOpener(bundle, aim, CLIP_S)
    candidates = settings_to_try(allowed, usual, cores=physical_cores(), logical=processors())
    blocks = {each: opener(each) for each in candidates}
    costs: dict[RunSettings, list[float]] = {each: [] for each in candidates}
    order, until_s, dice = list(candidates), time.monotonic() + search_s, Random(0)
    while time.monotonic() < until_s or len(costs[usual]) < 2:
        dice.shuffle(order)
        for each in order:
            costs[each].append(blocks[each]())
    return {each: np.array(found) for each, found in costs.items()}, usual


def compare(chosen: RunSettings, costs: Costs, usual: RunSettings) -> dict[str, Any]:
    """How much slower a choice is than the best setting of the exhaustive search, with a 95 % interval."""
    took = {each: float(undisturbed(list(found))) for each, found in costs.items()}
    best = min(took, key=took.__getitem__)
    ours, theirs = costs[chosen], costs[best]
    drawn = np.random.default_rng(0).integers(len(ours), size=(RESAMPLED, len(ours)))
    ratios = np.percentile(ours[drawn], 25, axis=1) / np.percentile(theirs[drawn], 25, axis=1)
    return {
        "chosen": str(chosen),
        "best": str(best),
        "chosen_over_best": took[chosen] / took[best],
        "interval": [float(each) for each in np.percentile(ratios, [2.5, 97.5])],
        "of_medians": float(np.median(ours) / np.median(theirs)),
        "defaults_over_best": took[usual] / took[best],
    }


def measure(recorder: CommandRecorder, bundle: Path, aim: str, options: argparse.Namespace) -> dict[str, Any]:
    """The runs of the command and the exhaustive search, one after the other."""
    extra = ["--variants", options.variants] if options.variants else []
    runs: list[dict[str, Any]] = []
    for _ in range(options.runs):
        began_s = time.monotonic()
        report = recorder.report("tune", bundle, "--for", aim, "--json", *extra)
        runs.append({"report": report, "command_s": time.monotonic() - began_s})
    load = os.getloadavg()[0]
    costs, usual = exhaustive(Bundle.open(bundle), aim, extra[1].split(",") if extra else [], options.search)
    found = [compare(RunSettings(**each["report"]["chosen"]), costs, usual) for each in runs]
    rows = [
        {
            **row,
            "command_s": each["command_s"],
            "tried": len(each["report"]["tried"]),
            "not_tried": len(each["report"]["not_tried"]),
            "uneven": each["report"]["uneven"],
            "of_defaults": each["report"]["of_defaults"],
        }
        for each, row in zip(runs, found, strict=True)
    ]
    return {
        "aim": aim,
        "unit": runs[0]["report"]["unit"],
        "clip_s": CLIP_S,
        "runs": rows,
        "within_bar": sum(row["chosen_over_best"] <= BAR for row in rows),
        "exhaustive": [
            {
                "settings": asdict(each),
                "per_clip": float(undisturbed(list(found))),
                "median": float(np.median(found)),
                "rounds": len(found),
            }
            for each, found in costs.items()
        ],
        "load_average": load,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE")
    parser.add_argument("--variants", metavar="NAMES", help="what --variants of the command is given")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help="runs of the command")
    parser.add_argument("--search", type=float, default=SEARCH_S, metavar="S", help="seconds of each exhaustive search")
    parser.add_argument("--aims", default=",".join(AIMS), metavar="NAMES")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)
    recorder = CommandRecorder({each.resolve(): str(each) for each in options.bundles})
    with tempfile.TemporaryDirectory() as folder:
        os.environ[VARIABLE] = folder  # the profiles of whoever runs this stay as they are
        bundles = {
            str(each): [measure(recorder, each.resolve(), aim, options) for aim in options.aims.split(",")]
            for each in options.bundles
        }
    runs = [run for aims in bundles.values() for aim in aims for run in aim["runs"]]
    record = {
        "what": "the choice of wav2edge tune against an exhaustive search of the same settings, measured in turns",
        "command": COMMAND,
        "cores": physical_cores(),
        "runs": len(runs),
        "within_bar": sum(run["chosen_over_best"] <= BAR for run in runs),
        "worst_chosen_over_best": max(run["chosen_over_best"] for run in runs),
        "longest_command_s": max(run["command_s"] for run in runs),
        "bundles": bundles,
    }
    recorder.write(options.result, record)


if __name__ == "__main__":
    main()
