"""The model card, in the form of the reference card: figures, hyper-parameters, and one row per evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from wav2edge.evaluation.report import Report
from wav2edge.output.tables import markdown_table
from wav2edge_train.reporting.card_metadata import card_metadata
from wav2edge_train.reporting.size_comparison import Comparison
from wav2edge_train.reporting.training_rows import TrainingRow
from wav2edge_train.training_options import DistillationOptions, TrainingOptions

LEADING_COLUMNS = ("Training Loss", "Epoch", "Step", "Validation Loss")
UNUSUAL = (
    "lowercase",
    "strip_punctuation",
    "follow_word_starts",
    "class_balance",
    "freeze_feature_encoder",
    "unfreeze_feature_encoder_after",
    "freeze_layers",
    "unfreeze_layers_after",
    "gradient_checkpointing",
    "patience",
)
"""Hyper-parameters that the card names only where they differ from those of the reference run."""

FRAMEWORKS = {"Transformers": "transformers", "Pytorch": "torch", "Tokenizers": "tokenizers"}

HEADER = """---
{metadata}
---

# {name}

{origin}
It achieves the following results on the evaluation set:
{figures}
{confusion}{comparison}
## Training and evaluation data

{data}

## Training procedure

### Training hyperparameters

The following hyperparameters were used during training:
{hyperparameters}

### Training results

{results}
{charts}
### Framework versions

{frameworks}
"""


@dataclass(frozen=True, kw_only=True)
class Card:
    """The contents of a model card; ``license_name`` is the license of the base."""

    name: str
    base: str
    pretrained: bool
    data: str
    clips: Mapping[str, int]
    options: TrainingOptions
    precision: str
    rows: Sequence[TrainingRow]
    final: Report
    clips_with_word_starts: int = 0
    license_name: str | None = None
    devices: int = 1
    chosen_step: int | None = None
    charts: Sequence[str] = ()
    distillation: DistillationOptions | None = None
    comparison: Comparison | None = None

    def text(self) -> str:
        """The card as Markdown, with the metadata block that the Hub reads."""
        hub_base = self.base if self.pretrained and self.base.count("/") == 1 else None
        metadata = card_metadata(
            name=self.name, base=hub_base, license_name=self.license_name, data=self.data, report=self.final
        )
        return HEADER.format(
            metadata=metadata.to_yaml(),
            name=self.name,
            origin=self._origin(),
            figures=figure_lines(self.final),
            confusion=_section("Confusion matrix", confusion_table(self.final)),
            data=f"{self.data}: {self._data()}.",
            comparison=_section("Compared with the larger model", self._comparison()),
            hyperparameters=_bullets(
                hyperparameters(self.options, self.precision, self.devices)
                | (asdict(self.distillation) if self.distillation is not None else {})
            ),
            results=training_table(self.rows) + self._choice(),
            charts="".join(f"\n![{chart.partition('.')[0]}]({chart})\n" for chart in self.charts),
            frameworks="\n".join(f"- {name} {version(package)}" for name, package in FRAMEWORKS.items()),
        )

    def _data(self) -> str:
        counts = ", ".join(f"{count} clips for {use}" for use, count in self.clips.items())
        timed = self.clips_with_word_starts
        return counts + (f"; words are emitted where they begin in {timed} of the training clips" if timed else "")

    def _origin(self) -> str:
        if not self.pretrained:
            return f"This model was trained from random weights (wav2edge's preset `{self.base}`)."
        link = f"[{self.base}](https://huggingface.co/{self.base})" if self.base.count("/") == 1 else f"`{self.base}`"
        if self.distillation is not None:
            return f"This model is a student of {link}, from which it was distilled."
        return f"This model is a fine-tuned version of {link}."

    def _comparison(self) -> str:
        if self.comparison is None:
            return ""
        return (
            f"{self.comparison.table()}\n\nWER and accuracy are of the same evaluation set. Times are medians in"
            " PyTorch on the CPU of the training machine, in alternating runs."
        )

    def _choice(self) -> str:
        if self.chosen_step is None:
            return ""
        return f"\n\nThe weights are those of step {self.chosen_step}, which had the best mean of accuracy and 1 - WER."


def title(key: str) -> str:
    """A figure's name in the reference card: ``macro avg_f1-score`` becomes ``Macro avg F1-score``."""
    return " ".join(part.capitalize() for part in key.split("_"))


