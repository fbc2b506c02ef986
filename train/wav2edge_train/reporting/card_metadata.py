"""The metadata block of a model card, which the Hub displays and ranks models by.

The fields are those of https://huggingface.co/docs/hub/model-cards#evaluation-results.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from yaml import YAMLError

if TYPE_CHECKING:
    from wav2edge.evaluation.report import Report


TASKS = {
    "ctc": "automatic-speech-recognition",
    "classification": "audio-classification",
    "frame_classification": "audio-classification",
    "embedding": "feature-extraction",
}
"""The Hub's name for the task of each head."""


def license_of(source: str) -> str | None:
    """The license in the model card of a checkpoint, local or on the Hub; None where none can be read."""
    folder = Path(source)
    try:
        card = ModelCard.load(folder / "README.md" if folder.is_dir() else source, ignore_metadata_errors=True)
    except (OSError, ValueError, YAMLError):
        return None
    found = card.data.license
    return found if isinstance(found, str) else None


def card_metadata(*, name: str, base: str | None, license_name: str | None, data: str, report: Report) -> ModelCardData:
    """The metadata of a model: its base, its tasks, and its figures on the validation split.

    Args:
        name: the name of the model.
        base: the Hub name of the checkpoint it was fine-tuned from; None where there is none.
        license_name: the Hub's identifier of the license; None leaves it open to whoever publishes the model.
        data: the name of the data set.
        report: the report of the validation split.
    """
    results = list(_results(data, report))
    return ModelCardData(
        base_model=base,
        license=license_name,
        library_name="transformers",
        pipeline_tag=TASKS["classification" if report.word_errors is None else "ctc"],
        tags=["generated_from_trainer", "wav2edge"],
        metrics=[result.metric_type for result in results],
        model_name=name,
        eval_results=results,
    )


def _results(data: str, report: Report) -> Iterator[EvalResult]:
    def result(task: str, metric: str, title: str, value: float) -> EvalResult:
        return EvalResult(
            task_type=task,
            dataset_type="audiofolder",
            dataset_name=data,
            dataset_split="validation",
            metric_type=metric,
            metric_name=title,
            metric_value=round(value, 4),
        )

    if report.classification is not None:
        precision, recall, f1, _ = report.classification.rows()["macro avg"]
        yield result(TASKS["classification"], "accuracy", "Accuracy", report.classification.accuracy)
        yield result(TASKS["classification"], "f1", "Macro F1", f1)
        yield result(TASKS["classification"], "precision", "Macro precision", precision)
        yield result(TASKS["classification"], "recall", "Macro recall", recall)
    if report.word_errors is not None:
        yield result(TASKS["ctc"], "wer", "WER", report.word_errors.rate)
