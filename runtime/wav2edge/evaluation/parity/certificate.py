"""The parity certificate: the measured agreement of a variant with the original, and whether it is within budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.errors import AudioError
from wav2edge.evaluation.parity.clip_evidence import ClipEvidence
from wav2edge.evaluation.parity.differences import (
    Budget,
    ClipComparison,
    Model,
    OutputDifference,
    compare_clip,
    compare_on_signals,
)
from wav2edge.evaluation.parity.signals import SyntheticSignal
from wav2edge.evaluation.rates import Interval, WordTimesError, share_interval, start_errors_s
from wav2edge.inference.interpretation import interpret
from wav2edge.output.documents import json_ready

if TYPE_CHECKING:
    from wav2edge.evaluation.dataset import Utterance
    from wav2edge.evaluation.parity.calibration import Calibration

ANSWERS = {"ctc": "words", "classification": "classes"}
PADDED = ", padded in a batch"
"""Suffix of a signal's name where a batched variant was given it together with a longer neighbour."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The evidence for one variant, and the verdict.

    ``kept_in_float`` and ``kept_in_int8`` name the parts of the model that were not quantised further, and
    ``int8_by_row`` those whose activations have a scale for each row; ``note`` says how a variant was chosen.
    ``signals`` holds the difference on each synthetic signal, by its name, and ``longest_signal_s`` the duration of the
    longest of them. ``word_times_error`` is of the variant's word starts against the true ones; None where no clip of
    the data set tells them. ``calibration`` says how honest the variant's confidences are, by head; None where the
    clips do not tell.
    """

    precision: str
    budget: Budget
    kept_in_float: tuple[str, ...] = ()
    kept_in_int8: tuple[str, ...] = ()
    int8_by_row: tuple[str, ...] = ()
    note: str | None = None
    signals: Mapping[str, OutputDifference]
    longest_signal_s: float | None = None
    clips: ClipEvidence | None = None
    word_times_error: WordTimesError | None = None
    calibration: Mapping[str, Calibration] | None = None
    violations: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "violations", tuple(self.budget.violations(self.measured(), self._steps())))

    @property
    def passed(self) -> bool:
        """Whether every figure is within budget."""
        return not self.violations

    @property
    def certified_up_to_s(self) -> float | None:
        """Duration of the longest audio that was compared, signal or clip; None where nothing was."""
        clips_s = None if self.clips is None else self.clips.longest_s
        return max((each for each in (self.longest_signal_s, clips_s) if each is not None), default=None)

    def measured(self) -> dict[str, float]:
        """The figures that a budget can bound, as far as they were measured."""
        figures: dict[str, float] = {}
        if self.signals:
            figures["absolute_error"] = max(each.absolute_error for each in self.signals.values())
            figures["relative_error"] = max(each.relative_error for each in self.signals.values())
        if self.clips is not None and self.clips.clips:
            figures["changed_results"] = self.clips.changed_results / self.clips.clips
            if self.clips.embedding_distance is not None:
                figures["embedding_distance"] = self.clips.embedding_distance
            if self.clips.wer is not None:
                figures["wer_increase"] = self.clips.wer.difference
            if self.clips.accuracy is not None:
                figures["accuracy_drop"] = self.clips.accuracy.original - self.clips.accuracy.variant
        return figures

    def allowed(self) -> dict[str, float]:
        """The upper bounds of these figures, given the number of words and clips."""
        return self.budget.allowed(self._steps())

    def _steps(self) -> dict[str, float]:
        """How far one word or one clip moves each rate that a budget can bound."""
        rates = {} if self.clips is None else {"wer_increase": self.clips.wer, "accuracy_drop": self.clips.accuracy}
        return {name: 1 / rate.total for name, rate in rates.items() if rate is not None}

    def intervals(self) -> dict[str, Interval]:
        """The 95 % intervals of the figures that are counted over clips."""
        found: dict[str, Interval] = {}
        if self.clips is not None and self.clips.clips:
            found["changed_results"] = share_interval(self.clips.changed_results, self.clips.clips)
            if self.clips.wer is not None:
                found["wer_increase"] = self.clips.wer.interval
            if self.clips.accuracy is not None:
                low, high = self.clips.accuracy.interval
                found["accuracy_drop"] = (0.0 - high, 0.0 - low)  # no negative zero
        return found

    @property
    def summary(self) -> str:
        """One line, with 95 % intervals."""
        figures, parts = self.measured(), []
        if self.signals:
            longest = "" if self.longest_signal_s is None else f", on signals of up to {self.longest_signal_s:g} s"
            parts.append(
                f"logits within {figures['absolute_error']:.2g}, and within {figures['relative_error']:.2%}"
                f" of each signal's largest{longest}"
            )
        if self.clips is not None:
            parts.append(self.clips.summary)
        if self.word_times_error is not None:
            parts.append(f"word start error {self.word_times_error}")
        if self.calibration is not None:
            parts += [f"calibration error of {ANSWERS[head]} {each}" for head, each in self.calibration.items()]
        if self.violations:
            parts.append("over budget: " + "; ".join(self.violations))
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Evidence and verdict as JSON-ready values."""
        written = asdict(self)
        written |= {
            "passed": self.passed,
            "summary": self.summary,
            "certified_up_to_s": self.certified_up_to_s,
            "measured": self.measured(),
            "intervals": self.intervals(),
        }
        for name in ("wer", "accuracy"):
            if self.clips is not None and written["clips"][name] is not None:
                written["clips"][name]["difference"] = getattr(self.clips, name).difference
        ready: dict[str, Any] = json_ready(written)
        return ready


