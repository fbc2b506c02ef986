"""The outcome of a run, and its files: checkpoint, report, charts, model card, comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.report import Report
from wav2edge.output.documents import write_json
from wav2edge_train.data.corpus import Log
from wav2edge_train.data.vocabulary import save_processor
from wav2edge_train.distillation.teacher import Teacher, comparable_teacher
from wav2edge_train.loop.distributed import process_count
from wav2edge_train.loop.report_metrics import ReportMetrics
from wav2edge_train.loop.trainer import JointTrainer
from wav2edge_train.loop.training_run import Run
from wav2edge_train.model.joint_model import JointModel
from wav2edge_train.reporting.card_metadata import license_of
from wav2edge_train.reporting.charts import write_charts
from wav2edge_train.reporting.size_comparison import Comparison, compare_with
from wav2edge_train.reporting.training_card import Card
from wav2edge_train.reporting.training_rows import TrainingRow


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """A finished run: the folder of its checkpoint, its report on the validation split, and the evaluations before it.

    ``comparison`` is with the teacher, or with the base of a model that was made smaller and has the same heads.
    """

    folder: Path
    report: Report
    rows: tuple[TrainingRow, ...]
    chosen_step: int | None = None
    comparison: Comparison | None = None


def compare_sizes(
    run: Run, report: Report, trainer: JointTrainer, metrics: ReportMetrics, *, name: str
) -> Comparison | None:
    """Compare a student with its teacher, and a model that was made smaller with its base; None for other models.

    Args:
        run: the inputs of the run.
        report: the report of the trained model.
        trainer: its trainer.
        metrics: makes the report of the larger model.
        name: the name of the trained model.
    """
    large = run.distillation.teacher if run.distillation else _larger_base(run)
    return compare_with(large, (name, trainer.joint_model, report), trainer, metrics) if large else None


def _larger_base(run: Run) -> Teacher | None:
    made_smaller = run.options.encoder_layers is not None or run.options.prune_ffn > 0
    return comparable_teacher(run.base, run.corpus.targets) if made_smaller else None


def write_checkpoint(folder: Path, model: JointModel, run: Run) -> None:
    """Write the model, its feature extractor and, for a CTC head, its tokenizer.

    The config says how long the longest training clip was: what is longer, an engine answers in segments.
    """
    longest = max(len(example.samples) for example in run.corpus.training.examples)
    model.config.longest_clip_s = round(longest / SAMPLE_RATE_HZ, 3)
    model.save_pretrained(folder)
    save_processor(folder, run.base.extractor, run.corpus.targets.vocabulary)


def write_report_and_card(outcome: TrainingOutcome, run: Run, data: str, log: Log) -> None:
    """Write ``report.json``, ``README.md`` and, where there is one, ``comparison.json``; then the charts.

    The card is written again with the charts in it: whatever keeps them from being drawn, the figures are there.

    Args:
        outcome: the finished run.
        run: its inputs.
        data: the name of the data set.
        log: gets a line where the charts lack letters.
    """
    base = run.base
    card = Card(
        name=outcome.folder.resolve().name,
        base=base.title,
        pretrained=base.weights is not None,
        license_name=license_of(base.weights) if base.weights else None,
        data=data,
        clips={"training": len(run.corpus.training), "evaluation": len(run.corpus.validation)},
        clips_with_word_starts=run.corpus.training.clips_with_word_starts,
        options=run.options,
        precision=run.precision,
        rows=outcome.rows,
        final=outcome.report,
        devices=process_count(),
        chosen_step=outcome.chosen_step,
        distillation=run.distillation.options if run.distillation else None,
        comparison=outcome.comparison,
    )
    write_json(outcome.folder / "report.json", outcome.report.to_dict())
    if outcome.comparison is not None:
        write_json(outcome.folder / "comparison.json", outcome.comparison.to_dict())
    readme = outcome.folder / "README.md"
    readme.write_text(card.text(), encoding="utf-8")
    charts = write_charts(outcome.folder, outcome.rows, outcome.report, log)
    readme.write_text(replace(card, charts=charts).text(), encoding="utf-8")
