"""Quality of a system's outputs: logit error against PyTorch, WER and accuracy against the reference labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.errors import DataError
from wav2edge.evaluation.rates import PairedRate, edit_distance, paired_rate
from wav2edge.inference.interpretation import interpret
from wav2edge.output.result import Result
from wav2edge_compare.measuring.clip_sets import EvaluationClip

LOGITS = "logits"
"""What every system calls its CTC output; for a model that only classifies, the class logits."""

Outputs = Mapping[str, npt.NDArray[np.floating]]
Results = tuple[EvaluationClip, Result, Result]
"""A clip with the results of PyTorch and of a system."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Quality over all clips, compared with PyTorch.

    ``largest_error`` is the largest difference over the largest logit, ``rms_error`` the root mean square of the
    differences over that of the logits. ``wer`` and ``accuracy`` are of the original and of the system; None where the
    model, the system or the data has none.
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


def evaluate(
    clips: Sequence[EvaluationClip],
    originals: Sequence[Outputs],
    outputs: Sequence[Outputs],
    *,
    heads: Heads,
    geometry: ConvGeometry,
    log_probabilities: bool = False,
) -> Quality:
    """Compare one system's outputs with PyTorch's, clip by clip.

    Args:
        clips: the evaluation set.
        originals: PyTorch's outputs, by name, without their batch axis.
        outputs: the system's.
        heads: of the model; a head that the system has no output for is left out.
        geometry: how samples become frames.
        log_probabilities: the system returns log-probabilities, so PyTorch's logits are turned into them.

    Raises:
        DataError: the shapes differ, or a value is not finite.
    """
    largest, rms = _errors(
        [_scores(each[LOGITS], log_probabilities) for each in originals], [each[LOGITS] for each in outputs]
    )
    shared = _heads_within(heads, outputs[0])
    results: list[Results] = [
        (clip, _result(original, clip, shared, geometry), _result(found, clip, shared, geometry))
        for clip, original, found in zip(clips, originals, outputs, strict=True)
    ]
    return Quality(
        clips=len(clips),
        largest_error=largest,
        rms_error=rms,
        changed_transcripts=sum(first.text != second.text for _, first, second in results) if shared.ctc else None,
        wer=_wer(results) if shared.ctc else None,
        accuracy=_accuracy(results) if shared.classification else None,
    )


def _result(outputs: Outputs, clip: EvaluationClip, heads: Heads, geometry: ConvGeometry) -> Result:
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
    originals: Sequence[npt.NDArray[np.floating]], outputs: Sequence[npt.NDArray[np.floating]]
) -> tuple[float, float]:
    """Largest and root mean square difference, each over the same measure of the originals."""
    for expected, found in zip(originals, outputs, strict=True):
        if expected.shape != found.shape:
            raise DataError(f"gives logits {list(found.shape)} where PyTorch gives {list(expected.shape)}")
        if not np.isfinite(found).all():
            raise DataError("gives logits that are not finite numbers")
    reference = np.concatenate([each.ravel() for each in originals]).astype(np.float64)
    differences = np.concatenate([each.ravel() for each in outputs]) - reference
    largest = np.abs(differences).max() / np.abs(reference).max()
    return float(largest), float(np.sqrt(np.mean(differences**2) / np.mean(reference**2)))


def _wer(results: Sequence[Results]) -> PairedRate | None:
    spoken = [(clip.transcription.split(), pair) for clip, *pair in results if clip.transcription is not None]
    edits = [[edit_distance(words, (each.text or "").split()) for each in pair] for words, pair in spoken]
    return paired_rate(edits, [len(words) for words, _ in spoken])


def _accuracy(results: Sequence[Results]) -> PairedRate | None:
    hits = [[each.label == clip.label for each in pair] for clip, *pair in results if clip.label is not None]
    return paired_rate(hits, [1] * len(hits))