def certify(
    precision: str,
    budget: Budget,
    *,
    original: Model,
    variant: Model,
    padded: Model | None = None,
    heads: Heads,
    geometry: ConvGeometry,
    signals: Sequence[SyntheticSignal],
    utterances: Sequence[Utterance] = (),
    timed: Sequence[Utterance] = (),
    kept_in_float: Sequence[str] = (),
    kept_in_int8: Sequence[str] = (),
    int8_by_row: Sequence[str] = (),
    note: str | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Certificate:
    """Compare a variant with the original on synthetic signals and, where there are any, on real clips.

    ``timed`` are clips whose rows say when words begin, with which the variant's word starts are compared.
    ``padded`` runs a batched variant on each signal together with a longer neighbour, and must agree as well.
    ``advance`` is called after the signals and after each clip.
    """
    differences = compare_on_signals(original, variant, heads, signals)
    if padded is not None:
        renamed = [replace(signal, name=signal.name + PADDED) for signal in signals]
        differences |= compare_on_signals(original, padded, heads, renamed)
    advance()
    comparisons, calibration = _compare_on_clips(original, variant, heads, geometry, utterances, advance)
    return Certificate(
        precision=precision,
        budget=budget,
        kept_in_float=tuple(kept_in_float),
        kept_in_int8=tuple(kept_in_int8),
        int8_by_row=tuple(int8_by_row),
        note=note,
        signals=differences,
        longest_signal_s=max((signal.duration_s for signal in signals), default=None),
        clips=ClipEvidence.of(comparisons, attempted=len(utterances)) if utterances else None,
        word_times_error=WordTimesError.over(_start_errors_s(variant, heads, geometry, timed)),
        calibration=calibration,
    )


def _compare_on_clips(
    original: Model,
    variant: Model,
    heads: Heads,
    geometry: ConvGeometry,
    utterances: Sequence[Utterance],
    advance: Callable[[], None],
) -> tuple[list[ClipComparison], dict[str, Calibration] | None]:
    if not utterances:
        return [], None
    from wav2edge.evaluation.parity.calibration import Calibrator  # here: most exports have no data

    comparisons, calibrator = [], Calibrator(heads)
    for row in utterances:
        with suppress(AudioError):  # counted as unreadable
            comparisons.append(compare_clip(original, variant, heads, geometry, row, observe=calibrator.add))
        advance()
    return comparisons, calibrator.calibrations()


def _start_errors_s(
    variant: Model, heads: Heads, geometry: ConvGeometry, timed: Iterable[Utterance]
) -> Iterator[float]:
    for row in timed if heads.ctc is not None else ():
        with suppress(AudioError):  # counted as unreadable among the clips
            clip = load_clip(row.path)
            result = interpret(variant(clip.samples), heads, geometry, duration_s=clip.duration_s)
            yield from start_errors_s(result.words, row)


def certified_up_to_s(certificates: Iterable[Certificate]) -> float | None:
    """Duration of the longest audio that all the certificates of a bundle cover; None where one covers none."""
    durations_s = [certificate.certified_up_to_s for certificate in certificates]
    known_s = [each for each in durations_s if each is not None]
    return min(known_s, default=None) if len(known_s) == len(durations_s) else None


def word_times_borne_out(certificates: Iterable[Certificate]) -> bool | None:
    """Whether the word times of all variants of a bundle are true; None where that is unknown."""
    verdicts = {None if each.word_times_error is None else each.word_times_error.borne_out for each in certificates}
    return False if False in verdicts else (None if None in verdicts or not verdicts else True)


def confidence_temperature(certificates: Sequence[Certificate]) -> dict[str, float] | None:
    """What the logits of each head are divided by for confidences, in all variants of a bundle; None: not known."""
    found = certificates[0].calibration
    return None if found is None else {name: round(each.temperature, 4) for name, each in found.items()}
