"""Real speech: train from scratch, export, and evaluate checkpoint and bundle on unseen speakers.

    python -m benchmarks.records.accuracy.words DATA --output build/words --result benchmarks/results/words-small.json

DATA is an audiofolder with the splits train, validation and test, such as two-syllable Mandarin words whose label is
the tone of the last syllable. Every step is a command that a user would type. A complete checkpoint is kept, with the
processor time that its training took. Several presets, such as those of other families, give one record:

    python -m benchmarks.records.accuracy.words DATA --preset small-wavlm,small-data2vec --output build/family-words \
        --result benchmarks/results/family-words.json
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.records.command_recorder import CommandRecorder, bundle_facts
from wav2edge.output.documents import write_json

VARIANTS = ("fp32", "int8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for checkpoint and bundle")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--preset", default="small", metavar="NAMES")
    options = parser.parse_args(arguments)

    recorder = CommandRecorder({options.data: "DATA", options.output: "OUTPUT"})
    presets = options.preset.split(",")
    if len(presets) == 1:
        record = measured(recorder, options.data, presets[0], options.output)
    else:
        record = {"presets": {name: measured(recorder, options.data, name, options.output / name) for name in presets}}
    recorder.write(options.result, record)


def measured(recorder: CommandRecorder, data: Path, preset: str, folder: Path) -> dict[str, Any]:
    """Train a preset, export it, and evaluate the checkpoint and its bundle on unseen speakers."""
    checkpoint, bundle, on_test = folder / "checkpoint", folder / "bundle", (data, "--split", "test")
    training = train(recorder, data, preset, checkpoint)
    recorder.run("export", checkpoint, "--output", bundle, "--precision", "int8,fp32", "--data", *on_test)
    reports = {"pytorch": recorder.report("evaluate", checkpoint, *on_test, "--json")}
    for variant in VARIANTS:
        reports[variant] = recorder.report("evaluate", bundle, *on_test, "--variant", variant, "--json")
    latency = recorder.report("bench", bundle, "--json")
    return {
        "what": f"preset {preset} from scratch; reports on the test split, whose speakers are unseen",
        "training": training,
        "reports": reports,
        **bundle_facts(bundle),
        "bench": latency,
    }


def train(recorder: CommandRecorder, data: Path, preset: str, checkpoint: Path) -> dict[str, Any]:
    """Train unless the checkpoint is complete; the command, and the time of that training where it is known."""
    times, finished = checkpoint.parent / "training.json", (checkpoint / "report.json").is_file()
    started_s, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = recorder.train_once("train", data, "--preset", preset, checkpoint=checkpoint)
    if not finished:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        write_json(times, {"processor_s": round(processor_s, 1), "wall_s": round(time.monotonic() - started_s, 1)})
    return {"command": command, **(json.loads(times.read_text(encoding="utf-8")) if times.is_file() else {})}


if __name__ == "__main__":
    main()
