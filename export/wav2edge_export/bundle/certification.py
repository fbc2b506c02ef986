"""Certifies one variant after the other against the same original, on the evaluation clips chosen for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.bundle.heads import EmbeddingHead, Heads
from wav2edge.errors import AudioError, DataError, UsageError
from wav2edge.evaluation.parity.certificate import Certificate, certify
from wav2edge.evaluation.parity.differences import Budget, CachedModel
from wav2edge.evaluation.parity.original_record import OriginalRecord, record_original
from wav2edge.evaluation.parity.signals import SyntheticSignal, synthetic_signals, voiced
from wav2edge.evaluation.rates import count_word_errors
from wav2edge.inference.engine import Engine
from wav2edge.output.progress import Progress
from wav2edge.output.result import Result
from wav2edge_export.quantization.recipes import Level

if TYPE_CHECKING:
    from wav2edge.evaluation.dataset import Utterance
    from wav2edge.inference.streaming.chunked_clips import ChunkedClips


SEARCH_SPLITS = ("validation", "train")
"""Splits to compare the layers on, the better one first, where the certificates do not use them."""
MOST_TIMED = 240
"""Clips that a variant's word starts are compared on: several hundred words, in seconds."""
MOST_SILENT = 240
"""Clips that silence is left out of, to see whether anything is lost."""
ROUNDING = 2e-5
"""Share of the largest logit that counts as rounding, which grows with the values: an exact graph with logits up to 9
was off by 1.04e-4, which is 1.2e-5 of them."""
SYNTHETIC_DURATIONS_S = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


