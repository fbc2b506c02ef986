"""The certificate repeated: an engine on this device against what the original answered where it was exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from wav2edge.bundle.folder import Bundle, sha256_of
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.errors import AudioError, BundleError, DataError
from wav2edge.evaluation.dataset import Utterance
from wav2edge.evaluation.parity.budget import Budget
from wav2edge.evaluation.parity.certificate import PADDED, Certificate, ClipEvidence
from wav2edge.evaluation.parity.differences import Answer, Outputs, compare_answers, compare_outputs
from wav2edge.evaluation.parity.originals import Originals, RecordedCase
from wav2edge.evaluation.parity.padded_batch import padded_in_a_batch
from wav2edge.evaluation.parity.signals import FloatSamples, parity_grid
from wav2edge.inference.engine import Engine


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A synthetic signal made here, ``samples: [samples] float32``, and what the original gave for it."""

    name: str
    samples: FloatSamples
    outputs: Outputs


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """What is to be repeated with each variant; ``unknown`` clips of the data set are not in the certificate."""

    signals: tuple[Signal, ...] = ()
    clips: tuple[tuple[Utterance, Answer], ...] = ()
    unknown: int = 0

    @property
    def steps(self) -> int:
        """Answers that one variant has to give."""
        return len(self.signals) + len(self.clips)

    def certify(
        self, engine: Engine, precision: str, budget: Budget, *, advance: Callable[[], None] = lambda: None
    ) -> Certificate:
        """Hold one variant against the original's answers; ``advance`` is called after each answer."""
        models = {"": engine.outputs} | ({PADDED: padded_in_a_batch(engine)} if engine.batched else {})
        grid = {}
        for signal in self.signals:
            for beside, model in models.items():
                grid[signal.name + beside] = compare_outputs(signal.outputs, model(signal.samples), engine.heads)
            advance()
        comparisons = []
        for row, original in self.clips:
            with suppress(AudioError):  # counted as left out
                comparisons.append(compare_answers(original, Answer.of(engine(row.path)), row))
            advance()
        clips = ClipEvidence.of(comparisons, asked=len(self.clips)) if self.clips else None
        return Certificate(precision=precision, budget=budget, grid=grid, clips=clips)


def plan_repetition(bundle: Bundle, *, signals: bool, utterances: Sequence[Utterance] = ()) -> Repetition:
    """Make the signals again, and find the clips that the original has answered.

    Args:
        bundle: what is verified.
        signals: repeat the synthetic half of the certificate.
        utterances: rows of a data set; those whose file the certificate knows are repeated.

    Raises:
        BundleError: the bundle does not hold what the original answered, or its signals cannot be made here.
        DataError: the certificate knows none of the clips.
    """
    originals = Originals.read(bundle)
    clips = _known(utterances, originals.clips)
    if utterances and not originals.clips:
        raise BundleError(f"{bundle.folder}: its certificate was judged on no clips; export it again with --data")
    if utterances and not clips:
        raise DataError(
            f"{utterances[0].where}: the certificate knows none of these {len(utterances)} clips;"
            " give the data set and the split that the bundle was exported with"
        )
    return Repetition(
        signals=_signals(bundle.manifest.geometry, originals.cases) if signals else (),
        clips=tuple(clips),
        unknown=len(utterances) - len(clips),
    )


def _known(utterances: Sequence[Utterance], answers: Mapping[str, Answer]) -> list[tuple[Utterance, Answer]]:
    found = []
    for row in utterances:
        with suppress(OSError):  # a file that cannot be read is not known either
            original = answers.get(sha256_of(row.path))
            if original is not None:
                found.append((row, original))
    return found


def _signals(geometry: ConvGeometry, recorded: Mapping[str, RecordedCase]) -> tuple[Signal, ...]:
    made = {case.name: case for case in parity_grid(geometry)}
    other = [name for name, case in recorded.items() if name not in made or made[name].sha256 != case.sha256]
    if other:
        raise BundleError(
            f"the signal {other[0]!r} is not the one that the original heard: another version of wav2edge made it,"
            f" or numpy {np.__version__} counts otherwise; export the bundle again"
        )
    return tuple(Signal(name=name, samples=made[name].samples, outputs=case.outputs) for name, case in recorded.items())
