"""Every precision of one model: size, latency, logit error, WER and accuracy.

    python -m benchmarks.records.speed.precisions CHECKPOINT --data DATA --output build/precisions \
        --result benchmarks/results/precisions-words-small.json
    python -m benchmarks.records.speed.precisions --shape xlsr-53 --precision fp32,int8,int4 \
        --output build/precisions-xlsr53 --result benchmarks/results/precisions-xlsr53.json

Each precision is exported to a bundle of its own; ``int8`` for this processor and once more per ``--targets`` entry,
``auto`` once per preference. The record names refused precisions. Latencies are of one process in which the graphs take
turns, so that their ratios hold on a shared machine. With ``--shape`` the weights are random: the figures show size,
speed and logit error, never accuracy.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.engine import Engine
from wav2edge.output.progress import track
from wav2edge.output.tables import markdown_table
from wav2edge_compare.shapes.random_checkpoint import write_random_checkpoint
from wav2edge_export.export_options import PREFERENCES

PRECISIONS = "fp32,int8,int4,fp16,auto"
BASELINE = "fp32"
REFUSED = 1
"""Exit code of ``wav2edge export`` when a variant exceeds its budget."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One graph to export: its name in the table, its precision, and further options of ``wav2edge export``."""

    name: str
    precision: str
    words: tuple[str, ...] = ()


def forms(precisions: Sequence[str], targets: Sequence[str]) -> list[Form]:
    """The graphs to export: ``int8`` once more per target, ``auto`` once more per preference other than the default."""
    made = [Form(name=precision, precision=precision) for precision in precisions]
    made += [Form(name=f"int8 {each}", precision="int8", words=("--target", each)) for each in targets]
    if "auto" in precisions:
        _, *others = PREFERENCES
        made += [Form(name=f"auto {each}", precision="auto", words=("--prefer", each)) for each in others]
    return made


def export(
    recorder: CommandRecorder,
    checkpoint: Path,
    form: Form,
    output: Path,
    evaluation: Sequence[str | Path],
    *,
    reuse: bool,
) -> Bundle | None:
    """The bundle of one form; None if it exceeds its budget."""
    folder = output / form.name.replace(" ", "-")
    if reuse and folder.is_dir():
        return Bundle.open(folder)
    shutil.rmtree(folder, ignore_errors=True)
    wanted = ["--output", folder, "--precision", form.precision, *evaluation, *form.words]
    recorder.run("export", checkpoint, *wanted, accepted=(0, REFUSED))
    return Bundle.open(folder) if folder.is_dir() else None


def alternated_s(
    engines: Mapping[str, Engine], durations_s: Sequence[float], rounds: int
) -> Iterator[tuple[float, dict[str, float]]]:
    """For each length the median latency of each engine; each runs once per round, and the first round is discarded."""
    for duration_s in durations_s:
        clip = voiced(round(duration_s * SAMPLE_RATE_HZ))
        taken_s: dict[str, list[float]] = {name: [] for name in engines}
        for _ in track(range(rounds + 1), f"{duration_s:g} s", rounds + 1):
            for name, engine in engines.items():
                started_s = time.perf_counter()
                engine(clip, rate_hz=SAMPLE_RATE_HZ)
                taken_s[name].append(time.perf_counter() - started_s)
        yield duration_s, {name: median(values[1:]) for name, values in taken_s.items()}


def facts(bundle: Bundle, precision: str) -> dict[str, Any]:
    """Size and certificate of a variant."""
    certificate = json.loads((bundle.folder / "certificate.json").read_text(encoding="utf-8"))["variants"][precision]
    return {
        "size_bytes": bundle.manifest.files[bundle.variant(precision).file].size_bytes,
        "measured": certificate["measured"],
        "clips": certificate["clips"],
        "summary": certificate["summary"],
        "kept_in_float": certificate["kept_in_float"],
    }


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The record as Markdown, latencies and sizes as ratios to fp32."""
    durations = next(iter(rows.values()))["latency_s"]
    base = rows[BASELINE]
    header = ["precision", "MB", "of fp32", *(f"{float(each):g} s" for each in durations), "logit error", "evaluation"]
    return markdown_table(
        header,
        (
            [
                name,
                f"{row['size_bytes'] / 1e6:.2f}",
                f"{row['size_bytes'] / base['size_bytes']:.3f}",
                *(f"{row['latency_s'][each] / base['latency_s'][each]:.2f}" for each in durations),
                f"{row['measured']['relative_error']:.4f}",
                _evaluation(row["clips"]),
            ]
            for name, row in rows.items()
        ),
    )


def _evaluation(clips: Mapping[str, Any] | None) -> str:
    """WER and accuracy on real clips, and their differences with 95 % intervals."""
    if clips is None:
        return "no clips"
    parts = []
    for title, rate in (("WER", clips.get("wer")), ("accuracy", clips.get("accuracy"))):
        if rate:
            low, high = rate["interval"]
            parts.append(f"{title} {rate['variant']:.4f}, {rate['difference']:+.4f} ({low:+.4f} to {high:+.4f})")
    return "; ".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Export, measure, print the table, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("checkpoint", nargs="?", type=Path, metavar="CHECKPOINT")
    source.add_argument("--shape", metavar="NAME", help="random weights in this shape, instead of a checkpoint")
    parser.add_argument("--data", type=Path, metavar="DATA", help="its test split is the evaluation set")
    parser.add_argument("--precision", default=PRECISIONS, metavar="LIST")
    parser.add_argument("--targets", default="", metavar="LIST", help="export int8 once more for each of these")
    parser.add_argument("--seconds", default="1,3,10", metavar="LIST")
    parser.add_argument("--rounds", type=int, default=20, metavar="N")
    parser.add_argument("--threads", type=int, metavar="N")
    parser.add_argument("--reuse", action="store_true", help="measure the bundles of an earlier run in --output")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the bundles")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    checkpoint = options.checkpoint or options.output / "checkpoint"
    if options.checkpoint is None and not checkpoint.is_dir():
        write_random_checkpoint(checkpoint, options.shape)
    names = {checkpoint: "CHECKPOINT", options.data: "DATA", options.output: "OUTPUT"}
    recorder = CommandRecorder({path: name for path, name in names.items() if path is not None})
    evaluation = [] if options.data is None else ["--data", options.data, "--split", "test"]
    targets = [each for each in options.targets.split(",") if each]
    made = {
        form: export(recorder, checkpoint, form, options.output, evaluation, reuse=options.reuse)
        for form in forms(options.precision.split(","), targets)
    }
    bundles = {form.name: bundle for form, bundle in made.items() if bundle is not None}
    rows = {form.name: facts(bundle, form.precision) for form, bundle in made.items() if bundle is not None}
    engines = {name: Engine.from_bundle(bundle, threads=options.threads) for name, bundle in bundles.items()}
    durations_s = [float(part) for part in options.seconds.split(",")]
    for duration_s, latencies_s in alternated_s(engines, durations_s, options.rounds):
        for name, latency_s in latencies_s.items():
            rows[name].setdefault("latency_s", {})[f"{duration_s:g}"] = latency_s
    refused = [form.name for form in made if form.name not in bundles]
    what = f"{options.shape} with seeded random weights" if options.checkpoint is None else "a trained checkpoint"
    record = {
        "what": f"every precision of {what}",
        "forms": rows,
        "refused": refused,
        "rounds": options.rounds,
        "bundles_of_an_earlier_run": options.reuse,
    }
    recorder.write(options.result, record)
    print(table(rows))


if __name__ == "__main__":
    main()
