"""Certifies one variant after the other against the same original."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.evaluation.parity.budget import Budget
from wav2edge.evaluation.parity.certificate import Certificate, certify
from wav2edge.evaluation.parity.differences import CachedModel
from wav2edge.evaluation.parity.original_record import OriginalRecord, record_original
from wav2edge.evaluation.parity.signals import SyntheticSignal, synthetic_signals
from wav2edge.inference.engine import Engine
from wav2edge.output.progress import Progress
from wav2edge_export.bundle.evaluation_clips import EvaluationClips
from wav2edge_export.quantization.recipes import Level


@dataclass(frozen=True, kw_only=True)
class Certifier:
    """What every certificate of one export has in common.

    Attributes:
        original: the PyTorch model, which runs once per signal and clip.
        clips: the evaluation clips; there may be none.
        heads: what the outputs mean.
        geometry: how samples become frames.
        batched: the variants take padded batches, and are certified in them as well.
        log: gets one line per step.
    """

    original: CachedModel
    clips: EvaluationClips
    heads: Heads
    geometry: ConvGeometry
    batched: bool
    log: Callable[[str], None]

    @cached_property
    def signals(self) -> Sequence[SyntheticSignal]:
        """The synthetic signals that every variant is certified on."""
        return list(synthetic_signals(self.geometry))

    def certify(
        self,
        engine: Engine,
        precision: str,
        budget: Budget,
        *,
        parts: Mapping[str, Level],
        note: str | None = None,
    ) -> Certificate:
        """Compare a variant with the original on the signals and the clips.

        Args:
            engine: the variant.
            precision: its name.
            budget: how far it may be from the original.
            parts: the levels of the parts that are not at the recipe's base.
            note: how the variant was chosen, for the certificate.
        """
        longest_s = max(signal.duration_s for signal in self.signals)
        alone = ", alone and padded in a batch," if self.batched else ""
        self.log(
            f"certifying on {len(self.signals)} synthetic signals of up to {longest_s:g} s{alone}"
            f" and {len(self.clips.utterances)} clips"
        )
        padded = None
        if self.batched:
            from wav2edge.evaluation.parity.padded_batch import padded_in_a_batch

            padded = padded_in_a_batch(engine)
        with Progress(f"certifying {precision}", 1 + len(self.clips.utterances)) as progress:
            return certify(
                precision,
                budget,
                original=self.original,
                variant=engine.outputs,
                padded=padded,
                heads=self.heads,
                geometry=self.geometry,
                signals=self.signals,
                utterances=self.clips.utterances,
                kept_in_float=[part for part, level in parts.items() if level == "float"],
                kept_in_int8=[part for part, level in parts.items() if level == "int8"],
                note=note,
                advance=progress.advance,
            )

    def original_record(self) -> OriginalRecord:
        """What a device needs to repeat the certificates; all of it was computed before."""
        utterances = self.clips.utterances
        return record_original(self.original, self.heads, self.geometry, signals=self.signals, utterances=utterances)