def rounded(value: Any) -> str:
    """A figure in the rounding of the reference card: at most four decimals."""
    if isinstance(value, float):
        decimals = str(value).partition(".")[2]
        if len(decimals) > 4:
            return f"{value:.4f}"
    return str(value)


def figure_lines(report: Report) -> str:
    """The report's figures, one per line."""
    return _bullets({title(key): rounded(value) for key, value in card_figures(report.metrics()).items()})


def card_figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of ``Report.metrics()`` in the form of the reference card.

    The card writes the confusion matrix as ``mtrix``: a row of labels, then each label with its counts.
    """
    figures = dict(metrics)
    matrix = figures.pop("confusion_matrix", None)
    if matrix is None:
        return figures
    labels = [int(label) if label.isdecimal() else label for label in matrix["labels"]]
    rows = ([label, *counts] for label, counts in zip(labels, matrix["counts"], strict=True))
    return figures | {"mtrix": [labels, *rows]}


def confusion_table(report: Report) -> str:
    """Clips of each true class (rows) by predicted class, as Markdown; empty without a classifier."""
    if report.classification is None:
        return ""
    names, counts = report.classification.labels, report.classification.confusion
    rows = [[f"**{name}**", *map(str, row)] for name, row in zip(names, counts, strict=True)]
    return markdown_table(["true \\ predicted", *names], rows)


def hyperparameters(options: TrainingOptions, precision: str, devices: int = 1) -> dict[str, Any]:
    """The options under the names of the reference card, in its order."""
    named: dict[str, Any] = {
        "learning_rate": options.learning_rate,
        "train_batch_size": options.batch_size,
        "eval_batch_size": options.batch_size,
        "seed": options.seed,
    }
    if devices > 1:
        named |= {"distributed_type": "multi-device", "num_devices": devices}
    if options.accumulation > 1:
        named["gradient_accumulation_steps"] = options.accumulation
    if devices * options.accumulation > 1:
        named["total_train_batch_size"] = options.batch_size * options.accumulation * devices
    named["optimizer"] = "Adam with betas=(0.9,0.999) and epsilon=1e-08"
    named["lr_scheduler_type"] = options.schedule
    named["lr_scheduler_warmup_steps"] = options.warmup_steps
    if options.max_steps is not None:
        named["training_steps"] = options.max_steps
    if options.max_minutes is not None:
        named["training_minutes"] = f"{options.max_minutes:g}"
    if options.max_steps is None and options.max_minutes is None:
        named["num_epochs"] = f"{options.epochs:g}"
    if precision != "fp32":
        named["mixed_precision_training"] = "Native AMP"
    return named | {
        "weight_decay": options.weight_decay,
        "class_weight": options.class_weight,
        "ctc_weight": options.ctc_weight,
        "augmentation": options.augmentation,
        "feature_pretrain_steps": options.feature_pretrain_steps,
        "encoder_layers": "all" if options.encoder_layers is None else options.encoder_layers,
        "layers_from": options.layers_from,
        "prune_ffn": options.prune_ffn,
        **{
            name: getattr(options, name) for name in UNUSUAL if getattr(options, name) != getattr(TrainingOptions, name)
        },
    }


def training_table(rows: Sequence[TrainingRow]) -> str:
    """The table of evaluations with the columns of the reference card, as aligned Markdown."""
    if not rows:
        return "No evaluation ran."
    table = [_cells(row) for row in rows]
    return markdown_table(list(table[0]), [list(cells.values()) for cells in table], numeric=False)


def _cells(row: TrainingRow) -> dict[str, str]:
    figures = card_figures(row.figures)
    loss = "No log" if row.training_loss is None else rounded(row.training_loss)
    leading = (loss, rounded(round(row.epoch, 2)), str(row.step), rounded(figures.pop("loss", "")))
    return dict(zip(LEADING_COLUMNS, leading, strict=True)) | {title(k): rounded(v) for k, v in figures.items()}


def _section(heading: str, text: str) -> str:
    return f"\n### {heading}\n\n{text}\n" if text else ""


def _bullets(figures: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in figures.items())
