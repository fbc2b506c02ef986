"""Fine-tuning as one story: data, vocabulary and labels, model, Trainer, evaluation, checkpoint, report, card."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from transformers import TrainingArguments, set_seed

from wav2edge.errors import TrainingError
from wav2edge.evaluation.report import Report
from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.data.clips import Collator, Targets
from wav2edge_train.data.corpus import Corpus, Say, prepare_corpus
from wav2edge_train.data.vocabulary import save_processor
from wav2edge_train.distillation.distillation_trainer import Distillation, DistillationTrainer
from wav2edge_train.distillation.teacher import Teacher, original_of
from wav2edge_train.loop.arguments import training_arguments, updates_only
from wav2edge_train.loop.console_callback import Narrator
from wav2edge_train.loop.distributed import is_first_process, process_count
from wav2edge_train.loop.feature_pretraining import learn_to_hear
from wav2edge_train.loop.forecast import Forecast, forecast
from wav2edge_train.loop.mixed_precision import resolve_precision
from wav2edge_train.loop.saved_checkpoints import last_whole_step, saved_steps, writing
from wav2edge_train.loop.stopping import EarlyStopping
from wav2edge_train.loop.tensorboard import require_tensorboard
from wav2edge_train.loop.threads import threads_for
from wav2edge_train.loop.trainer import Examiner, JointTrainer
from wav2edge_train.model.base_model import Base, build_model, check_size
from wav2edge_train.model.freezing import Freezing, frozen_parts
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC
from wav2edge_train.model.pruning import prune_feed_forward
from wav2edge_train.model.trained_heads import useless_heads
from wav2edge_train.reporting.card_metadata import license_of
from wav2edge_train.reporting.charts import write_charts
from wav2edge_train.reporting.size_comparison import Comparison, compare_with
from wav2edge_train.reporting.training_card import Card, TrainingRow
from wav2edge_train.training_options import TrainingOptions

CHECKPOINTS = "checkpoints"
"""Folder in the output where a run keeps what it needs to be resumed."""


def say_on_stderr(line: str) -> None:
    """Say one line of talk."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """A finished run: where the checkpoint is, its report on the validation split, and the way there.

    ``comparison`` is with the teacher, or with the base of a model that was made smaller and has the same heads.
    """

    folder: Path
    report: Report
    rows: tuple[TrainingRow, ...]
    chosen_step: int | None = None
    comparison: Comparison | None = None


def train(
    data: Path,
    output: Path,
    *,
    base: Base,
    options: TrainingOptions,
    distillation: Distillation | None = None,
    resume: bool = False,
    say: Say = say_on_stderr,
) -> TrainingOutcome:
    """Fine-tune ``base`` on the split ``train`` of a data set, and evaluate it on the split ``validation``.

    A model that is made smaller is compared with the base afterwards, and a student with its teacher.

    Args:
        data: a folder with ``metadata.csv`` or a JSON-lines manifest, see ``wav2edge.evaluation.dataset``.
        output: folder of the checkpoint, its report and its card.
        base: where to start from.
        options: how to train.
        distillation: a teacher whose answers are learnt too; vocabulary and labels are then the teacher's.
        resume: go on from the last saved step of an earlier run in ``output``.
        say: receives the talk, line by line.

    Raises:
        DataError: the data set cannot be trained on; the message names the row.
        TrainingError: the output holds another run, or there is nothing to resume.
        UsageError: this machine cannot train in the precision asked for, or the base is too small for the options.
    """
    say = say if is_first_process() else _keep_to_itself
    check_size(base, options)
    precision = resolve_precision(options.precision)
    if options.tensorboard:
        require_tensorboard()
    saved = find_saved_step(output, resume=resume, say=say)
    set_seed(options.seed)
    corpus = prepare_corpus(data, base, options, say, teacher=distillation.teacher if distillation else None)

    with quiet_transformers():
        model = start_model(base, corpus, options)
        examiner = Examiner(corpus.targets, corpus.transcriptions)
        arguments = training_arguments(output / CHECKPOINTS, base, corpus.targets, options, precision)
        trainer = make_trainer(model, arguments, base, corpus, options, distillation)
        trainer.compute_metrics = examiner
        trainer.add_callback(Narrator(say, examiner))
        trainer.add_callback(EarlyStopping(options.patience))
        for line in useless_heads(base.name, base.heads, corpus.targets).values():
            say(line)
        say(_opening(base, model, corpus, precision))
        with threads_for(model):
            if base.weights is None and saved is None:
                learn_to_hear(model, corpus.training, steps=options.hearing_steps, seed=options.seed)
            trainer.go_on_from(saved)
        outcome = conclude(output, trainer, examiner, base, corpus, options, distillation)

    if is_first_process():
        with writing(output, whole=False):
            write_report_and_card(outcome, data.name, base, corpus, options, precision, distillation)
    return outcome


def conclude(
    output: Path,
    trainer: JointTrainer,
    examiner: Examiner,
    base: Base,
    corpus: Corpus,
    options: TrainingOptions,
    distillation: Distillation | None,
) -> TrainingOutcome:
    """Ask what was trained the validation clips, save it, and compare it with the larger model it comes from."""
    model = cast(Wav2Vec2ForJointCTC, trainer.model)
    with threads_for(model):
        prediction = trainer.predict(corpus.validation, metric_key_prefix="final")
    if is_first_process():
        with writing(output, whole=False):
            model.save_pretrained(output)
            save_processor(output, base.extractor, corpus.targets.vocabulary)
    report = examiner.examine(prediction, loss=(prediction.metrics or {})["final_loss"])
    original = distillation.teacher if distillation else _larger_original(base, corpus.targets, options)
    named = (output.resolve().name, model, report)
    return TrainingOutcome(
        folder=output,
        report=report,
        rows=training_rows(trainer.state.log_history),
        chosen_step=trainer.state.best_global_step if options.keep == "best" else None,
        comparison=compare_with(original, named, trainer, examiner) if original else None,
    )


def dry_run(
    data: Path,
    *,
    base: Base,
    options: TrainingOptions,
    distillation: Distillation | None = None,
    say: Say = say_on_stderr,
) -> Forecast:
    """Check a data set and a base as ``train`` does, make a few updates, and write nothing.

    Raises:
        DataError: the data set cannot be trained on; the message names the row.
        UsageError: this machine cannot train in the precision asked for, or the base is too small for the options.
    """
    say = say if is_first_process() else _keep_to_itself
    check_size(base, options)
    precision = resolve_precision(options.precision)
    set_seed(options.seed)
    corpus = prepare_corpus(data, base, options, say, teacher=distillation.teacher if distillation else None)
    with quiet_transformers(), TemporaryDirectory() as folder:
        model = start_model(base, corpus, options)
        arguments = updates_only(training_arguments(Path(folder), base, corpus.targets, options, precision))
        trainer = make_trainer(model, arguments, base, corpus, options, distillation)
        say(_opening(base, model, corpus, precision))
        with threads_for(model):
            return forecast(trainer, corpus, options)


def start_model(base: Base, corpus: Corpus, options: TrainingOptions) -> Wav2Vec2ForJointCTC:
    """The model that training starts with, as narrow as it is to be."""
    model = build_model(base, corpus.targets, options, corpus.shortest_frames)
    if options.prune_ffn:
        prune_feed_forward(model, corpus.training, base.extractor, options.prune_ffn)
    return model


def make_trainer(
    model: Wav2Vec2ForJointCTC,
    arguments: TrainingArguments,
    base: Base,
    corpus: Corpus,
    options: TrainingOptions,
    distillation: Distillation | None = None,
) -> JointTrainer:
    """The Trainer of a model, on the clips of a corpus."""
    trainer_class = partial(DistillationTrainer, distillation=distillation) if distillation else JointTrainer
    return trainer_class(
        model=model,
        args=arguments,
        train_dataset=corpus.training,
        eval_dataset=corpus.validation,
        data_collator=Collator(extractor=base.extractor),
        callbacks=[Freezing(frozen_parts(model, options))],
        patience=options.patience,
    )


def _keep_to_itself(line: str) -> None:
    """What every process but the first does with its talk."""


def _larger_original(base: Base, targets: Targets, options: TrainingOptions) -> Teacher | None:
    made_smaller = options.encoder_layers is not None or options.prune_ffn > 0
    return original_of(base, targets) if made_smaller else None


def find_saved_step(output: Path, *, resume: bool, say: Say) -> Path | None:
    """The folder of the last saved step when resuming; None for a fresh run, and where nothing was saved yet.

    Raises:
        TrainingError: there is nothing to resume, or a fresh run would overwrite another.
    """
    folder = output / CHECKPOINTS
    if not resume and saved_steps(folder):
        raise TrainingError(f"{output}: already holds a run; add --resume to go on with it, or give another --output")
    if not resume:
        return None
    if not folder.is_dir():
        raise TrainingError(f"{output}: no run to resume there; run again without --resume")
    saved = last_whole_step(folder, say)
    say(f"{output}: no step was saved yet, from the start" if saved is None else f"going on from {saved}")
    return saved


def training_rows(history: Sequence[Mapping[str, Any]]) -> tuple[TrainingRow, ...]:
    """The evaluations in the Trainer's log, each with the training loss logged before it."""
    rows: list[TrainingRow] = []
    training_loss = None
    for entry in history:
        training_loss = entry.get("loss", training_loss)
        if "eval_loss" not in entry:
            continue
        figures = {key.removeprefix("eval_"): value for key, value in entry.items() if key.startswith("eval_")}
        figures = {key: value for key, value in figures.items() if key not in _BOOKKEEPING}
        rows.append(TrainingRow(training_loss=training_loss, epoch=entry["epoch"], step=entry["step"], figures=figures))
    return tuple(rows)


