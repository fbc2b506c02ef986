"""The model under ``models/words-stream``: that of ``shipped_model``, trained on for streams, with cached streams.

    python -m benchmarks.records.streams.shipped_stream DATA --output build/shipped-stream \
        --result benchmarks/results/shipped-words-stream.json

DATA and the clips are those of ``benchmarks.records.accuracy.shipped_model``. The model learns from whole clips first,
and then for streams in stages, each with a learning rate that rises and falls again; a stage that is complete is not
repeated. With ``--publish models`` the bundle becomes ``models/words-stream``, and ``models/stream.flac`` is what to
hear it with: the twelve shipped clips, one after the other.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.records.accuracy.shipped_model import EVALUATED_ON, TRAINING, real_rows, spoken_rows
from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.dataset import read_dataset

NAME, BUNDLE, LISTEN = "wav2edge-words-stream", "words-stream", "stream.flac"
CHUNKS_MS = (160, 320)
TARGET, LOOK_AHEAD_MS = "exact", 120
"""8-bit weights that every processor multiplies exactly; 7 bits, as ``models/words`` has, cost a stream two words."""
COMMON = (
    *("--streaming", "--accumulation", "1", "--schedule", "cosine"),
    *("--no-freeze-feature-encoder", "--weight-decay", "0.05"),
)
STAGES = {
    "stream-1": ("--epochs", "20", "--augmentation", "full", "--learning-rate", "8e-4"),
    "stream-2": ("--epochs", "20", "--augmentation", "full", "--learning-rate", "8e-4"),
    "stream-3": ("--epochs", "15", "--augmentation", "stream", "--learning-rate", "8e-4"),
    "stream-4": ("--epochs", "9", "--augmentation", "stream", "--learning-rate", "5e-4", "--warmup-steps", "100"),
    NAME: (
        *("--epochs", "25", "--augmentation", "stream", "--learning-rate", "8e-4", "--keep", "last"),
        *("--stream-chunks-ms", ",".join(map(str, CHUNKS_MS))),
        *("--stream-look-ahead-ms", "80,120,160", "--stream-left-context-s", "1.28"),
    ),
}
"""Folder of each stage, and how it is trained; each starts from the one before."""
HISTORY = (
    "the shipped weights: stream-1 was trained with a learning rate of 6e-4, and before the normalisation of streams"
    " began with a second of usual sound; a look-ahead was drawn in the last two stages alone"
)
PAUSE_S = 1.0


def train(recorder: CommandRecorder, manifest: Path, output: Path) -> tuple[Path, list[str]]:
    """Train every stage that is not complete; the last checkpoint, and the commands."""
    base = output / "whole"
    commands = [recorder.train_once("train", manifest, *TRAINING, checkpoint=base)]
    for name, how in STAGES.items():
        words: tuple[str | Path, ...] = ("train", manifest, "--base", base, *COMMON, *how)
        commands.append(recorder.train_once(*words, checkpoint=output / name))
        base = output / name
    return base, commands


def reports(recorder: CommandRecorder, models: dict[str, Path], manifest: Path) -> dict[str, Any]:
    """Every model on unseen speakers and unseen voices, whole and, where it has them, in chunks."""
    found: dict[str, Any] = {}
    for name, model in models.items():
        found[name] = {
            split: recorder.report("evaluate", model, manifest, "--split", split, "--json") for split in EVALUATED_ON
        }
    for chunk_ms in CHUNKS_MS:
        words = ("evaluate", models["int8"], manifest, "--stream", str(chunk_ms), "--json")
        found[f"int8, {chunk_ms} ms"] = {split: recorder.report(*words, "--split", split) for split in EVALUATED_ON}
    return found


def publish(bundle: Path, folder: Path) -> None:
    """Copy the bundle, and join the shipped clips."""
    shutil.rmtree(folder / BUNDLE, ignore_errors=True)
    shutil.copytree(bundle, folder / BUNDLE)
    rng = np.random.default_rng(0)
    parts = []
    for row in read_dataset(folder / "clips"):
        pause = 1e-4 * rng.standard_normal(round(PAUSE_S * SAMPLE_RATE_HZ))
        parts += [pause, load_clip(row.path).samples]
    soundfile.write(folder / LISTEN, np.concatenate([*parts, parts[0]]), SAMPLE_RATE_HZ, subtype="PCM_16")


def main(arguments: Sequence[str] | None = None) -> None:
    """Synthesise, train, export, evaluate, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for clips and checkpoints")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--publish", type=Path, metavar="DIR", help="folder to copy the bundle to, with clips/ in it")
    options = parser.parse_args(arguments)

    bundle, manifest = options.output / BUNDLE, options.output / "manifest.jsonl"
    rows = [*real_rows(options.data), *spoken_rows(options.output / "spoken")]
    manifest.write_text("".join(f"{row.line()}\n" for row in rows), encoding="utf-8")
    recorder = CommandRecorder({options.data: "DATA", options.output: "OUTPUT", manifest: "MANIFEST"})
    checkpoint, commands = train(recorder, manifest, options.output)
    recorder.run(
        "export", checkpoint, "--output", bundle, "--precision", "int8", "--target", TARGET,
        "--data", manifest, "--split", "test", "--stream", ",".join(map(str, CHUNKS_MS)),
        "--look-ahead", str(LOOK_AHEAD_MS),
    )  # fmt: skip
    certificate = json.loads((bundle / "certificate.json").read_text(encoding="utf-8"))
    models = {"whole-clip model": options.output / "whole", "pytorch": checkpoint, "int8": bundle}
    record = {
        "what": "the shipped streaming model, clip by clip: unseen speakers (test), unseen synthetic voices (spoken)",
        "history": HISTORY,
        "clips": dict(Counter(row.split for row in rows)),
        "training": commands,
        "reports": reports(recorder, models, manifest),
        "bundle_bytes": sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()),
        "certificate": {"int8": certificate["variants"]["int8"], "streams": certificate["streams"]["int8"]},
    }
    recorder.write(options.result, record)
    if options.publish is not None:
        publish(bundle, options.publish)


if __name__ == "__main__":
    main()
