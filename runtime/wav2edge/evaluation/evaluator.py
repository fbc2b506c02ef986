"""Evaluation of a model on a data set: one report for a bundle and for a PyTorch checkpoint alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wav2edge.bundle.heads import Heads
from wav2edge.errors import AudioError, DataError, DeviceError, Wav2EdgeError
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split
from wav2edge.evaluation.rates import WordTimesError, start_errors_s
from wav2edge.evaluation.report import Report, make_report, normalized_word_errors
from wav2edge.evaluation.text_normalization import TextNormalization
from wav2edge.inference.recognizer import Recognizer
from wav2edge.output.result import Result

EVERY_NORMALIZATION = TextNormalization(lowercase=True, strip_punctuation=True)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A report, the results that it counts, and the error of each row that failed, which it does not count."""

    report: Report
    results: tuple[tuple[Utterance, Result], ...]
    failures: tuple[Wav2EdgeError, ...]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the WER hides: edits that are differences in case or punctuation only."""
        counted = self.report.word_errors
        if counted is None:
            return ()
        fewer = counted.edits - normalized_word_errors(_transcripts(self.results), EVERY_NORMALIZATION).edits
        if fewer <= 0:
            return ()
        return (
            f"word edits that are differences in case or punctuation only: {fewer} of {counted.edits};"
            " see --lowercase and --strip-punctuation",
        )

    def to_dict(self) -> dict[str, Any]:
        """The report with ``failures``, one message per row, and the coverage if it is not 1; JSON-ready."""
        coverage = {"rejected": self.rejected, "coverage": self.coverage} if self.rejected else {}
        return {**self.report.to_dict(), **coverage, "failures": [str(failure) for failure in self.failures]}

    def table(self) -> str:
        """The report as text for a terminal, with the numbers of rows that were rejected, and that failed."""
        failed = f"\nfailed    {len(self.failures)} of {len(self.failures) + len(self.results)} rows"
        rejected = f"\nrejected  {self.rejected} of {len(self.results)} clips, which no figure includes"
        coverage = f"{rejected} (coverage {self.coverage:.4f})" if self.rejected else ""
        return self.report.table() + coverage + (failed if self.failures else "")

    @property
    def rejected(self) -> int:
        """Clips whose answer was not sure enough; the report is over the others."""
        return sum(result.rejected for _, result in self.results)

    @property
    def coverage(self) -> float:
        """Share of the recognised clips that were not rejected."""
        return 1 - self.rejected / len(self.results)


def choose_split(utterances: Sequence[Utterance], split: str | None) -> list[Utterance]:
    """The rows to evaluate on: the named split, else test, else validation, else everything.

    Raises:
        DataError: the named split has no rows.
    """
    if split is not None:
        return select_split(utterances, split)
    there = {row.split for row in utterances}
    for name in ("test", "validation"):
        if name in there:
            return select_split(utterances, name)
    return list(utterances)


def evaluate(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    *,
    normalization: TextNormalization | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Recognise every utterance and count.

    A row whose clip cannot be used, or whose label the model does not know, fails: no figure of the report includes it,
    so that accuracy and WER are over the same clips.

    Args:
        recognizer: an engine, or a checkpoint behind its interface.
        utterances: rows with a transcript, a label, or both.
        normalization: applied to references and hypotheses; white space and Unicode NFC where None.
        advance: called after each row.

    Raises:
        DataError: no row has what the model predicts, or every row failed.
        DeviceError: the device failed on every row.
    """
    _check_comparable(recognizer.heads, utterances)
    results: list[tuple[Utterance, Result]] = []
    failures: list[Wav2EdgeError] = []
    for row, result in _attempts(recognizer, utterances):
        if isinstance(result, Result):
            results.append((row, result))
        else:
            failures.append(result)
        advance()
    if not results:
        _raise_all_failed(failures)
    report = _report(recognizer.heads, utterances, results, normalization)
    return Evaluation(report=report, results=tuple(results), failures=tuple(failures))


def evaluate_dataset(
    recognizer: Recognizer, data: Path, *, split: str | None = None, advance: Callable[[], None] = lambda: None
) -> Evaluation:
    """Read a data set, choose the split as ``choose_split`` does, and evaluate."""
    return evaluate(recognizer, choose_split(read_dataset(data), split), advance=advance)


def _check_comparable(heads: Heads, utterances: Sequence[Utterance]) -> None:
    if heads.ctc is None and heads.classification is None:
        raise DataError(
            f"nothing to evaluate: the model has {' and '.join(heads.names)}, and a data set says nothing of that;"
            " the certificate compares it with the original"
        )
    if not _labelled(heads, utterances) and not _transcribed(heads, utterances):
        raise DataError(
            f"nothing to compare: the model has {' and '.join(heads.names)},"
            " and no row has a transcription or a label to match; add one to the data set"
        )


def _labelled(heads: Heads, utterances: Sequence[Utterance]) -> bool:
    return heads.classification is not None and any(row.label is not None for row in utterances)


def _transcribed(heads: Heads, utterances: Sequence[Utterance]) -> bool:
    return heads.ctc is not None and any(row.transcription is not None for row in utterances)


def _attempts(
    recognizer: Recognizer, utterances: Sequence[Utterance]
) -> Iterator[tuple[Utterance, Result | Wav2EdgeError]]:
    """Each row with its result, or with the error that names the row."""
    labels = None if recognizer.heads.classification is None else recognizer.heads.classification.labels
    for row in utterances:
        if labels is not None and row.label is not None and row.label not in labels:
            known = ", ".join(labels)
            yield row, DataError(f"{row.where}: label {row.label!r} is unknown to the model, which has {known}")
            continue
        try:
            yield row, recognizer(row.path)
        except (AudioError, DeviceError) as error:
            yield row, type(error)(f"{row.where}: {error}")


def _raise_all_failed(failures: Sequence[Wav2EdgeError]) -> None:
    first, count = failures[0], len(failures)
    kind = DeviceError if all(isinstance(each, DeviceError) for each in failures) else DataError
    raise kind(f"{first}" if count == 1 else f"all {count} rows failed; the first: {first}")


def _report(
    heads: Heads,
    utterances: Sequence[Utterance],
    results: Sequence[tuple[Utterance, Result]],
    normalization: TextNormalization | None,
) -> Report:
    labels = heads.classification.labels if heads.classification and _labelled(heads, utterances) else None
    return make_report(
        labels=labels,
        label_pairs=[(row.label, found.label) for row, found in results if row.label and found.label] if labels else [],
        transcription_pairs=_transcripts(results) if _transcribed(heads, utterances) else None,
        word_times=WordTimesError.over(
            error_s for row, found in results for error_s in start_errors_s(found.words, row)
        ),
        normalization=normalization,
    )


def _transcripts(results: Sequence[tuple[Utterance, Result]]) -> list[tuple[str, str]]:
    """Reference and hypothesis of each clip that has both, and is not rejected."""
    return [
        (row.transcription, found.text)
        for row, found in results
        if row.transcription is not None and found.text is not None and not found.rejected
    ]
