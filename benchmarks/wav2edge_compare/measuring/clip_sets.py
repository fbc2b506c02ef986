"""The clips behind WER, accuracy and logit error, and those that full quantisation is calibrated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.errors import AudioError, DataError
from wav2edge.evaluation.dataset import Utterance
from wav2edge.evaluation.evaluator import choose_split
from wav2edge.evaluation.parity.signals import FloatSamples, voiced
from wav2edge_compare.comparison_options import ComparisonOptions

SYNTHETIC_S = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
"""Lengths of the synthetic clips, used where there is no data set."""

CALIBRATION_CLIPS = 64
"""Full quantisation is calibrated on at most so many."""


@dataclass(frozen=True, kw_only=True)
class EvaluationClip:
    """``samples: [samples] float32`` at 16 kHz, with its reference transcript and label where they are known."""

    samples: FloatSamples
    transcription: str | None = None
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClipSet:
    """Clips, and the description that the report gives of them."""

    clips: Sequence[EvaluationClip]
    description: str

    def save(self, folder: Path) -> list[Path]:
        """Write the samples of each clip as an ``.npy`` file."""
        paths = [folder / f"clip-{number}.npy" for number in range(len(self.clips))]
        for path, clip in zip(paths, self.clips, strict=True):
            np.save(path, clip.samples)
        return paths


def evaluation_clips(options: ComparisonOptions, utterances: Sequence[Utterance], geometry: ConvGeometry) -> ClipSet:
    """The clips of the evaluation split, synthetic ones without a data set.

    Raises:
        DataError: there is no such split, or none of its clips can be read.
    """
    if options.data is None:
        description = "synthetic voices of 0.5 to 10 s, which show logit error and nothing about accuracy"
        return ClipSet(clips=synthetic_clips(), description=description)
    chosen = choose_split(utterances, options.split)[: options.max_clips]
    clips = read_clips(chosen, geometry)
    (split, *others) = {row.split or "unnamed" for row in chosen}
    where = f"split {split}" if not others else "all splits"
    return ClipSet(clips=clips, description=f"{len(clips)} clips of {options.data.resolve().name}, {where}")


def calibration_clips(utterances: Sequence[Utterance], geometry: ConvGeometry) -> ClipSet:
    """Clips of the training split, evenly drawn; synthetic ones where there is none."""
    training = [row for row in utterances if row.split == "train"]
    if not training:
        return ClipSet(clips=synthetic_clips(), description="synthetic voices")
    clips = read_clips(training[:: -(-len(training) // CALIBRATION_CLIPS)], geometry)
    return ClipSet(clips=clips, description=f"{len(clips)} training clips")


def read_clips(utterances: Sequence[Utterance], geometry: ConvGeometry) -> list[EvaluationClip]:
    """Read the clips of a data set; unreadable ones are skipped.

    Raises:
        DataError: none can be read.
    """
    clips = []
    for row in utterances:
        try:
            samples = load_clip(row.path).samples
        except AudioError:
            continue
        padded = geometry.pad_to_frame(samples)
        clips.append(EvaluationClip(samples=padded, transcription=row.transcription, label=row.label))
    if not clips:
        raise DataError(f"{utterances[0].where}: none of {len(utterances)} clips can be read; check the data set")
    return clips


def synthetic_clips() -> list[EvaluationClip]:
    """Synthetic voices of several lengths, for logit errors only."""
    return [
        EvaluationClip(samples=voiced(round(length_s * SAMPLE_RATE_HZ), seed=seed))
        for seed, length_s in enumerate(SYNTHETIC_S)
    ]