_BOOKKEEPING = {"runtime", "samples_per_second", "steps_per_second", "score", "model_preparation_time"}
"""What the Trainer logs beside the report's figures."""


def write_report_and_card(
    outcome: TrainingOutcome,
    data: str,
    base: Base,
    corpus: Corpus,
    options: TrainingOptions,
    precision: str,
    distillation: Distillation | None,
) -> None:
    """Write ``report.json``, the charts, ``README.md`` and, where there is one, ``comparison.json``."""
    card = Card(
        name=outcome.folder.resolve().name,
        base=Path(base.name).resolve().name if Path(base.name).is_dir() else base.name,
        pretrained=base.weights is not None,
        license_name=license_of(base.weights) if base.weights else None,
        data=data,
        clips={"training": len(corpus.training), "evaluation": len(corpus.validation)},
        options=options,
        precision=precision,
        rows=outcome.rows,
        final=outcome.report,
        devices=process_count(),
        chosen_step=outcome.chosen_step,
        charts=write_charts(outcome.folder, outcome.rows, outcome.report),
        distillation=distillation.options if distillation else None,
        comparison=outcome.comparison,
    )
    (outcome.folder / "README.md").write_text(card.text(), encoding="utf-8")
    _write_json(outcome.folder / "report.json", outcome.report.to_dict())
    if outcome.comparison is not None:
        _write_json(outcome.folder / "comparison.json", outcome.comparison.to_dict())


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _opening(base: Base, model: Wav2Vec2ForJointCTC, corpus: Corpus, precision: str) -> str:
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    return (
        f"{base.name}: {millions:.2f} million parameters, heads {' and '.join(model.config.joint_heads)};"
        f" {len(corpus.training)} clips to train on, {len(corpus.validation)} to evaluate on;"
        f" {precision} on {model.device.type}" + (f", {process_count()} processes" if process_count() > 1 else "")
    )