@dataclass(frozen=True, kw_only=True)
class EvaluationClips:
    """``utterances`` are for the certificates, ``search`` to compare layers, which ``description`` describes.

    ``timed`` say when their words begin, and are of any split but the training's.
    """

    utterances: Sequence[Utterance] = ()
    timed: Sequence[Utterance] = ()
    search: Sequence[Utterance] = ()
    description: str = "synthetic signals, since no --data was given: nothing is known of WER or accuracy"

    def search_clips(self, most: int, *, shortest: int = 0) -> list[npt.NDArray[np.float32]]:
        """Clips to compare the layers on, ``[samples] float32`` each: so many at most, evenly drawn.

        ``shortest`` are the samples that the model needs.
        """
        if not self.search:
            durations_s = enumerate(SYNTHETIC_DURATIONS_S[:most])
            return [voiced(round(length_s * SAMPLE_RATE_HZ), seed=seed) for seed, length_s in durations_s]
        every = max(1, len(self.search) // most)
        long_enough = (clip for clip in _readable(self.search[::every]) if len(clip) >= shortest)
        clips = list(islice(long_enough, most))
        if not clips:
            raise DataError(f"{self.search[0].where}: none of the clips to compare the layers on can be read")
        return clips


def choose_evaluation_clips(
    data: Path | None, *, split: str | None = None, max_clips: int | None = None, search: bool = False
) -> EvaluationClips:
    """Read the data set and divide it.

    Args:
        data: the data set; None where there is none.
        split: which rows the variants are certified on, as ``choose_split`` takes it.
        max_clips: use the first of them.
        search: clips are wanted to compare the layers on, too. They are another split's, or every second one of the
            certificate's, which then certifies nothing.

    Raises:
        DataError: the data set cannot be used.
        UsageError: there is none to choose from.
    """
    if data is None:
        if split is not None or max_clips is not None:
            raise UsageError("--split and --max-clips choose from a data set; name it with --data")
        return EvaluationClips()
    from wav2edge.evaluation.dataset import read_dataset  # here: most exports have no data
    from wav2edge.evaluation.evaluator import choose_split

    rows = read_dataset(data)
    chosen = choose_split(rows, split)[:max_clips]
    timed = [row for row in rows if row.word_starts_s is not None and row.split != "train"][:MOST_TIMED]
    if not search:
        return EvaluationClips(utterances=chosen, timed=timed)
    taken = {row.split for row in chosen}
    for name in SEARCH_SPLITS:
        found = [row for row in rows if row.split == name and name not in taken]
        if found:
            described = f"clips of the split {name}"
            return EvaluationClips(utterances=chosen, timed=timed, search=found, description=described)
    if len(chosen) < 2:
        raise DataError(f"{data}: auto needs two clips at least, one to compare the layers on and one to certify on")
    return EvaluationClips(
        utterances=chosen[1::2],
        timed=timed,
        search=chosen[::2],
        description="every second clip, which then certifies nothing",
    )


def _readable(rows: Sequence[Utterance]) -> Iterator[npt.NDArray[np.float32]]:
    for row in rows:
        with suppress(AudioError):  # the certificate counts those that it cannot read; here others take their place
            yield load_clip(row.path).samples


@dataclass(frozen=True, kw_only=True)
class SilenceCheck:
    """Errors, of words and of labels together, on clips between half seconds of silence, with and without it."""

    clips: int
    errors_with: int
    errors_without: int

    @property
    def loses_nothing(self) -> bool:
        """Whether silence can be left out."""
        return self.errors_without <= self.errors_with


def between_silence(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A clip between half seconds of noise 60 dB below its peak: ``[samples] float32`` at 16 kHz, and longer."""
    rng = np.random.default_rng(len(samples))
    noise = rng.standard_normal((2, SAMPLE_RATE_HZ // 2)) * float(np.abs(samples).max(initial=0.0)) * 1e-3
    return np.concatenate([noise[0], samples, noise[1]]).astype(np.float32)


def _errors(row: Utterance, result: Result) -> int:
    """Words of a row that are wrong in its result, and its label."""
    wrong = 0
    if row.transcription and result.text is not None:
        wrong += count_word_errors([row.transcription], [result.text]).edits
    if row.label and result.scores is not None:
        wrong += result.label != row.label
    return wrong


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
        return list(synthetic_signals(self.geometry, fewest_frames=self.heads.fewest_frames))

    def budget_for_logits(self, budget: Budget) -> Budget:
        """The budget, whose absolute bound on logits is ``ROUNDING`` of the largest where that is more."""
        if budget.absolute_error is None:
            return budget
        names = [head.output for head in self.heads.by_name.values() if not isinstance(head, EmbeddingHead)]
        logits = (self.original(signal.samples)[name] for signal in self.signals for name in names)
        largest = np.max([np.abs(each).max() for each in logits], initial=0.0)
        rounding = ROUNDING * float(largest) if np.isfinite(largest) else 0.0
        return replace(budget, absolute_error=max(budget.absolute_error, rounding))

    def certify(
        self,
        engine: Engine | ChunkedClips,
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
            budget: how far it may be from the original, before ``budget_for_logits``.
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
        if self.batched and isinstance(engine, Engine):
            from wav2edge.evaluation.parity.padded_batch import padded_in_a_batch

            padded = padded_in_a_batch(engine)
        with Progress(f"certifying {precision}", 1 + len(self.clips.utterances)) as progress:
            return certify(
                precision,
                self.budget_for_logits(budget),
                original=self.original,
                variant=engine.outputs,
                padded=padded,
                heads=self.heads,
                geometry=self.geometry,
                signals=self.signals,
                utterances=self.clips.utterances,
                timed=self.clips.timed,
                kept_in_float=[part for part, level in parts.items() if level == "float"],
                kept_in_int8=[part for part, level in parts.items() if level == "int8"],
                int8_by_row=[part for part, level in parts.items() if level == "int8 by row"],
                note=note,
                advance=progress.advance,
            )

    def silence(self, engine: Engine) -> SilenceCheck | None:
        """What leaving out silence at the ends of clips costs a variant; None without clips that say what is right."""
        if self.heads.ctc is None and self.heads.classification is None:
            return None
        rows = [row for row in self.clips.utterances if row.transcription or row.label][:MOST_SILENT]
        errors = {True: 0, False: 0}
        answered = 0
        for row in rows:
            with suppress(AudioError):
                samples = between_silence(load_clip(row.path).samples)
                answered += 1
                for left_out in errors:
                    engine.trims_silence = left_out
                    result = engine(samples, rate_hz=SAMPLE_RATE_HZ, segments=False)
                    errors[left_out] += _errors(row, result)
        engine.trims_silence = False
        if not answered:
            return None
        return SilenceCheck(clips=answered, errors_with=errors[False], errors_without=errors[True])

    def original_record(self) -> OriginalRecord:
        """What a device needs to repeat the certificates; all of it was computed before."""
        utterances = self.clips.utterances
        return record_original(self.original, self.heads, self.geometry, signals=self.signals, utterances=utterances)
