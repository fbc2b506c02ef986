"""``wav2edge distill``: train a smaller student of a trained checkpoint, and compare the two."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from wav2edge.cli.verbs import Command
from wav2edge.errors import UsageError
from wav2edge_train.model.presets import PRESETS
from wav2edge_train.train_command import CHOICES, Choice, add_run_arguments, run_training
from wav2edge_train.training_options import DistillationOptions, TrainingOptions

DEFAULTS: dict[str, Any] = {
    "layers_from": "even",
    "epochs": 20.0,
    "schedule": "cosine",
}
"""The defaults of a student that differ from those of fine-tuning.

Evenly spaced layers are the better start: on words, two of four layers reached WER 0.102 after three epochs when evenly
spaced, and 0.135 when they were the first two.
"""

STUDENT_CHOICES = tuple(choice for choice in CHOICES if choice.field != "feature_pretrain_steps")
"""A student starts from trained weights, which need no feature pre-training, or from a preset, which says how much."""
STUDENT_PRESETS = tuple(name for name, preset in PRESETS.items() if preset.base is None)
"""Presets with random weights."""

DISTILLATION_CHOICES = (
    Choice(field="temperature", parse=float, metavar="T", help="what logits are divided by before they are compared"),
    Choice(field="ctc_distill_weight", parse=float, metavar="X", help="weight of the divergence over CTC frames"),
    Choice(field="class_distill_weight", parse=float, metavar="X", help="weight of the divergence over classes"),
    Choice(
        field="hidden_distill_weight",
        parse=float,
        metavar="X",
        help="weight of the distance between last hidden states",
    ),
)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("teacher", metavar="TEACHER", help="trained joint or CTC checkpoint: a folder or a Hub name")
    parser.add_argument("data", metavar="DATA", type=Path, help="audiofolder with metadata.csv, or a .jsonl manifest")
    parser.add_argument(
        "--base", metavar="CHECKPOINT", help="what the student starts from, of any family; by default the teacher"
    )
    parser.add_argument("--preset", choices=STUDENT_PRESETS, help="a student with random weights, see train --help")
    parser.add_argument("--output", metavar="DIR", type=Path, help="folder for the student's checkpoint")
    add_run_arguments(parser)
    learn = parser.add_argument_group("how to learn from the teacher")
    for choice in DISTILLATION_CHOICES:
        choice.add_to(learn, getattr(DistillationOptions, choice.field))
    how = parser.add_argument_group("how to train")
    for choice in STUDENT_CHOICES:
        choice.add_to(how, DEFAULTS.get(choice.field, getattr(TrainingOptions, choice.field)))


def _run(arguments: Namespace) -> int:
    preset = PRESETS[arguments.preset].training if arguments.preset else {}
    options = TrainingOptions.of(DEFAULTS, preset, vars(arguments))
    distillation = DistillationOptions.of(vars(arguments))
    elsewhere = arguments.base or arguments.preset
    if not elsewhere and options.encoder_layers is None and not options.prune_ffn and not options.streaming:
        raise UsageError(
            "a student is smaller than its teacher, or streams; give --encoder-layers N, --prune-ffn SHARE, or both,"
            " --streaming, or another --base or --preset to start from"
        )

    from wav2edge_train.distillation.distillation_trainer import Distillation
    from wav2edge_train.distillation.teacher import load_teacher
    from wav2edge_train.model.base_model import choose_base_model

    base = arguments.base or (None if arguments.preset else arguments.teacher)
    return run_training(
        arguments,
        options,
        lambda: choose_base_model(arguments.preset, base),
        lambda: Distillation(teacher=load_teacher(arguments.teacher), options=distillation),
    )


COMMAND = Command(
    name="distill",
    summary="train a smaller or a streaming student on the outputs of a trained checkpoint as well as on the labels",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge distill checkpoint/ data/ --encoder-layers 12 --output student
  wav2edge distill checkpoint/ data/ --encoder-layers 12 --prune-ffn 0.25 --output student
  wav2edge distill checkpoint/ data/ --streaming --output student
  wav2edge distill wavlm/ data/ --base facebook/wav2vec2-base --output student
  wav2edge distill checkpoint/ data/ --encoder-layers 12 --output student --resume""",
)
