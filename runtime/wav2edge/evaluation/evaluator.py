"""A model against a data set: one report, whatever answers, a bundle or a PyTorch checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wav2edge.bundle.heads import Heads
from wav2edge.errors import AudioError, DataError
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split
from wav2edge.evaluation.report import Report, make_report
from wav2edge.inference.recognizer import Recognizer
from wav2edge.output.result import Result


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A report, the answers it counts, and the clips that could not be answered."""

    report: Report
    answers: tuple[tuple[Utterance, Result], ...]
    failures: tuple[AudioError, ...]


def choose_split(utterances: Sequence[Utterance], split: str | None) -> list[Utterance]:
    """The rows to evaluate on: the named split, else test, else validation, else everything."""
    if split is not None:
        return select_split(utterances, split)
    there = {row.split for row in utterances}
    for name in ("test", "validation"):
        if name in there:
            return select_split(utterances, name)
    return list(utterances)


def evaluate(
    recognizer: Recognizer, utterances: Sequence[Utterance], *, advance: Callable[[], None] = lambda: None
) -> Evaluation:
    """Answer every utterance and count.

    Args:
        recognizer: an engine, or a checkpoint behind its interface.
        utterances: rows with a transcription, a label, or both.
        advance: called after each clip.

    Raises:
        DataError: a label is one the model does not know, or there is nothing to compare with.
    """
    labels = _labels(recognizer.heads, utterances)
    transcribed = recognizer.heads.ctc is not None and any(row.transcription is not None for row in utterances)
    if labels is None and not transcribed:
        raise DataError(
            f"nothing to compare: the model answers {' and '.join(recognizer.heads.names)},"
            " and no row has a fitting transcription or label"
        )
    answers, failures = [], []
    for row, result in _attempts(recognizer, utterances):
        if isinstance(result, AudioError):
            failures.append(result)
        else:
            answers.append((row, result))
        advance()
    report = make_report(
        labels=labels,
        label_pairs=[(row.label, found.label) for row, found in answers if row.label and found.label] if labels else [],
        transcription_pairs=[
            (row.transcription, found.text)
            for row, found in answers
            if row.transcription is not None and found.text is not None
        ]
        if transcribed
        else None,
    )
    return Evaluation(report=report, answers=tuple(answers), failures=tuple(failures))


def evaluate_dataset(
    recognizer: Recognizer, data: Path, *, split: str | None = None, advance: Callable[[], None] = lambda: None
) -> Evaluation:
    """Read a data set, choose the split as ``choose_split`` does, and evaluate."""
    return evaluate(recognizer, choose_split(read_dataset(data), split), advance=advance)


def _attempts(
    recognizer: Recognizer, utterances: Sequence[Utterance]
) -> Iterator[tuple[Utterance, Result | AudioError]]:
    for row in utterances:
        try:
            yield row, recognizer(row.path)
        except AudioError as error:
            yield row, AudioError(f"{row.where}: {error}")


def _labels(heads: Heads, utterances: Sequence[Utterance]) -> tuple[str, ...] | None:
    """The labels to report on, once every label of the data is known to the model; None if there are none."""
    if heads.classification is None or all(row.label is None for row in utterances):
        return None
    known = heads.classification.labels
    for row in utterances:
        if row.label is not None and row.label not in known:
            raise DataError(f"{row.where}: label {row.label!r} is unknown to the model, which has {', '.join(known)}")
    return known
