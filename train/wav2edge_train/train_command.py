"""``wav2edge train``: fine-tune a checkpoint or train a preset, and print the full report."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wav2edge.cli.verbs import Command
from wav2edge.errors import UsageError
from wav2edge.output.documents import json_for
from wav2edge_train.data.augmentation import AUGMENTATIONS
from wav2edge_train.model.presets import PRESETS
from wav2edge_train.training_options import (
    CLASS_BALANCES,
    HEAD_CHOICES,
    KEEP,
    LAYERS_FROM,
    PRECISIONS,
    SCHEDULES,
    TrainingOptions,
)

if TYPE_CHECKING:
    from wav2edge_train.distillation.distillation_trainer import Distillation
    from wav2edge_train.model.base_model import BaseModel
    from wav2edge_train.reporting.run_report import TrainingOutcome

# PyTorch and transformers take seconds to import, so they are imported when training starts, not for --help.


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A command-line option for a field of ``TrainingOptions`` or of ``DistillationOptions``."""

    field: str
    help: str
    parse: Callable[[str], Any] | None = None
    metavar: str | None = None
    choices: tuple[str, ...] | None = None

    def add_to(self, parser: Any, default: Any, note: str = "") -> None:
        """Add the option to a parser, with its default and a note in the help; None means not given."""
        flag = "--" + self.field.replace("_", "-")
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        text = self.help if default is None else f"{self.help} (default: {shown}{note})"
        if self.parse is bool:
            parser.add_argument(flag, action=BooleanOptionalAction, default=None, help=text)
        else:
            parser.add_argument(flag, type=self.parse, metavar=self.metavar, choices=self.choices, help=text)


def listed(kind: type[int] | type[float]) -> Callable[[str], tuple[Any, ...]]:
    """What reads numbers apart by commas."""

    def parse(text: str) -> tuple[Any, ...]:
        try:
            return tuple(kind(part) for part in text.split(","))
        except ValueError:
            raise ArgumentTypeError(f"{text!r}; give numbers apart by commas") from None

    return parse


CHOICES = (
    Choice(field="epochs", parse=float, metavar="N", help="passes over the training clips"),
    Choice(field="max_steps", parse=int, metavar="N", help="updates, instead of epochs"),
    Choice(
        field="max_minutes",
        parse=float,
        metavar="N",
        help="minutes of updates, evaluations and saving, instead of epochs; the learning rate has fallen by then",
    ),
    Choice(field="learning_rate", parse=float, metavar="RATE", help="highest learning rate"),
    Choice(field="batch_size", parse=int, metavar="CLIPS", help="clips that go through the model at once"),
    Choice(field="accumulation", parse=int, metavar="N", help="batches that make one update"),
    Choice(
        field="feature_pretrain_steps",
        parse=int,
        metavar="N",
        help="updates in which random weights first learn spectra",
    ),
    Choice(field="warmup_steps", parse=int, metavar="N", help="updates until the highest learning rate"),
    Choice(field="schedule", choices=SCHEDULES, help="how the learning rate falls after the warm-up"),
    Choice(field="weight_decay", parse=float, metavar="X", help="decoupled weight decay"),
    Choice(field="class_weight", parse=float, metavar="X", help="weight of the classification loss"),
    Choice(field="ctc_weight", parse=float, metavar="X", help="weight of the CTC loss"),
    Choice(field="class_balance", choices=CLASS_BALANCES, help="weigh classes in the loss by how rare they are"),
    Choice(field="heads", choices=tuple(HEAD_CHOICES), help="heads to train; auto: those that the data has labels for"),
    Choice(field="augmentation", choices=tuple(AUGMENTATIONS), help="how much training clips are varied"),
    Choice(field="mask_time", parse=float, metavar="SHARE", help="share of the frames that SpecAugment masks"),
    Choice(field="mask_features", parse=float, metavar="SHARE", help="share of the channels that SpecAugment masks"),
    Choice(
        field="follow_word_starts",
        parse=bool,
        help="emit words where they begin, in clips with word_starts_s, so that word times are true",
    ),
    Choice(
        field="streaming",
        parse=bool,
        help="train for streams as well: half of the batches hear their clips in chunks",
    ),
    Choice(
        field="stream_delay_ms",
        parse=int,
        metavar="MS",
        help="how much later a stream gives the answer to a frame: more is surer",
    ),
    Choice(
        field="stream_chunks_ms",
        parse=listed(int),
        metavar="MS,MS",
        help="chunks to draw from; fewer are learnt better",
    ),
    Choice(field="stream_look_ahead_ms", parse=listed(int), metavar="MS,MS", help="look-aheads to draw from"),
    Choice(field="stream_left_context_s", parse=listed(float), metavar="S,S", help="left contexts to draw from"),
    Choice(field="lowercase", parse=bool, help="lowercase the transcripts"),
    Choice(field="strip_punctuation", parse=bool, help="remove punctuation from the transcripts"),
    Choice(field="freeze_feature_encoder", parse=bool, help="keep the convolutions unchanged"),
    Choice(
        field="unfreeze_feature_encoder_after", parse=int, metavar="N", help="updates after which they are trained too"
    ),
    Choice(field="freeze_layers", parse=int, metavar="N", help="keep the lowest N transformer layers unchanged"),
    Choice(field="unfreeze_layers_after", parse=int, metavar="N", help="updates after which they are trained too"),
    Choice(field="gradient_checkpointing", parse=bool, help="less memory, a third more time"),
    Choice(field="cuda_graphs", parse=bool, help="on a GPU, replay the transformer as CUDA graphs: much faster"),
    Choice(field="precision", choices=PRECISIONS, help="arithmetic; auto: fp32 on a CPU, mixed precision on a GPU"),
    Choice(field="eval_steps", parse=int, metavar="N", help="updates between two evaluations"),
    Choice(field="patience", parse=int, metavar="N", help="stop after N evaluations without a new best"),
    Choice(field="tensorboard", parse=bool, help="write TensorBoard event files to tensorboard/ in --output"),
    Choice(field="keep", choices=KEEP, help="which checkpoint becomes the result"),
    Choice(
        field="encoder_layers", parse=int, metavar="N", help="transformer layers to start with; the others are removed"
    ),
    Choice(field="layers_from", choices=LAYERS_FROM, help="which layers are kept"),
    Choice(field="prune_ffn", parse=float, metavar="SHARE", help="remove this share of the feed-forward width first"),
    Choice(field="seed", parse=int, metavar="N", help="random seed"),
)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", type=Path, help="audiofolder with metadata.csv, or a .jsonl manifest")
    parser.add_argument(
        "--base", metavar="CHECKPOINT", help="checkpoint to fine-tune, of any family: a folder or a Hub name"
    )
    presets = "; ".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items())
    parser.add_argument(
        "--preset", choices=tuple(PRESETS), help=f"a model with random weights, or a recipe for its --base; {presets}"
    )
    parser.add_argument("--output", metavar="DIR", type=Path, help="folder for the new checkpoint")
    add_run_arguments(parser)
    how = parser.add_argument_group("how to train")
    for choice in CHOICES:
        choice.add_to(how, getattr(TrainingOptions, choice.field), ", or the preset's")


