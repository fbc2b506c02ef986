"""Certifies one variant after the other against the same original."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.evaluation.parity.budget import Budget
from wav2edge.evaluation.parity.certificate import Certificate, certify
from wav2edge.evaluation.parity.differences import Remembered
from wav2edge.evaluation.parity.originals import Originals, ask_original
from wav2edge.evaluation.parity.signals import GridCase, parity_grid
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

    original: Remembered
    clips: EvaluationClips
    heads: Heads
    geometry: ConvGeometry
    batched: bool
    log: Callable[[str], None]

    @cached_property
    def grid(self) -> Sequence[GridCase]:
        """The synthetic signals."""
        return list(parity_grid(self.geometry))

    @property
    def certified_up_to_s(self) -> float:
        """Length in seconds of the longest signal that every variant is certified on."""
        return max(len(case.samples) for case in self.grid) / SAMPLE_RATE_HZ

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
        alone = ", alone and padded in a batch," if self.batched else ""
        self.log(
            f"certifying on {len(self.grid)} synthetic signals of up to {self.certified_up_to_s:g} s{alone}"
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
                grid=self.grid,
                utterances=self.clips.utterances,
                in_float=[part for part, level in parts.items() if level == "float"],
                in_int8=[part for part, level in parts.items() if level == "int8"],
                note=note,
                advance=progress.advance,
            )

    def originals(self) -> Originals:
        """What a device needs to repeat the certificates; all of it was computed before."""
        return ask_original(self.original, self.heads, self.geometry, grid=self.grid, utterances=self.clips.utterances)
