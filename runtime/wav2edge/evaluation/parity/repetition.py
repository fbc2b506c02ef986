"""The certificate repeated: an engine on this device against the recorded outputs of the original."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wav2edge.bundle.folder import Bundle, sha256_of
from wav2edge.bundle.manifest import Manifest
from wav2edge.errors import AudioError, BundleError, DataError
from wav2edge.evaluation.parity.certificate import PADDED, Certificate
from wav2edge.evaluation.parity.clip_evidence import ClipEvidence
from wav2edge.evaluation.parity.differences import (
    Budget,
    Model,
    Outputs,
    Prediction,
    compare_outputs,
    compare_predictions,
)
from wav2edge.evaluation.parity.original_record import OriginalRecord, RecordedSignal
from wav2edge.evaluation.parity.padded_batch import padded_in_a_batch
from wav2edge.evaluation.parity.signals import SyntheticSignal, synthetic_signals
from wav2edge.inference.engine import Engine

if TYPE_CHECKING:
    from wav2edge.evaluation.dataset import Utterance
    from wav2edge.inference.streaming.chunked_clips import ChunkedClips


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """Signals with the original's outputs, and clips with the original's predictions.

    ``unknown`` counts the clips of the data set that are not in the certificate.
    """

    signals: tuple[tuple[SyntheticSignal, Outputs], ...] = ()
    clips: tuple[tuple[Utterance, Prediction], ...] = ()
    unknown: int = 0

    @property
    def steps(self) -> int:
        """Signals and clips per variant."""
        return len(self.signals) + len(self.clips)

    def certify(
        self,
        engine: Engine | ChunkedClips,
        precision: str,
        budget: Budget,
        *,
        advance: Callable[[], None] = lambda: None,
    ) -> Certificate:
        """Compare one variant with the original's record; ``advance`` is called after each signal and clip."""
        models = {"": engine.outputs} | _padded(engine)
        differences = {}
        for signal, outputs in self.signals:
            for suffix, model in models.items():
                differences[signal.name + suffix] = compare_outputs(outputs, model(signal.samples), engine.heads)
            advance()
        comparisons = []
        for row, original in self.clips:
            with suppress(AudioError):  # counted as unreadable
                found = engine(row.path)
                variant = Prediction.of(found)
                comparisons.append(compare_predictions(original, variant, row, duration_s=found.duration_s))
            advance()
        return Certificate(
            precision=precision,
            budget=budget,
            signals=differences,
            longest_signal_s=max((signal.duration_s for signal, _ in self.signals), default=None),
            clips=ClipEvidence.of(comparisons, attempted=len(self.clips)) if self.clips else None,
        )


def plan_repetition(
    bundle: Bundle,
    *,
    signals: bool,
    utterances: Sequence[Utterance] = (),
    chunk_ms: int | None = None,
    language: str | None = None,
) -> Repetition:
    """Generate the signals again, and find the clips that are in the certificate.

    Args:
        bundle: what is verified.
        signals: repeat the synthetic half of the certificate.
        utterances: rows of a data set; those whose file is in the certificate are repeated.
        chunk_ms: repeat the certificates of streams in such chunks; those of whole clips where None.
        language: repeat those of a language that is not the bundle's first.

    Raises:
        BundleError: the bundle has no record of the original, or its signals cannot be generated here.
        DataError: none of the clips is in the certificate.
    """
    record = OriginalRecord.read(bundle, chunk_ms=chunk_ms, language=language)
    clips = _known(utterances, record.clips)
    if utterances and not record.clips:
        raise BundleError(f"{bundle.folder}: its certificate covers no clips; export it again with --data")
    if utterances and not clips:
        raise DataError(
            f"{utterances[0].where}: none of these {len(utterances)} clips is in the certificate;"
            " give the data set and the split that the bundle was exported with"
        )
    return Repetition(
        signals=_signals(bundle.manifest, record.signals) if signals else (),
        clips=tuple(clips),
        unknown=len(utterances) - len(clips),
    )


def _padded(engine: Engine | ChunkedClips) -> dict[str, Model]:
    return {PADDED: padded_in_a_batch(engine)} if isinstance(engine, Engine) and engine.batched else {}


def _known(
    utterances: Sequence[Utterance], predictions: Mapping[str, Prediction]
) -> list[tuple[Utterance, Prediction]]:
    found = []
    for row in utterances:
        with suppress(OSError):  # a file that cannot be read counts as unknown
            original = predictions.get(sha256_of(row.path))
            if original is not None:
                found.append((row, original))
    return found


def _signals(manifest: Manifest, recorded: Mapping[str, RecordedSignal]) -> tuple[tuple[SyntheticSignal, Outputs], ...]:
    all_signals = synthetic_signals(manifest.geometry, fewest_frames=manifest.heads.fewest_frames)
    made = {signal.name: signal for signal in all_signals}
    other = [name for name, each in recorded.items() if name not in made or made[name].sha256 != each.sha256]
    if other:
        raise BundleError(
            f"the signal {other[0]!r} differs from the one that the original was given: another version of wav2edge"
            f" generated it, or numpy {np.__version__} computes differently; export the bundle again"
        )
    return tuple((made[name], each.outputs) for name, each in recorded.items())
