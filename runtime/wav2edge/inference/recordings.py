"""Recordings of any length: spans of speech, recognised one after the other, and joined where speech had to be cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from wav2edge.audio.clip import Clip
from wav2edge.audio.segmentation import Span
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.ctc import FloatArray, log_softmax
from wav2edge.errors import AudioError
from wav2edge.inference.recognizer import FloatSamples, Outputs
from wav2edge.output.result import Result, Segment

UNLIKELY = -20.0
"""Log probability of a token where nobody speaks."""


def recognise_spans(
    spans: Iterable[Span],
    *,
    outputs: Callable[[FloatSamples], Outputs],
    interpret: Callable[[Outputs, float], Result],
    head: CtcHead | None,
    hop: int,
) -> Iterator[Segment]:
    """The segment of each span, as soon as the span after it has begun.

    Args:
        spans: stretches of one recording, in order.
        outputs: the output of each head for samples.
        interpret: the result of outputs, given the duration in seconds.
        head: the CTC head, if there is one. Of two spans that overlap, each keeps its own side of a frame between two
            words, or else of a blank, in the middle of what they share.
        hop: samples of a frame.
    """
    waiting: _Piece | None = None
    for span in spans:
        piece = _Piece(start=span.start, end=span.end, outputs=outputs(span.samples))
        if waiting is not None:
            if span.overlap and head is not None:
                waiting, piece = _part(waiting, piece, head, hop)
            yield _segment(waiting, interpret)
        waiting = piece
    if waiting is not None:
        yield _segment(waiting, interpret)


def require_length(clip: Clip, name: str, shortest: int) -> None:
    """Refuse a clip that is too short for the model.

    Args:
        clip: as the model would get it.
        name: what messages call it.
        shortest: samples that the model needs.

    Raises:
        AudioError: it has fewer samples.
    """
    if len(clip.samples) < shortest:
        raise AudioError(
            f"{name}: {len(clip.samples) / SAMPLE_RATE_HZ:.2f} s long, and this model needs"
            f" {shortest / SAMPLE_RATE_HZ:.2f} s at least; give a longer clip"
        )


def long_enough(spans: Iterable[Span], shortest: int, warnings: list[str]) -> Iterator[Span]:
    """The spans that have so many samples; a warning says that there were others.

    Args:
        spans: stretches of one recording, in order.
        shortest: samples that the model needs.
        warnings: those of the recording.
    """
    left_out = f"speech of less than {shortest / SAMPLE_RATE_HZ:.2f} s is left out: this model needs more"
    for span in spans:
        if len(span.samples) >= shortest:
            yield span
        elif left_out not in warnings:
            warnings.append(left_out)


def frames_of_spans(
    spans: Iterable[Span], *, logits: Callable[[FloatSamples], FloatSamples], head: CtcHead, hop: int
) -> Iterator[FloatArray]:
    """Log probabilities of a recording, ``[frames, vocabulary]`` block by block, on one clock from its start.

    Outside the spans nobody speaks: a frame there is the blank or the delimiter between words, whichever a text needs.
    Spans that overlap have half of what they share each.

    Args:
        spans: stretches of one recording, in order.
        logits: of samples.
        head: the vocabulary.
        hop: samples of a frame.
    """
    silence = _silence(head)
    begun, held = 0, silence[:0]
    for span in spans:
        start, rows = round(span.start / hop), log_softmax(logits(span.samples))
        border = max(start, (start + begun + len(held)) // 2) if span.overlap else start
        held = held[: border - begun]
        yield np.concatenate([held, np.repeat(silence, border - begun - len(held), axis=0)])
        begun, held = border, rows[border - start :]
    yield held


def _silence(head: CtcHead) -> FloatArray:
    """Log probabilities of a frame without speech, ``[1, vocabulary]``."""
    row = np.full((1, len(head.vocabulary)), UNLIKELY)
    possible = [head.blank_id] if head.delimiter_id is None else [head.blank_id, head.delimiter_id]
    row[0, possible] = -np.log(len(possible))
    return row


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """The outputs of the samples ``start`` to ``end`` of a recording."""

    start: int
    end: int
    outputs: Outputs


def _segment(piece: _Piece, interpret: Callable[[Outputs, float], Result]) -> Segment:
    result = interpret(piece.outputs, (piece.end - piece.start) / SAMPLE_RATE_HZ)
    return result.as_segment(piece.start / SAMPLE_RATE_HZ, piece.end / SAMPLE_RATE_HZ)


def _part(first: _Piece, second: _Piece, head: CtcHead, hop: int) -> tuple[_Piece, _Piece]:
    """Two pieces that overlap, each without the other's side of the seam."""
    logits, others = first.outputs[head.output], second.outputs[head.output]
    ahead = (second.start - first.start) // hop
    shared = min(len(logits) - ahead, len(others))
    seam = _seam(logits[ahead : ahead + shared], others[:shared], logits[:ahead], head)
    border = second.start + seam * hop
    return (
        replace(first, end=border, outputs={**first.outputs, head.output: logits[: ahead + seam]}),
        replace(second, start=border, outputs={**second.outputs, head.output: others[seam:]}),
    )


def _seam(first: FloatSamples, second: FloatSamples, before: FloatSamples, head: CtcHead) -> int:
    """The frame of an overlap that the second piece begins with: in its middle half, surely blank, between words.

    Args:
        first: the logits of the first piece in the overlap, ``[frames, vocabulary]``.
        second: those of the second piece.
        before: those of the first piece before the overlap.
        head: the vocabulary.
    """
    frames = len(first)
    candidates = np.arange(frames // 4, max(frames // 4 + 1, frames - frames // 4))
    blank = log_softmax(first)[:, head.blank_id] + log_softmax(second)[:, head.blank_id]
    between = _between_words(np.concatenate([before, first]).argmax(axis=-1), head)[len(before) :]
    open_to_choice = candidates[between[candidates]]
    if not len(open_to_choice):
        open_to_choice = candidates
    return int(open_to_choice[blank[open_to_choice].argmax()])


def _between_words(ids: npt.NDArray[np.intp], head: CtcHead) -> npt.NDArray[np.bool_]:
    """Whether no word is open at each frame of a path: the last token that is no blank was the delimiter."""
    if head.delimiter_id is None:
        return np.zeros(len(ids), np.bool_)
    spoken = ids != head.blank_id
    last = np.maximum.accumulate(np.where(spoken, np.arange(len(ids)), -1))
    return np.asarray((last >= 0) & (ids[np.maximum(last, 0)] == head.delimiter_id), np.bool_)
