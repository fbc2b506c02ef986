"""Students of half the layers compared with their teacher on real speech, and their speed at XLSR-53's shape.

    python -m benchmarks.records.accuracy.distilled_students TEACHER DATA \
        --output build/distill --result benchmarks/results/distill-words.json

TEACHER is a joint checkpoint, such as the one that ``benchmarks.records.accuracy.words`` trains on DATA. A short trial
decides by the validation split which layers the students start from; then each student is trained in full and evaluated
on the test split, whose speakers are unseen. One has half the layers, the other also a narrower feed-forward. A student
that is already in DIR is not trained again. At XLSR-53's shape the weights are random: speed only, never accuracy.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.records.command_recorder import CommandRecorder
from benchmarks.records.speed.precisions import alternated_s
from wav2edge.inference.load import load
from wav2edge_compare.shapes.random_checkpoint import write_random_checkpoint
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.model.shrinking import choose_layers, keep_layers, keep_units, pruned_width
from wav2edge_train.training_options import LAYERS_FROM

TRAINING = (
    *("--learning-rate", "1e-3", "--batch-size", "8", "--accumulation", "1", "--warmup-steps", "100"),
    *("--weight-decay", "0.05", "--augmentation", "full", "--no-freeze-feature-encoder", "--eval-steps", "900"),
)
"""The options of the preset `small`, which trained the teacher."""

TRIAL_EPOCHS = "3"


@dataclass(frozen=True, kw_only=True)
class Student:
    """Half the layers, trained for ``epochs``, less the share ``prune_ffn`` of the feed-forward width."""

    epochs: int
    prune_ffn: float = 0.0

    @property
    def words(self) -> tuple[str, ...]:
        """Its command-line options."""
        pruned = ("--prune-ffn", f"{self.prune_ffn:g}") if self.prune_ffn else ()
        return ("--epochs", str(self.epochs), *pruned)


STUDENTS = {"half": Student(epochs=30), "narrow": Student(epochs=45, prune_ffn=0.25)}
SHAPE = "xlsr-53"
DURATIONS_S = (1.0, 3.0)
ROUNDS = 20


def distill(
    recorder: CommandRecorder, teacher: Path, data: Path, student: Path, words: Sequence[str]
) -> dict[str, Any]:
    """Train a student unless it exists; its comparison with the teacher on the validation split."""
    if not (student / "comparison.json").is_file():
        shutil.rmtree(student, ignore_errors=True)
        recorder.run("distill", teacher, data, *words, *TRAINING, "--output", student)
    comparison: dict[str, Any] = json.loads((student / "comparison.json").read_text(encoding="utf-8"))
    return comparison


def shrink(checkpoint: Path, output: Path, share: float) -> None:
    """Write a checkpoint with every other layer of another one, less a share of the feed-forward width."""
    shutil.copytree(checkpoint, output)
    model = Wav2Vec2ForJointCTC.from_pretrained(checkpoint)
    layers = model.config.num_hidden_layers
    keep_layers(model, choose_layers(layers, layers // 2, "even"))
    if share:
        width = pruned_width(model.config.intermediate_size, share)
        keep_units(model, [torch.arange(width)] * (layers // 2))  # which ones is no matter: the weights are random
    model.save_pretrained(output)


def int8_latencies_s(recorder: CommandRecorder, checkpoints: Mapping[str, Path], output: Path) -> dict[str, Any]:
    """Checkpoints as int8 bundles: median latencies in turns by clip length, sizes, and ratios to the first one."""
    bundles = {name: output / f"{checkpoint.name}-bundle" for name, checkpoint in checkpoints.items()}
    for name, checkpoint in checkpoints.items():
        shutil.rmtree(bundles[name], ignore_errors=True)
        recorder.run("export", checkpoint, "--output", bundles[name], "--precision", "int8")
    engines = {name: load(bundle) for name, bundle in bundles.items()}
    found = {f"{duration_s:g} s": each for duration_s, each in alternated_s(engines, DURATIONS_S, ROUNDS)}
    large, *smaller = checkpoints
    sizes = {name: (bundle / "onnx" / "model_quantized.onnx").stat().st_size for name, bundle in bundles.items()}
    return {
        "latency_s": found,
        "latency_ratio": {
            name: {length: round(each[name] / each[large], 4) for length, each in found.items()} for name in smaller
        },
        "size_bytes": sizes,
        "size_ratio": {name: round(sizes[name] / sizes[large], 4) for name in smaller},
    }


def shrunk_shapes(shape: str, output: Path) -> dict[str, Path]:
    """A shape with random weights, whole and as small as each student; existing ones are kept."""
    folders = {"whole": output / shape, **{name: output / f"{shape}-{name}" for name in STUDENTS}}
    if not folders["whole"].is_dir():
        write_random_checkpoint(folders["whole"], shape)
    for name, student in STUDENTS.items():
        if not folders[name].is_dir():
            shrink(folders["whole"], folders[name], student.prune_ffn)
    return folders


def validation_score(comparison: Mapping[str, Any]) -> float:
    """Accuracy minus WER on the validation split, by which the better student is chosen."""
    report = comparison["small"]["report"]
    return float(report["accuracy"] - report["wer"])


def differences(student: Mapping[str, Any], teacher: Mapping[str, Any]) -> dict[str, float]:
    """WER and accuracy of a student minus those of its teacher."""
    return {name: round(student[name] - teacher[name], 4) for name in ("wer", "accuracy")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, metavar="TEACHER")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for students and bundles")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--encoder-layers", default="2", metavar="N")
    parser.add_argument("--shape", default=SHAPE, metavar="NAME", help="shape for the timing with random weights")
    options = parser.parse_args(arguments)

    teacher, data, output = options.teacher, options.data, options.output
    recorder = CommandRecorder({teacher: "TEACHER", data: "DATA", output: "OUTPUT"})
    layers = ("--encoder-layers", options.encoder_layers, "--layers-from")
    trials = {
        name: distill(recorder, teacher, data, output / f"trial-{name}", (*layers, name, "--epochs", TRIAL_EPOCHS))
        for name in LAYERS_FROM
    }
    best = max(trials, key=lambda name: validation_score(trials[name]))
    folders = {"teacher": teacher, **{name: output / f"student-{name}" for name in STUDENTS}}
    training = {name: (*layers, best, *student.words) for name, student in STUDENTS.items()}
    compared = {name: distill(recorder, teacher, data, folders[name], words) for name, words in training.items()}
    reports = {
        name: recorder.report("evaluate", folder, data, "--split", "test", "--json") for name, folder in folders.items()
    }
    record = {
        "what": "students of a trained teacher; the speakers of the test split are unseen",
        "trials": {name: each["small"]["report"] for name, each in trials.items()},
        "layers_from": best,
        "training": {
            name: " ".join(("wav2edge distill TEACHER DATA", *words, *TRAINING)) for name, words in training.items()
        },
        "validation": compared,
        "test": reports,
        "test_differences": {name: differences(reports[name], reports["teacher"]) for name in STUDENTS},
        "int8_bundles": int8_latencies_s(recorder, folders, output),
        "shape": {
            "what": f"{options.shape} with seeded random weights, whole and as small as the students: speed only",
            "int8_bundles": int8_latencies_s(recorder, shrunk_shapes(options.shape, output), output),
        },
    }
    recorder.write(options.result, record)


if __name__ == "__main__":
    main()
