"""The measurement of answers: every system on the same clips, held against PyTorch and against what was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import load_clip
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.decoding.interpretation import interpret
from wav2edge.errors import AudioError, DataError
from wav2edge.evaluation.dataset import Utterance
from wav2edge.evaluation.intervals import PairedRate, paired_rate
from wav2edge.evaluation.parity.signals import FloatSamples, voiced
from wav2edge.evaluation.wer import edit_distance
from wav2edge.output.result import Result

LOGITS = "logits"
"""What every system calls its CTC output; of a model that only classifies, it is the classes'."""

SYNTHETIC_S = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
"""Lengths of the made-up clips that logit errors are measured on where there is no data."""

Outputs = Mapping[str, npt.NDArray[np.floating]]
Answered = tuple["JudgedClip", Result, Result]
"""A clip with PyTorch's answer and a system's."""


@dataclass(frozen=True, kw_only=True)
class JudgedClip:
    """``samples: [samples] float32`` at 16 kHz, and what a person wrote about them where it is known."""

    samples: FloatSamples
    transcription: str | None = None
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How a system answered all clips, beside PyTorch.

    ``largest_error`` is the largest difference over the largest logit, ``rms_error`` the root mean square of the
    differences over that of the logits, both over all clips. ``wer`` and ``accuracy`` are of the original and of the
    system; None where the model, the system or the data has no such answer.
    """

    clips: int
    largest_error: float
    rms_error: float
    changed_transcripts: int | None
    wer: PairedRate | None
    accuracy: PairedRate | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def read_clips(utterances: Sequence[Utterance], geometry: ConvGeometry) -> list[JudgedClip]:
    """Clips of a data set; those that cannot be read are passed over.

    Raises:
        DataError: none can be read.
    """
    clips = []
    for row in utterances:
        try:
            samples = load_clip(row.path).samples
        except AudioError:
            continue
        short = max(0, geometry.receptive_field - len(samples))
        clips.append(JudgedClip(samples=np.pad(samples, (0, short)), transcription=row.transcription, label=row.label))
    if not clips:
        raise DataError(f"{utterances[0].where}: none of {len(utterances)} clips can be read; check the data set")
    return clips


def synthetic_clips() -> list[JudgedClip]:
    """Made-up voices of several lengths, for logit errors only."""
    return [
        JudgedClip(samples=voiced(round(length_s * SAMPLE_RATE_HZ), seed=seed))
        for seed, length_s in enumerate(SYNTHETIC_S)
    ]


def judge(
    clips: Sequence[JudgedClip],
    originals: Sequence[Outputs],
    answers: Sequence[Outputs],
    *,
    heads: Heads,
    geometry: ConvGeometry,
    log_probabilities: bool = False,
) -> Quality:
    """Hold one system's outputs against PyTorch's, clip by clip.

    Args:
        clips: what was answered.
        originals: PyTorch's outputs, by name, without their batch axis.
        answers: the system's.
        heads: what the model's outputs mean; a head whose output the system lacks is left out.
        geometry: how samples become frames.
        log_probabilities: the system gives log-probabilities, and PyTorch's logits are turned into them.

    Raises:
        DataError: the shapes differ, or a value is no number.
    """
    largest, rms = _errors(
        [_scores(each[LOGITS], log_probabilities) for each in originals], [each[LOGITS] for each in answers]
    )
    shared = _heads_within(heads, answers[0])
    results: list[Answered] = [
        (clip, _result(original, clip, shared, geometry), _result(found, clip, shared, geometry))
        for clip, original, found in zip(clips, originals, answers, strict=True)
    ]
    return Quality(
        clips=len(clips),
        largest_error=largest,
        rms_error=rms,
        changed_transcripts=sum(first.text != second.text for _, first, second in results) if shared.ctc else None,
        wer=_wer(results) if shared.ctc else None,
        accuracy=_accuracy(results) if shared.classification else None,
    )


def _result(outputs: Outputs, clip: JudgedClip, heads: Heads, geometry: ConvGeometry) -> Result:
    return interpret(outputs, heads, geometry, duration_s=len(clip.samples) / geometry.rate_hz)


def _heads_within(heads: Heads, outputs: Outputs) -> Heads:
    ctc = heads.ctc if heads.ctc and heads.ctc.output in outputs else None
    classification = heads.classification if heads.classification and heads.classification.output in outputs else None
    return Heads(ctc=ctc, classification=classification)


def _scores(logits: npt.NDArray[np.floating], log_probabilities: bool) -> npt.NDArray[np.floating]:
    if not log_probabilities:
        return logits
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _errors(
    originals: Sequence[npt.NDArray[np.floating]], answers: Sequence[npt.NDArray[np.floating]]
) -> tuple[float, float]:
    """Largest and root mean square difference, each over the same measure of the originals."""
    for expected, found in zip(originals, answers, strict=True):
        if expected.shape != found.shape:
            raise DataError(f"gives logits {list(found.shape)} where PyTorch gives {list(expected.shape)}")
        if not np.isfinite(found).all():
            raise DataError("gives logits that are no numbers")
    reference = np.concatenate([each.ravel() for each in originals]).astype(np.float64)
    differences = np.concatenate([each.ravel() for each in answers]) - reference
    largest = np.abs(differences).max() / np.abs(reference).max()
    return float(largest), float(np.sqrt(np.mean(differences**2) / np.mean(reference**2)))


def _wer(results: Sequence[Answered]) -> PairedRate | None:
    said = [(clip.transcription.split(), pair) for clip, *pair in results if clip.transcription is not None]
    edits = [[edit_distance(words, (each.text or "").split()) for each in pair] for words, pair in said]
    return paired_rate(edits, [len(words) for words, _ in said])


def _accuracy(results: Sequence[Answered]) -> PairedRate | None:
    hits = [[each.label == clip.label for each in pair] for clip, *pair in results if clip.label is not None]
    return paired_rate(hits, [1] * len(hits))
