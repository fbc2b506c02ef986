"""Fine-tuning from top to bottom: data, model, Trainer, evaluation, checkpoint, report and card."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from transformers import set_seed

from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.data.corpus import Log, prepare_corpus
from wav2edge_train.distillation.distillation_trainer import Distillation
from wav2edge_train.loop.arguments import (
    require_tensorboard,
    resolve_precision,
    tensorboard_callback,
    training_arguments,
    updates_only,
)
from wav2edge_train.loop.callbacks import ConsoleCallback, EarlyStopping
from wav2edge_train.loop.distributed import is_first_process, threads_for
from wav2edge_train.loop.feature_pretraining import pretrain_feature_encoder
from wav2edge_train.loop.forecast import Forecast, forecast
from wav2edge_train.loop.report_metrics import ReportMetrics
from wav2edge_train.loop.saved_checkpoints import (
    CHECKPOINTS,
    check_resumable,
    find_saved_checkpoint,
    record_settings,
    writing,
)
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.loop.training_run import Run
from wav2edge_train.model.base_model import BaseModel, check_size
from wav2edge_train.model.trained_heads import mismatched_heads
from wav2edge_train.reporting.run_report import (
    TrainingOutcome,
    compare_sizes,
    write_checkpoint,
    write_report_and_card,
)
from wav2edge_train.reporting.training_rows import training_rows
from wav2edge_train.training_options import TrainingOptions


def log_to_stderr(line: str) -> None:
    """Write one line to standard error."""
    print(line, file=sys.stderr, flush=True)


def train(
    data: Path,
    output: Path,
    *,
    base: BaseModel,
    options: TrainingOptions,
    distillation: Distillation | None = None,
    resume: bool = False,
    log: Log = log_to_stderr,
) -> TrainingOutcome:
    """Fine-tune ``base`` on the split ``train`` of a data set, and evaluate it on the split ``validation``.

    A model that is made smaller is compared with the base afterwards, and a student with its teacher.

    Args:
        data: a folder with ``metadata.csv`` or a JSON-lines manifest, see ``wav2edge.evaluation.dataset``.
        output: folder of the checkpoint, its report and its card.
        base: where to start from.
        options: how to train.
        distillation: the teacher of a student, which then has the teacher's vocabulary and labels.
        resume: resume from the last checkpoint that an earlier run saved in ``output``.
        log: receives the log, line by line.

    Raises:
        DataError: the data set cannot be trained on; the message names the row.
        TrainingError: the output holds another run, or there is nothing to resume.
        UsageError: this machine cannot train in the requested precision, or the base is too small for the options.
    """
    log = log if is_first_process() else _discard
    if options.tensorboard:
        require_tensorboard()
    check_size(base, options)
    saved = find_saved_checkpoint(output, resume=resume, log=log)
    run = prepare_run(data, base, options, distillation, log)
    settings = run.settings()
    if saved is not None:
        check_resumable(output, settings, log)
    if is_first_process():
        record_settings(output, settings)

    with quiet_transformers():
        trainer, metrics = set_up(output, run, log)
        model = trainer.joint_model
        with threads_for(model):
            if base.weights is None and saved is None:
                steps = options.feature_pretrain_steps
                pretrain_feature_encoder(model, run.corpus.training, steps=steps, seed=options.seed)
            trainer.train_or_resume(saved)
        outcome = conclude(output, run, trainer, metrics)

    if is_first_process():
        with writing(output, remove_partial=False):
            write_report_and_card(outcome, run, data.name, log)
    return outcome


def prepare_run(
    data: Path, base: BaseModel, options: TrainingOptions, distillation: Distillation | None, log: Log
) -> Run:
    """Seed everything random, and read and check the data; see ``train`` for arguments and errors."""
    precision = resolve_precision(options.precision)
    set_seed(options.seed)
    corpus = prepare_corpus(data, base, options, log, teacher=distillation.teacher if distillation else None)
    return Run(base=base, corpus=corpus, options=options, precision=precision, distillation=distillation)


def set_up(output: Path, run: Run, log: Log) -> tuple[JointTrainer, ReportMetrics]:
    """Build the model and its Trainer, and what reports on them."""
    model = run.start_model()
    metrics = ReportMetrics(run.corpus.targets, run.corpus.transcriptions, run.options.text_normalization)
    folder = output / CHECKPOINTS
    arguments = training_arguments(folder, run.base, run.corpus.targets, run.options, run.precision)
    trainer = run.make_trainer(model, arguments)
    trainer.compute_metrics = metrics
    trainer.add_callback(ConsoleCallback(log, metrics, trainer.time_limit))
    trainer.add_callback(EarlyStopping(run.options.patience))
    if run.options.tensorboard and is_first_process():
        trainer.add_callback(tensorboard_callback(output / "tensorboard"))
    for message in mismatched_heads(run.base.name, run.base.heads, run.corpus.targets).values():
        log(message)
    log(run.summary(model))
    return trainer, metrics


def conclude(output: Path, run: Run, trainer: JointTrainer, metrics: ReportMetrics) -> TrainingOutcome:
    """Evaluate the trained model, save it, and compare it with the larger model that it comes from."""
    model = trainer.joint_model
    with threads_for(model):
        prediction = trainer.predict(run.corpus.validation, metric_key_prefix="final")
    report = metrics.make_report(prediction, loss=(prediction.metrics or {})["final_loss"])
    if is_first_process():
        with writing(output, remove_partial=False):
            write_checkpoint(output, model, run)
    return TrainingOutcome(
        folder=output,
        report=report,
        rows=training_rows(trainer.state.log_history),
        chosen_step=trainer.state.best_global_step if run.options.keep == "best" else None,
        comparison=compare_sizes(run, report, trainer, metrics, name=output.resolve().name),
    )


def dry_run(
    data: Path,
    *,
    base: BaseModel,
    options: TrainingOptions,
    distillation: Distillation | None = None,
    log: Log = log_to_stderr,
) -> Forecast:
    """Check a data set and a base as ``train`` does, make a few updates, and keep nothing.

    Raises:
        DataError: the data set cannot be trained on; the message names the row.
        UsageError: this machine cannot train in the requested precision, or the base is too small for the options.
    """
    log = log if is_first_process() else _discard
    check_size(base, options)
    run = prepare_run(data, base, options, distillation, log)
    with quiet_transformers(), TemporaryDirectory() as folder:
        model = run.start_model()
        arguments = training_arguments(Path(folder), base, run.corpus.targets, options, run.precision)
        trainer = run.make_trainer(model, updates_only(arguments))
        log(run.summary(model))
        with threads_for(model):
            return forecast(trainer, run)


def _discard(line: str) -> None:
    """Drop a line, as every process but the first does."""