def _run(arguments: Namespace) -> int:
    preset = PRESETS[arguments.preset].training if arguments.preset else {}
    options = TrainingOptions.of(preset, vars(arguments))

    from wav2edge_train.model.base_model import choose_base_model

    return run_training(arguments, options, lambda: choose_base_model(arguments.preset, arguments.base))


def add_run_arguments(parser: ArgumentParser) -> None:
    """Options that every kind of training has."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check the data, make three updates, and estimate time, memory and disk",
    )
    parser.add_argument("--resume", action="store_true", help="resume from the last checkpoint saved in --output")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run_training(
    arguments: Namespace,
    options: TrainingOptions,
    find_base: Callable[[], BaseModel],
    find_teacher: Callable[[], Distillation | None] = lambda: None,
) -> int:
    """Train, or estimate what training would take; the result goes to standard output.

    Args:
        arguments: the data, the output, and those of ``add_run_arguments``.
        options: how to train.
        find_base: where to start from; called where only the first of several processes logs.
        find_teacher: the teacher of a student; called likewise.
    """
    from wav2edge_train.loop.distributed import rank_zero_output
    from wav2edge_train.training import dry_run, train

    data, output = arguments.data, arguments.output
    if output is None and not arguments.dry_run:
        raise UsageError("no folder for the new checkpoint; give --output DIR")
    with rank_zero_output():
        base, distillation = find_base(), find_teacher()
        if arguments.dry_run:
            expected = dry_run(data, base=base, options=options, distillation=distillation)
            print(json_for(sys.stdout, expected.to_dict()) if arguments.json else expected.table())
            return 0
        outcome = train(data, output, base=base, options=options, distillation=distillation, resume=arguments.resume)
        print_outcome(outcome, as_json=arguments.json)
    return 0


def print_outcome(outcome: TrainingOutcome, *, as_json: bool) -> None:
    """Print the report, and the comparison with a larger model if there is one, as text or as JSON."""
    print(f"checkpoint, report.json and README.md are in {outcome.folder}", file=sys.stderr)
    comparison = outcome.comparison
    if as_json:
        document = outcome.report.to_dict() | ({} if comparison is None else {"comparison": comparison.to_dict()})
        print(json_for(sys.stdout, document))
        return
    print(outcome.report.table())
    if comparison is not None:
        print(f"\n{comparison.table()}")


COMMAND = Command(
    name="train",
    summary="fine-tune a checkpoint of any family, or train a small one from scratch, to transcribe and to classify",
    add_arguments=_add_arguments,
    run=_run,
    examples="""\
  wav2edge train data/ --base facebook/wav2vec2-large-xlsr-53 --output checkpoint
  wav2edge train data/ --preset small --output checkpoint
  wav2edge train data/ --preset syllable-onset4 --base xlsr-53/ --output checkpoint
  wav2edge train data/ --preset small --output checkpoint --dry-run
  wav2edge train data/ --preset small --output checkpoint --resume
  wav2edge train data/ --base checkpoint/ --encoder-layers 12 --prune-ffn 0.25 --output smaller
  wav2edge train manifest.jsonl --base checkpoint/ --heads ctc --epochs 20 --learning-rate 1e-4 --output second""",
)
